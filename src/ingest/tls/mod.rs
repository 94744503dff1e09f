//! TLS for a listener: certificate, key, client authentication; read again when the files change.

mod names;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::{Accept, TlsAcceptor};
use tracing::{info, warn};

pub use names::Name;

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuthentication {
    #[default]
    None,
    /// Checked when shown.
    Optional,
    Required,
}

#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// PEM, the server's certificate first, then its chain.
    pub certificate: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1, without a passphrase.
    pub key: PathBuf,
    pub client_authentication: ClientAuthentication,
    /// PEM; needed unless client authentication is none.
    pub certificate_authorities: Vec<PathBuf>,
    /// Whose certificates of these authorities are taken; empty: anybody's.
    pub client_names: Vec<Name>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}: {message}", path = path.display())]
    File { path: PathBuf, message: String },
    #[error("certificate {certificate} and key {key} cannot be used: {source}",
        certificate = certificate.display(), key = key.display())]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("client certificates cannot be checked: {0}")]
    Authorities(String),
}

/// Accepts TLS connections with the certificate as it is now.
pub struct Acceptor {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
    seen: parking_lot::Mutex<Vec<Vec<u8>>>,
}

impl Acceptor {
    pub fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let content = read(&files)?;
        let config = build(&files)?;
        Ok(Self { files, current: ArcSwap::new(Arc::new(config)), seen: parking_lot::Mutex::new(content) })
    }

    /// The handshake, to be awaited.
    pub fn begin(&self, socket: TcpStream) -> Accept<TcpStream> {
        TlsAcceptor::from(self.current.load_full()).accept(socket)
    }

    /// Reads the files again if they changed. New ones that cannot be used are reported, and the old ones stay.
    /// Returns whether new ones are in use.
    pub fn reload(&self) -> bool {
        let content = match read(&self.files) {
            Ok(content) => content,
            Err(error) => {
                warn!(%error, "TLS files cannot be read; the old certificate stays in use");
                return false;
            }
        };
        let mut seen = self.seen.lock();
        if *seen == content {
            return false;
        }
        *seen = content;
        match build(&self.files) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                info!(certificate = %self.files.certificate.display(), "new certificate in use");
                true
            }
            Err(error) => {
                warn!(%error, "new TLS files are no use; the old certificate stays in use");
                false
            }
        }
    }
}

fn read(files: &TlsFiles) -> Result<Vec<Vec<u8>>, TlsError> {
    [&files.certificate, &files.key]
        .into_iter()
        .chain(&files.certificate_authorities)
        .map(|path| std::fs::read(path).map_err(|e| file(path, &e)))
        .collect()
}

fn file(path: &Path, message: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), message: message.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|e| file(path, &e))?.collect();
    let all = all.map_err(|e| file(path, &e))?;
    if all.is_empty() {
        return Err(file(path, &"it holds no PEM certificate"));
    }
    Ok(all)
}

fn build(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let pair = |source| TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone(), source };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(pair)?;
    let builder = if files.client_authentication == ClientAuthentication::None {
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        for path in &files.certificate_authorities {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| file(path, &e))?;
            }
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = match files.client_authentication {
            ClientAuthentication::Optional => verifier.allow_unauthenticated(),
            _ => verifier,
        };
        let verifier = verifier.build().map_err(|e| TlsError::Authorities(e.to_string()))?;
        builder.with_client_cert_verifier(match files.client_names.as_slice() {
            [] => verifier,
            names => Arc::new(names::Named { inner: verifier, allowed: names.to_vec() }),
        })
    };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| file(&files.key, &e))?;
    builder.with_single_cert(certificates(&files.certificate)?, key).map_err(pair)
}
