use std::path::Path;

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::*;
use crate::ingest::SinkError;
use crate::ingest::frame::build::{c, j, w};
use crate::ingest::tls::{ClientAuthentication, Name, TlsFiles};
use crate::record::Batch;

#[derive(Default)]
struct Store(Mutex<Vec<Batch>>);

impl Sink for Store {
    async fn accept(&self, batch: Batch) -> Result<(), SinkError> {
        self.0.lock().push(batch);
        Ok(())
    }
}

struct Running {
    server: Arc<Server<Store>>,
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn start(settings: Settings, tls: Option<Arc<Acceptor>>) -> Running {
    let server = Server::new(settings, Arc::new(Store::default()), tls, Arc::new(|| 0), Arc::new(|_| ()));
    let server = Arc::new(server);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let task = tokio::spawn({
        let (server, stop) = (Arc::clone(&server), stop.clone());
        async move { server.run(listener, stop).await }
    });
    Running { server, address, stop, task }
}

impl Running {
    fn closed(&self, reason: CloseReason) -> u64 {
        self.server.counters().closed(reason)
    }

    async fn stop(self) -> Arc<Counters> {
        self.stop.cancel();
        self.task.await.unwrap();
        self.server.counters()
    }
}

/// Sends a window of three events, and reads its acknowledgement.
async fn ship(socket: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<u32> {
    let frames: Vec<u8> = (1..=3).flat_map(|seq| j(b'2', seq, b"{}")).collect();
    socket.write_all(&[w(b'2', 3), c(b'2', &frames)].concat()).await?;
    socket.flush().await?;
    let mut ack = [0; 6];
    socket.read_exact(&mut ack).await?;
    assert_eq!(&ack[..2], b"2A");
    Ok(u32::from_be_bytes([ack[2], ack[3], ack[4], ack[5]]))
}

/// An authority, and certificates by it.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A client that trusts this authority, and shows a certificate if it has one.
    fn client(&self, shows: Option<&(String, String)>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        TlsConnector::from(Arc::new(match shows {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        }))
    }
}

fn files(dir: &Path, served: &Authority, clients: &Authority, client_authentication: ClientAuthentication) -> TlsFiles {
    let (certificate, key) = served.issue();
    std::fs::write(dir.join("cert.pem"), certificate).unwrap();
    std::fs::write(dir.join("key.pem"), key).unwrap();
    std::fs::write(dir.join("ca.pem"), &clients.pem).unwrap();
    TlsFiles {
        certificate: dir.join("cert.pem"),
        key: dir.join("key.pem"),
        client_authentication,
        certificate_authorities: vec![dir.join("ca.pem")],
        client_names: Vec::new(),
    }
}

async fn ship_tls(connector: &TlsConnector, address: SocketAddr) -> std::io::Result<u32> {
    let socket = TcpStream::connect(address).await?;
    let mut socket = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await?;
    let ack = ship(&mut socket).await?;
    socket.shutdown().await?;
    Ok(ack)
}

#[tokio::test]
async fn windows_go_through_a_socket() {
    let running = start(Settings::default(), None).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(ship(&mut socket).await.unwrap(), 3);
    assert_eq!(ship(&mut socket).await.unwrap(), 3);
    let counters = running.stop().await;
    assert_eq!(counters.windows.load(Relaxed), 2);
    assert_eq!(counters.closed(CloseReason::Shutdown), 1);
    assert_eq!(socket.read(&mut [0]).await.unwrap(), 0, "FIN, not RST");
}

#[tokio::test]
async fn a_connection_over_the_limit_is_refused_and_others_go_on() {
    let running = start(Settings { connections_max: 1, ..Settings::default() }, None).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(ship(&mut first).await.unwrap(), 3);
    let mut second = TcpStream::connect(running.address).await.unwrap();
    assert!(ship(&mut second).await.is_err());
    assert_eq!(ship(&mut first).await.unwrap(), 3);
    assert_eq!(running.closed(CloseReason::Refused), 1);
}

#[tokio::test]
async fn a_bare_connect_is_no_error() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path(), &authority, &authority, ClientAuthentication::None);
    for tls in [None, Some(Arc::new(Acceptor::new(files).unwrap()))] {
        let running = start(Settings::default(), tls).await;
        let mut socket = TcpStream::connect(running.address).await.unwrap();
        socket.shutdown().await.unwrap();
        assert_eq!(socket.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(running.stop().await.closed(CloseReason::Peer), 1);
    }
}

#[tokio::test]
async fn the_wrong_port_is_recognised_both_ways() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path(), &authority, &authority, ClientAuthentication::None);

    let running = start(Settings::default(), None).await;
    assert!(ship_tls(&authority.client(None), running.address).await.is_err());
    assert_eq!(running.stop().await.closed(CloseReason::TlsOnPlain), 1);

    let running = start(Settings::default(), Some(Arc::new(Acceptor::new(files).unwrap()))).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    assert!(ship(&mut socket).await.is_err());
    assert_eq!(running.stop().await.closed(CloseReason::PlainOnTls), 1);
}

