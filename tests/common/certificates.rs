//! A certificate authority for one test, with a server's and a client's certificate of it.

use std::path::{Path, PathBuf};

pub struct Certificates {
    pub ca: PathBuf,
    pub server: (PathBuf, PathBuf),
    pub client: (PathBuf, PathBuf),
}

impl Certificates {
    /// Writes PEM files into `directory`; the server's certificate is for 127.0.0.1 and localhost.
    pub fn write(directory: &Path) -> Self {
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "loghound test authority");
        let authority = rcgen::CertifiedIssuer::self_signed(authority, rcgen::KeyPair::generate().unwrap()).unwrap();
        let ca = directory.join("ca.pem");
        std::fs::write(&ca, authority.pem()).unwrap();
        let leaf = |name: &str, usage, names: &[&str]| {
            let key = rcgen::KeyPair::generate().unwrap();
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            let mut params = rcgen::CertificateParams::new(names).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.extended_key_usages = vec![usage];
            let certificate = params.signed_by(&key, &authority).unwrap();
            let paths = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
            std::fs::write(&paths.0, certificate.pem()).unwrap();
            std::fs::write(&paths.1, key.serialize_pem()).unwrap();
            paths
        };
        let server = leaf("server", rcgen::ExtendedKeyUsagePurpose::ServerAuth, &["localhost", "127.0.0.1"]);
        let client = leaf("client", rcgen::ExtendedKeyUsagePurpose::ClientAuth, &["client"]);
        Self { ca, server, client }
    }
}
