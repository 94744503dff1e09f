//! Reads server-sent events from bytes cut anywhere: names and data, comments left out.

/// One event. `name` is empty for a plain `data:` event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub data: String,
}

/// A server that sends a longer line than this is no loghound.
const LINE_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, thiserror::Error)]
#[error("the server sent a line of more than {LINE_BYTES_MAX} bytes")]
pub struct TooLong;

#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
}

impl Reader {
    /// Takes the next bytes and gives the events they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            if self.line.len() + part.len() > LINE_BYTES_MAX {
                return Err(TooLong);
            }
            self.line.extend_from_slice(part);
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                events.extend(self.take_line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])));
            }
        }
        Ok(events)
    }

    fn take_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            "event" => self.event.name = value.to_owned(),
            // Comments (an empty name), ids and retry times.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_however_they_are_cut() {
        let stream =
            "data: {\"a\":\"é\"}\n\n: keep-alive\n\nevent: skipped\ndata: 4\r\n\r\ndata:x\ndata: y\n\nid: 3\n\n";
        let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        let expected = vec![event("", "{\"a\":\"é\"}"), event("skipped", "4"), event("", "x\ny")];
        for cut in 0..stream.len() {
            let mut reader = Reader::default();
            let mut events = reader.feed(&stream.as_bytes()[..cut]).unwrap();
            events.extend(reader.feed(&stream.as_bytes()[cut..]).unwrap());
            assert_eq!(events, expected, "cut at {cut}");
        }
    }
}