#[tokio::test]
async fn who_may_connect() {
    use ClientAuthentication::{None as Nobody, Optional, Required};
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (known, unknown) = (authority.issue(), stranger.issue());
    for (asked, shows, accepted) in [
        (Nobody, None, true),
        (Optional, None, true),
        (Optional, Some(&known), true),
        (Optional, Some(&unknown), false),
        (Required, None, false),
        (Required, Some(&known), true),
        (Required, Some(&unknown), false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let acceptor = Acceptor::new(files(dir.path(), &authority, &authority, asked)).unwrap();
        let running = start(Settings::default(), Some(Arc::new(acceptor))).await;
        let shipped = ship_tls(&authority.client(shows), running.address).await;
        assert_eq!(shipped.is_ok(), accepted, "{asked:?}, shows {}: {shipped:?}", shows.is_some());
        let counters = running.stop().await;
        assert_eq!(counters.closed(CloseReason::Handshake), u64::from(!accepted), "{asked:?}");
    }
}

#[tokio::test]
async fn of_known_certificates_those_with_a_listed_name_are_taken() {
    let authority = Authority::new();
    let known = authority.issue();
    for (names, accepted) in [
        (&["localhost"][..], true),
        (&["other", "LOCALHOST"], true),
        (&["other", "*.localhost", "spiffe://localhost"], false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(dir.path(), &authority, &authority, ClientAuthentication::Required);
        files.client_names = names.iter().map(|name| Name::read(name).unwrap()).collect();
        let running = start(Settings::default(), Some(Arc::new(Acceptor::new(files).unwrap()))).await;
        let shipped = ship_tls(&authority.client(Some(&known)), running.address).await;
        assert_eq!(shipped.is_ok(), accepted, "{names:?}: {shipped:?}");
        assert_eq!(running.stop().await.closed(CloseReason::Handshake), u64::from(!accepted));
    }
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path(), &authority, &authority, ClientAuthentication::None);
    let settings = Settings { handshake_timeout: Duration::from_millis(50), ..Settings::default() };
    let running = start(settings, Some(Arc::new(Acceptor::new(files).unwrap()))).await;
    for begun in [&b""[..], b"\x16\x03\x01"] {
        let mut socket = TcpStream::connect(running.address).await.unwrap();
        socket.write_all(begun).await.unwrap();
        assert!(matches!(socket.read(&mut [0]).await, Ok(0) | Err(_)));
    }
    assert_eq!(running.stop().await.closed(CloseReason::Handshake), 2);
}

#[tokio::test]
async fn a_handshake_does_not_hold_up_the_end() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path(), &authority, &authority, ClientAuthentication::None);
    let running = start(Settings::default(), Some(Arc::new(Acceptor::new(files).unwrap()))).await;
    let mut begun = TcpStream::connect(running.address).await.unwrap();
    begun.write_all(b"\x16\x03\x01").await.unwrap();
    let silent = TcpStream::connect(running.address).await.unwrap();
    while running.server.counters().open.load(Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    let counters = timeout(Duration::from_secs(5), running.stop()).await.unwrap();
    assert_eq!((counters.closed(CloseReason::Shutdown), counters.open.load(Relaxed)), (2, 0));
    drop((begun, silent));
}

#[tokio::test]
async fn a_thousand_senders_that_announce_and_stall_cost_little() {
    let running = start(Settings::default(), None).await;
    let mut stalled = Vec::new();
    for n in 0..1000 {
        let mut socket = TcpStream::connect(running.address).await.unwrap();
        // A third only announce, a third claim the largest frame there may be, a third send some of it.
        let claim: &[u8] = [&b""[..], b"2J\0\0\0\x01\0\xff\0\0", b"2C\x04\0\0\0\x78\x5e"][n % 3];
        socket.write_all(&[&w(b'2', 65_536)[..], claim].concat()).await.unwrap();
        stalled.push(socket);
    }
    let counters = running.server.counters();
    while counters.open.load(Relaxed) < 1000 {
        tokio::task::yield_now().await;
    }
    let mut healthy = TcpStream::connect(running.address).await.unwrap();
    // Under 5 s, or the first answer were a keep-alive.
    let shipped = timeout(Duration::from_secs(10), async {
        for _ in 0..100 {
            assert_eq!(ship(&mut healthy).await.unwrap(), 3);
        }
    });
    shipped.await.unwrap();
    let used = running.server.budget().used();
    assert!(used < 64 << 20, "{used}");
    assert_eq!(counters.open.load(Relaxed), 1001, "nobody was sent away");
    drop(stalled);
    running.stop().await;
}

