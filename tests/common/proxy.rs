//! A proxy that breaks connections on purpose: cuts them at a byte, splits their writes, closes one half.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to the next connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    Sound,
    /// Both sides are closed once so many bytes went from client to server.
    Up(u64),
    /// Both sides are closed once so many bytes went from server to client.
    Down(u64),
    /// The client's half ends after so many bytes, with a FIN; the server may still answer.
    HalfClose(u64),
    /// Every byte is a write of its own, in both directions.
    Trickle,
}

impl Cut {
    fn up(self) -> Option<u64> {
        match self {
            Self::Up(bytes) | Self::HalfClose(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn down(self) -> Option<u64> {
        match self {
            Self::Down(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// A running proxy; each connection takes the next cut, and is sound when none is left.
pub struct Proxy {
    pub address: SocketAddr,
    cuts: Arc<Mutex<Vec<Cut>>>,
    /// Bytes that went up and down over the last connection that ended.
    passed: Arc<Mutex<(u64, u64)>>,
}

impl Proxy {
    /// Must be called in a tokio runtime, which the proxy ends with.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), cuts: Arc::default(), passed: Arc::default() };
        let (cuts, passed) = (proxy.cuts.clone(), proxy.passed.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let cut = cuts.lock().pop().unwrap_or(Cut::Sound);
                let passed = passed.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(target).await {
                        *passed.lock() = pass(client, server, cut).await;
                    }
                });
            }
        });
        proxy
    }

    /// What the next connection suffers.
    pub fn next(&self, cut: Cut) {
        self.cuts.lock().push(cut);
    }

    /// Bytes up and down over the last connection that ended.
    pub fn passed(&self) -> (u64, u64) {
        *self.passed.lock()
    }
}

async fn pass(client: TcpStream, server: TcpStream, cut: Cut) -> (u64, u64) {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (mut up, mut down) = (0, 0);
    let (client_reader, client_writer) = client.into_split();
    let (server_reader, server_writer) = server.into_split();
    {
        let trickle = cut == Cut::Trickle;
        let upward = copy(client_reader, server_writer, cut.up(), trickle, &mut up);
        let downward = copy(server_reader, client_writer, cut.down(), trickle, &mut down);
        tokio::pin!(upward, downward);
        // The first end of a direction ends both where the connection is cut; else each ends by itself.
        tokio::select! {
            () = &mut upward => if !matches!(cut, Cut::Up(_)) { downward.await },
            () = &mut downward => if !matches!(cut, Cut::Down(_)) { upward.await },
        }
    }
    (up, down)
}

/// Copies until the end, an error, or `limit` bytes; then closes the writer.
async fn copy(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    limit: Option<u64>,
    trickle: bool,
    passed: &mut u64,
) {
    let mut buffer = [0; 16 << 10];
    loop {
        let left = limit.map_or(u64::MAX, |limit| limit - *passed);
        if left == 0 {
            break;
        }
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Ok(bytes @ 1..) = reader.read(&mut buffer[..wanted]).await else { break };
        let step = if trickle { 1 } else { bytes };
        for part in buffer[..bytes].chunks(step) {
            if writer.write_all(part).await.is_err() {
                return;
            }
        }
        *passed += bytes as u64;
    }
    let _ = writer.shutdown().await;
}
