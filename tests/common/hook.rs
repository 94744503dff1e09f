//! An HTTP server that receives messages and answers as a test wants: taken, refused, late, cut off, answered and lost.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// What the server does with a message.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Status(u16),
    /// Too many: come back after so many seconds.
    Later(u64),
    /// The connection is closed without a word; the message was not taken.
    Reset,
    /// The message was taken, and the answer is lost.
    Lost,
}

impl Answer {
    pub fn takes(self) -> bool {
        matches!(self, Self::Lost | Self::Status(200..300))
    }
}

pub struct Hook {
    pub address: SocketAddr,
    taken: Arc<Mutex<Vec<Received>>>,
}

impl Hook {
    /// Serves for the rest of the process. `answer` is asked with the number of each request, from 0.
    pub fn start(answer: impl Fn(u64) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&taken);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { continue };
                let _ = serve(stream, answer(number as u64), &seen);
            }
        });
        Self { address, taken }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Messages that were taken so far.
    pub fn taken(&self) -> Vec<Received> {
        self.taken.lock().unwrap().clone()
    }
}

/// One request a connection.
fn serve(mut stream: TcpStream, answer: Answer, taken: &Mutex<Vec<Received>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut headers, mut length) = (String::new(), Vec::new(), 0);
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let (name, value) = (name.to_lowercase(), value.trim().to_owned());
        if name == "content-length" {
            length = value.parse().unwrap_or(0);
        }
        headers.push((name, value));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if answer.takes() {
        taken.lock().unwrap().push(Received { path, headers, body });
    }
    match answer {
        Answer::Status(status) => {
            let body = if status < 300 { "ok" } else { "no" };
            write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{body}")
        }
        Answer::Later(seconds) => {
            write!(stream, "HTTP/1.1 429 X\r\nretry-after: {seconds}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        Answer::Reset | Answer::Lost => Ok(()),
    }
}
