//! The bytes of one HTTP connection: as they come, or by TLS.
//!
//! The handshake happens in the connection's own first read, so that a slow peer holds up nobody who waits to be accepted. Who
//! speaks plain HTTP to a port that has TLS is told so, in plain HTTP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::Accept;
use tokio_rustls::server::TlsStream;

use crate::ingest::tls::Acceptor;

/// How a TLS connection begins: a record of the handshake.
const HANDSHAKE: u8 = 22;

/// What a client of plain HTTP reads.
const WRONG_SCHEME: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 54\r\n\
    Connection: close\r\n\r\n\
    this port speaks TLS: write https:// in place of http\n";

/// What a client may still send after it was told.
const LEFT_BYTES_MAX: usize = 1 << 20;

pub enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Nothing came yet.
    Unknown(TcpStream, Arc<Acceptor>),
    Handshake(Box<Accept<TcpStream>>),
    /// Of [`WRONG_SCHEME`] so many bytes are written; of what the client sends so many were left unread.
    Refused {
        socket: TcpStream,
        written: usize,
        left: usize,
    },
    Closed,
}

impl Transport {
    pub fn new(socket: TcpStream, tls: Option<Arc<Acceptor>>) -> Self {
        match tls {
            None => Self::Plain(socket),
            Some(tls) => Self::Unknown(socket, tls),
        }
    }

    /// Whether requests can be read; a peer that will never send any is an error.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self {
                Self::Plain(_) | Self::Tls(_) => return Poll::Ready(Ok(())),
                Self::Unknown(socket, _) => {
                    let mut first = [0u8; 1];
                    let mut first = ReadBuf::new(&mut first);
                    ready!(socket.poll_peek(cx, &mut first))?;
                    let begins = first.filled().first().copied();
                    let Self::Unknown(socket, tls) = std::mem::replace(self, Self::Closed) else { continue };
                    *self = match begins {
                        None => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                        Some(HANDSHAKE) => Self::Handshake(Box::new(tls.begin(socket))),
                        Some(_) => Self::Refused { socket, written: 0, left: 0 },
                    };
                }
                Self::Handshake(accept) => match ready!(Pin::new(&mut **accept).poll(cx)) {
                    Ok(stream) => *self = Self::Tls(Box::new(stream)),
                    Err(error) => {
                        *self = Self::Closed;
                        // Who only tries whether the port is open is no news.
                        if error.kind() != io::ErrorKind::UnexpectedEof {
                            tracing::info!(%error, "TLS handshake of an HTTP client failed");
                        }
                        return Poll::Ready(Err(error));
                    }
                },
                Self::Refused { socket, written, left } => {
                    ready!(poll_refuse(socket, written, left, cx))?;
                    *self = Self::Closed;
                }
                Self::Closed => return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            }
        }
    }
}

/// Tells the client, then reads until it closes: closing first would take the answer back.
fn poll_refuse(
    socket: &mut TcpStream,
    written: &mut usize,
    left: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while *written < WRONG_SCHEME.len() {
        *written += ready!(Pin::new(&mut *socket).poll_write(cx, &WRONG_SCHEME[*written..]))?;
        if *written == WRONG_SCHEME.len() {
            ready!(Pin::new(&mut *socket).poll_shutdown(cx))?;
        }
    }
    let mut bytes = [0u8; 4096];
    while *left < LEFT_BYTES_MAX {
        let mut bytes = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut *socket).poll_read(cx, &mut bytes))?;
        if bytes.filled().is_empty() {
            break;
        }
        *left += bytes.filled().len();
    }
    Poll::Ready(Ok(()))
}

impl AsyncRead for Transport {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, parts),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            // rustls gathers slices into one record.
            _ => true,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}
