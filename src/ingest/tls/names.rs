//! Which clients' certificates are taken, beside being of a known authority: by the names they are for.

use std::fmt;
use std::sync::Arc;

use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::EndEntityCert;

/// A subject alternative name that a certificate may have: a DNS name, `*.` and the labels behind the first, or a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// An error says what to write.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_uri = text.contains("://");
        let labels = text.strip_prefix("*.").unwrap_or(text);
        let is_dns = labels.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        });
        if is_uri || is_dns {
            return Ok(Self(if is_uri { text.to_owned() } else { text.to_ascii_lowercase() }));
        }
        Err(format!(
            "{text:?} is no name of a certificate: write filebeat.logging.svc, *.nodes.example.org or spiffe://…"
        ))
    }

    fn is(&self, shown: &str) -> bool {
        match self.0.strip_prefix("*.") {
            Some(parent) => {
                shown.split_once('.').is_some_and(|(label, rest)| label != "*" && rest.eq_ignore_ascii_case(parent))
            }
            None if self.0.contains("://") => shown == self.0,
            None => shown.eq_ignore_ascii_case(&self.0),
        }
    }
}

/// A certificate is of a known authority, and for somebody else.
#[derive(Debug)]
struct OtherName(String);

impl fmt::Display for OtherName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the client's certificate is for {}, which client_names does not list", self.0)
    }
}

impl std::error::Error for OtherName {}

/// Asks `inner` first, then for the name.
#[derive(Debug)]
pub struct Named {
    pub inner: Arc<dyn ClientCertVerifier>,
    pub allowed: Vec<Name>,
}

impl ClientCertVerifier for Named {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let bad = |_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
        let certificate = EndEntityCert::try_from(end_entity).map_err(bad)?;
        let shown = || certificate.valid_dns_names().chain(certificate.valid_uri_names());
        if shown().any(|shown| self.allowed.iter().any(|name| name.is(shown))) {
            return Ok(verified);
        }
        let names = shown().collect::<Vec<_>>().join(", ");
        let other = OtherName(if names.is_empty() { "no name".to_owned() } else { names });
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(other)))))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_names_a_label_or_a_uri() {
        for (name, shown, is) in [
            ("filebeat.logging.svc", "filebeat.logging.svc", true),
            ("Filebeat.logging.svc", "filebeat.LOGGING.svc", true),
            ("filebeat.logging.svc", "other.filebeat.logging.svc", false),
            ("*.nodes.example.org", "a.nodes.example.org", true),
            ("*.nodes.example.org", "a.b.nodes.example.org", false),
            ("*.nodes.example.org", "nodes.example.org", false),
            ("*.nodes.example.org", "*.nodes.example.org", false),
            ("spiffe://c/ns/logging/sa/filebeat", "spiffe://c/ns/logging/sa/filebeat", true),
            ("spiffe://c/ns/logging/sa/filebeat", "spiffe://c/ns/logging/sa/filebeat2", false),
        ] {
            assert_eq!(Name::read(name).unwrap().is(shown), is, "{name} {shown}");
        }
        for name in ["", "*", "a b", "a..b", "*.*.example.org", "a,b"] {
            assert!(Name::read(name).unwrap_err().contains("write filebeat"), "{name}");
        }
    }
}
