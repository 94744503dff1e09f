//! The sender against a small Lumberjack server that misbehaves on order.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::ZlibDecoder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use super::*;

/// What the server does with one window.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Ack,
    /// Takes the window, closes without an ack.
    Close,
    /// Writes these frames before the ack.
    First(&'static [[u8; 6]]),
    /// Writes this in place of an ack.
    Instead([u8; 6]),
    Late(Duration),
    Never,
}

/// A server that answers its windows in the order of the script, then acks; events are counted by their bytes.
#[derive(Default)]
struct Server {
    script: Mutex<std::collections::VecDeque<Answer>>,
    seen: Mutex<HashMap<Vec<u8>, u32>>,
}

impl Server {
    async fn start(script: impl IntoIterator<Item = Answer>) -> (Arc<Self>, String) {
        let server = Arc::new(Self { script: Mutex::new(script.into_iter().collect()), ..Self::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        (server, address)
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
        loop {
            let mut head = [0; 6];
            stream.read_exact(&mut head).await?;
            assert_eq!(&head[..2], b"2W");
            let events = number(&head[2..]);
            let frames = read_frames(&mut stream, events).await?;
            let mut seen = self.seen.lock().await;
            for event in frames {
                *seen.entry(event).or_default() += 1;
            }
            drop(seen);
            let answer = self.script.lock().await.pop_front().unwrap_or(Answer::Ack);
            let mut ack = *b"2A\0\0\0\0";
            ack[2..].copy_from_slice(&events.to_be_bytes());
            match answer {
                Answer::Ack => stream.write_all(&ack).await?,
                Answer::Close => return Ok(()),
                Answer::First(frames) => {
                    stream.write_all(&frames.concat()).await?;
                    stream.write_all(&ack).await?;
                }
                Answer::Instead(frame) => stream.write_all(&frame).await?,
                Answer::Late(delay) => {
                    tokio::time::sleep(delay).await;
                    stream.write_all(&ack).await?;
                }
                Answer::Never => std::future::pending().await,
            }
            stream.flush().await?;
        }
    }
}

/// The events of one window, compressed or bare; sequences must run from 1.
async fn read_frames(stream: &mut (impl AsyncRead + Unpin), events: u32) -> std::io::Result<Vec<Vec<u8>>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let mut inflated = Vec::new();
    if &head == b"2C" {
        let mut zlib = vec![0; stream.read_u32().await? as usize];
        stream.read_exact(&mut zlib).await?;
        ZlibDecoder::new(&zlib[..]).read_to_end(&mut inflated).unwrap();
    } else {
        inflated.extend_from_slice(&head);
        for i in 0..events {
            if i > 0 {
                stream.read_exact(&mut head).await?;
                inflated.extend_from_slice(&head);
            }
            let mut numbers = [0; 8];
            stream.read_exact(&mut numbers).await?;
            inflated.extend_from_slice(&numbers);
            let mut body = vec![0; number(&numbers[4..]) as usize];
            stream.read_exact(&mut body).await?;
            inflated.extend_from_slice(&body);
        }
    }
    let (mut rest, mut out) = (&inflated[..], Vec::new());
    for seq in 1..=events {
        assert_eq!((&rest[..2], number(&rest[2..6])), (&b"2J"[..], seq));
        let length = number(&rest[6..10]) as usize;
        out.push(rest[10..10 + length].to_vec());
        rest = &rest[10 + length..];
    }
    assert!(rest.is_empty());
    Ok(out)
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

fn windows(count: u32, events: u32, level: u32) -> Vec<Window> {
    let mut builder = WindowBuilder::new(level);
    (0..count)
        .map(|window| {
            (0..events).for_each(|i| builder.push(format!(r#"{{"message":"{window} {i}"}}"#).as_bytes()));
            builder.finish().unwrap()
        })
        .collect()
}

fn quick(to: String) -> Options {
    let mut options = Options::new(to);
    options.timeout = Duration::from_millis(300);
    options.backoff_init = Duration::from_millis(5);
    options.backoff_max = Duration::from_millis(20);
    options.give_up = Some(Duration::from_secs(20));
    options
}

/// Sends eight windows of five; gives the report and how often each event arrived.
async fn ship(script: impl IntoIterator<Item = Answer>, level: u32) -> (Report, Vec<u32>) {
    let (server, address) = Server::start(script).await;
    let stats = Stats::default();
    let start = Instant::now();
    send(&quick(address), windows(8, 5, level).into(), &stats).await.unwrap();
    let seen = server.seen.lock().await;
    assert_eq!(seen.len(), 40);
    (stats.report(start.elapsed()), seen.values().copied().collect())
}

#[tokio::test]
async fn everything_is_sent_once_to_a_sound_receiver() {
    for level in [0, 3, 9] {
        let (report, seen) = ship([], level).await;
        assert_eq!((report.events, report.windows, report.reconnects, report.resent_windows), (40, 8, 0, 0));
        assert!(seen.iter().all(|n| *n == 1), "level {level}");
        assert!(report.ack_ms.max > 0.0 && report.ack_ms.p50 <= report.ack_ms.max);
    }
}

#[tokio::test]
async fn errors_bring_everything_unacknowledged_again() {
    for (what, answer) in [
        ("closed", Answer::Close),
        ("silent", Answer::Never),
        ("a sequence above the window's", Answer::Instead(*b"2A\0\0\0\x06")),
        ("version 1", Answer::Instead(*b"1A\0\0\0\x05")),
        ("not an ack", Answer::Instead(*b"2W\0\0\0\x05")),
    ] {
        let (report, seen) = ship([Answer::Ack, answer], 3).await;
        assert_eq!((report.events, report.reconnects), (40, 1), "{what}");
        assert!(report.resent_windows >= 1, "{what}: {report:?}");
        assert!(seen.iter().all(|n| (1..=2).contains(n)), "{what}: {seen:?}");
        assert!(seen.contains(&2), "{what}");
    }
}

#[tokio::test]
async fn keep_alives_and_partial_acks_only_keep_the_connection() {
    const FRAMES: &[[u8; 6]] = &[*b"2A\0\0\0\0", *b"2A\0\0\0\0", *b"2A\0\0\0\x02"];
    let (report, seen) = ship([Answer::First(FRAMES)], 3).await;
    assert_eq!((report.keep_alives, report.reconnects), (2, 0));
    assert!(seen.iter().all(|n| *n == 1));
}

#[tokio::test]
async fn an_ack_within_the_time_out_is_waited_for() {
    let (report, _) = ship([Answer::Late(Duration::from_millis(150))], 3).await;
    assert_eq!(report.reconnects, 0);
    assert!(report.ack_ms.max >= 145.0, "{report:?}");
}

#[tokio::test]
async fn a_receiver_that_comes_late_is_waited_for_and_none_is_an_error() {
    let probe = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = probe.local_addr().unwrap().to_string();
    drop(probe);
    let mut options = quick(address);
    options.give_up = Some(Duration::from_millis(50));
    let error = send(&options, windows(1, 1, 3).into(), &Stats::default()).await.unwrap_err();
    assert!(matches!(error, SendError::GaveUp { .. }), "{error}");
    options.to = "no port".into();
    let error = send(&options, windows(1, 1, 3).into(), &Stats::default()).await.unwrap_err();
    assert!(matches!(error, SendError::Connect(ConnectError::Address { .. })), "{error}");
}

#[tokio::test]
async fn a_channel_is_sent_until_it_closes_and_at_its_pace() {
    let (_server, address) = Server::start([]).await;
    let mut options = quick(address);
    let start = Instant::now();
    options.pace = Some(Arc::new(Pace::new(start, 200.0)));
    let (sender, receiver) = mpsc::channel(1);
    let stats = Stats::default();
    let feed = async {
        for window in windows(8, 5, 3) {
            sender.send(window).await.unwrap();
        }
        drop(sender);
    };
    let (sent, ()) = tokio::join!(send(&options, Windows::Channel(receiver), &stats), feed);
    sent.unwrap();
    // The last of eight windows is due after 35 events at 200 a second.
    assert!(start.elapsed() >= Duration::from_millis(170), "{:?}", start.elapsed());
    assert_eq!(stats.events(), 40);
}

#[tokio::test]
async fn tls_is_checked_against_the_authorities() {
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = rcgen::CertifiedIssuer::self_signed(authority, rcgen::KeyPair::generate().unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = rcgen::CertificateParams::new(vec!["logs.example".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = quick(listener.local_addr().unwrap().to_string());
    tokio::spawn(async move {
        let server = Server::default();
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = server.serve(stream).await;
            }
        }
    });
    options.give_up = Some(Duration::from_millis(50));
    let named = |name: &str| Some(Tls { ca: Some(ca.clone()), server_name: Some(name.into()), ..Tls::default() });
    for (tls, sound) in [
        (named("logs.example"), true),
        (named("other.example"), false),
        (Some(Tls { insecure: true, ..Tls::default() }), true),
        (Some(Tls::default()), false),
    ] {
        options.tls = tls;
        let sent = send(&options, windows(3, 5, 3).into(), &Stats::default()).await;
        assert_eq!(sent.is_ok(), sound, "{:?}: {sent:?}", options.tls);
    }
}
