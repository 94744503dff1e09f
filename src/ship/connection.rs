//! One connection to the receiver: TCP, with TLS on it where wanted.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How to speak TLS to the receiver.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// PEM file of the authorities that the receiver's certificate must come from.
    pub ca: Option<PathBuf>,
    /// PEM files of the client's certificate chain and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Take any certificate: for tests.
    pub insecure: bool,
    /// The name to ask for and to check, where it is not the host in the address.
    pub server_name: Option<String>,
}

/// A connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot connect to {to}: {source}")]
    Tcp { to: String, source: io::Error },
    #[error("TLS with {to} failed: {source}")]
    Handshake { to: String, source: io::Error },
    #[error("{to:?} is not HOST:PORT")]
    Address { to: String },
    #[error("{}: no usable PEM: {reason}", path.display())]
    Pem { path: PathBuf, reason: String },
    #[error("TLS needs the authorities of the receiver's certificate (a CA file), or the insecure switch in a test")]
    NoAuthorities,
    #[error("TLS settings do not fit together: {0}")]
    Settings(#[from] rustls::Error),
}

impl ConnectError {
    /// Whether trying again can help: settings do not mend themselves.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Tcp { .. } | Self::Handshake { .. })
    }
}

/// What the sender reads and writes.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Where to connect, made once: a reconnect reads no file.
pub(super) struct Dialer {
    to: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialer {
    pub fn new(to: &str, tls: Option<&Tls>) -> Result<Self, ConnectError> {
        let address = || ConnectError::Address { to: to.to_owned() };
        let (host, _port) = to.rsplit_once(':').ok_or_else(address)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match tls {
            None => None,
            Some(tls) => {
                let name = tls.server_name.clone().unwrap_or(host);
                let name = ServerName::try_from(name).map_err(|_| address())?;
                Some((TlsConnector::from(Arc::new(client_config(tls)?)), name))
            }
        };
        Ok(Self { to: to.to_owned(), tls })
    }

    pub async fn dial(&self) -> Result<Box<dyn Duplex>, ConnectError> {
        let tcp = |source| ConnectError::Tcp { to: self.to.clone(), source };
        let stream = TcpStream::connect(&self.to).await.map_err(tcp)?;
        stream.set_nodelay(true).map_err(tcp)?;
        let Some((connector, name)) = &self.tls else { return Ok(Box::new(stream)) };
        let stream = connector
            .connect(name.clone(), stream)
            .await
            .map_err(|source| ConnectError::Handshake { to: self.to.clone(), source })?;
        Ok(Box::new(stream))
    }
}

fn client_config(tls: &Tls) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = if tls.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate::new(&provider)))
    } else {
        let path = tls.ca.clone().ok_or(ConnectError::NoAuthorities)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&path)? {
            roots.add(certificate)?;
        }
        builder.with_root_certificates(roots)
    };
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => {
            let pem = |error: rustls_pki_types::pem::Error| ConnectError::Pem {
                path: key.clone(),
                reason: error.to_string(),
            };
            Ok(builder.with_client_auth_cert(certificates(chain)?, PrivateKeyDer::from_pem_file(key).map_err(pem)?)?)
        }
    }
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let pem = |reason: String| ConnectError::Pem { path: path.clone(), reason };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|error| pem(error.to_string()))?
        .collect::<Result<_, _>>()
        .map_err(|error| pem(error.to_string()))?;
    if found.is_empty() {
        return Err(pem("it holds no certificate".to_owned()));
    }
    Ok(found)
}

/// Believes any certificate, but still checks that the peer holds its key.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl AnyCertificate {
    fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
