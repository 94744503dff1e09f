//! Lets `curl 'localhost:8044/api/v1/search?q=response_code:>=500'` work as typed.
//!
//! curl sends `<`, `>` and `"` of a query as they are. The http crate refuses them in a request target (they belong
//! escaped, RFC 3986), and hyper answers 400 before any of our code runs. So they are escaped here, on the way in:
//! in the request lines of GET and HEAD, up to the first request on the connection that may carry a body. From there
//! on, and for anything that does not look like HTTP/1, bytes pass untouched, so nothing in a body is ever rewritten.

/// Follows the bytes of one connection.
#[derive(Debug, Default)]
pub struct Escaper {
    state: State,
    /// The first bytes of the line being read, as far as they tell what it is.
    head: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a request line; the method is not complete yet.
    #[default]
    Method,
    Target,
    Headers,
    /// Nothing is looked at any more.
    Pass,
}

/// Enough of a line to tell `transfer-encoding:` apart.
const HEAD_BYTES: usize = 20;

impl Escaper {
    /// Whether bytes pass untouched from here on.
    pub fn passes(&self) -> bool {
        self.state == State::Pass
    }

    /// Appends `input` to `out`, escaped where that is due. `input` may be cut anywhere.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for (at, &byte) in input.iter().enumerate() {
            match self.state {
                State::Pass => {
                    out.extend_from_slice(&input[at..]);
                    return;
                }
                State::Method => {
                    out.push(byte);
                    self.in_method(byte);
                }
                State::Target => match byte {
                    b'<' => out.extend_from_slice(b"%3C"),
                    b'>' => out.extend_from_slice(b"%3E"),
                    b'"' => out.extend_from_slice(b"%22"),
                    b'\n' => {
                        out.push(byte);
                        self.enter(State::Headers);
                    }
                    _ => out.push(byte),
                },
                State::Headers => {
                    out.push(byte);
                    self.in_headers(byte);
                }
            }
        }
    }

    fn in_method(&mut self, byte: u8) {
        self.head.push(byte);
        // Empty lines before a request are allowed (RFC 9112, 2.2).
        if self.head == b"\r" || self.head == b"\n" || self.head == b"\r\n" {
            if byte == b'\n' {
                self.head.clear();
            }
            return;
        }
        if self.head == b"GET " || self.head == b"HEAD " {
            self.enter(State::Target);
        } else if !b"GET ".starts_with(&self.head) && !b"HEAD ".starts_with(&self.head) {
            self.enter(State::Pass);
        }
    }

    fn in_headers(&mut self, byte: u8) {
        if byte != b'\n' {
            if self.head.len() < HEAD_BYTES {
                self.head.push(byte.to_ascii_lowercase());
            }
            return;
        }
        if self.head.is_empty() || self.head == b"\r" {
            self.enter(State::Method);
        } else if [&b"content-length"[..], b"transfer-encoding", b"upgrade"].iter().any(|n| self.head.starts_with(n)) {
            self.enter(State::Pass);
        } else {
            self.head.clear();
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.head.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(parts: &[&[u8]]) -> String {
        let (mut escaper, mut out) = (Escaper::default(), Vec::new());
        for part in parts {
            escaper.feed(part, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn targets_of_requests_without_bodies_are_escaped_and_nothing_else() {
        for (input, expected) in [
            ("GET /s?q=a:>=5 HTTP/1.1\r\nx: <>\r\n\r\n", "GET /s?q=a:%3E=5 HTTP/1.1\r\nx: <>\r\n\r\n"),
            ("HEAD /?q=\"<\" HTTP/1.1\r\n\r\n", "HEAD /?q=%22%3C%22 HTTP/1.1\r\n\r\n"),
            (
                "GET /?> HTTP/1.1\r\n\r\nGET /?< HTTP/1.1\r\n\r\n",
                "GET /?%3E HTTP/1.1\r\n\r\nGET /?%3C HTTP/1.1\r\n\r\n",
            ),
            ("\r\nGET /?> HTTP/1.1\r\n\r\n", "\r\nGET /?%3E HTTP/1.1\r\n\r\n"),
            ("POST /?> HTTP/1.1\r\n\r\nGET /?>", "POST /?> HTTP/1.1\r\n\r\nGET /?>"),
            (
                "GET / HTTP/1.1\r\nContent-Length: 7\r\n\r\nGET /?>",
                "GET / HTTP/1.1\r\nContent-Length: 7\r\n\r\nGET /?>",
            ),
            (
                "GET / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\n\r\n\"",
                "GET / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\n\r\n\"",
            ),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n<", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n<"),
            ("\u{16}\u{3}\u{1}>", "\u{16}\u{3}\u{1}>"),
            ("GETTER /> ", "GETTER /> "),
            ("", ""),
        ] {
            assert_eq!(escaped(&[input.as_bytes()]), expected, "{input:?}");
            for cut in 0..input.len() {
                let (a, b) = input.as_bytes().split_at(cut);
                assert_eq!(escaped(&[a, b]), expected, "{input:?} cut at {cut}");
            }
        }
    }
}