#[tokio::test]
async fn the_port_can_be_taken_again_at_once() {
    let running = start(Settings::default(), None).await;
    let address = running.address;
    let mut socket = TcpStream::connect(address).await.unwrap();
    assert_eq!(ship(&mut socket).await.unwrap(), 3);
    // The server's side closes first, so the port has a connection in TIME_WAIT.
    running.stop().await;
    assert_eq!(socket.read(&mut [0]).await.unwrap(), 0);
    drop(socket);
    let listener = TcpListener::bind(address).await.unwrap();
    assert!(socket2::SockRef::from(&listener).reuse_address().unwrap());
}

/// What is logged at `info` and above on this thread while the guard lives.
fn logged() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || Lines(Arc::clone(&writer)))
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn only_what_is_wrong_is_logged() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path(), &authority, &authority, ClientAuthentication::None);
    let acceptor = Arc::new(Acceptor::new(files).unwrap());
    let whole = [w(b'2', 1), j(b'2', 1, b"{}")].concat();
    for (tls, bytes, expected) in [
        (None, &b""[..], None),
        (None, &whole[..], None),
        (None, &whole[..9], None),
        (None, b"2X", Some("bad_type")),
        (None, b"\x16\x03\x01", Some("a TLS handshake came to a plain port")),
        (Some(&acceptor), b"", None),
        (Some(&acceptor), &whole, Some("a plain-text client on a TLS port")),
        (Some(&acceptor), b"GET / HTTP/1.1\r\n\r\n", Some("TLS handshake failed")),
    ] {
        let running = start(Settings::default(), tls.cloned()).await;
        let (lines, guard) = logged();
        let mut socket = TcpStream::connect(running.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        socket.shutdown().await.unwrap();
        let counters = running.server.counters();
        while CloseReason::ALL.iter().all(|(reason, _)| counters.closed(*reason) == 0) {
            tokio::task::yield_now().await;
        }
        drop(guard);
        let lines = String::from_utf8(lines.lock().clone()).unwrap();
        match expected {
            None => assert_eq!(lines, "", "{bytes:?}"),
            Some(expected) => {
                assert!(lines.contains(expected), "{lines}");
                assert_eq!(lines.lines().count(), 1, "{lines}");
            }
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_bad_one_is_not() {
    let (old, new) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().unwrap();
    let acceptor = Arc::new(Acceptor::new(files(dir.path(), &old, &old, ClientAuthentication::None)).unwrap());
    let running = start(Settings::default(), Some(Arc::clone(&acceptor))).await;
    let ships = async |authority: &Authority| ship_tls(&authority.client(None), running.address).await.is_ok();
    assert_eq!((ships(&old).await, ships(&new).await), (true, false));
    assert!(!acceptor.reload(), "nothing changed");

    let key = std::fs::read(dir.path().join("key.pem")).unwrap();
    files(dir.path(), &new, &new, ClientAuthentication::None);
    let new_key = std::fs::read(dir.path().join("key.pem")).unwrap();
    std::fs::write(dir.path().join("key.pem"), &key).unwrap();
    assert!(!acceptor.reload(), "the key is another certificate's");
    assert!(ships(&old).await);

    std::fs::write(dir.path().join("key.pem"), &new_key).unwrap();
    assert!(acceptor.reload());
    assert_eq!((ships(&old).await, ships(&new).await), (false, true));

    std::fs::remove_file(dir.path().join("cert.pem")).unwrap();
    assert!(!acceptor.reload());
    assert!(ships(&new).await);
}

#[tokio::test]
async fn an_old_connection_is_closed_between_windows_and_nothing_is_lost() {
    let age = Duration::from_millis(300);
    let running = start(Settings { age_max: Some(age), ..Settings::default() }, None).await;
    // One says nothing more after a window; one never stops, the next window always begun before the last is acknowledged.
    let mut quiet = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(ship(&mut quiet).await.unwrap(), 3);
    let mut busy = TcpStream::connect(running.address).await.unwrap();
    let begun = Instant::now();
    let frames: Vec<u8> = (1..=3).flat_map(|seq| j(b'2', seq, b"{}")).collect();
    let window = [w(b'2', 3), c(b'2', &frames)].concat();
    let half = window.len() / 2;
    let mut acknowledged = 0;
    busy.write_all(&window[..half]).await.unwrap();
    loop {
        let next = [&window[half..], &window[..half]].concat();
        let mut ack = [0; 6];
        if busy.write_all(&next).await.is_err() || busy.read_exact(&mut ack).await.is_err() {
            break;
        }
        acknowledged += 1;
        assert!(begun.elapsed() < 20 * age, "it is never closed");
    }
    assert!(begun.elapsed() >= age * 9 / 10, "{:?}", begun.elapsed());
    let mut rest = [0; 1];
    assert_eq!(quiet.read(&mut rest).await.unwrap(), 0);
    drop((quiet, busy));
    let store = Arc::clone(&running.server.shared.sink);
    assert_eq!(running.stop().await.closed(CloseReason::Old), 2);
    // Every window that was handed on was acknowledged before the end.
    assert_eq!(store.0.lock().len(), acknowledged + 1);
}
