//! One walk over an event's JSON: what belongs to the line is taken out, what belongs to the stream is only hashed.

use bumpalo::Bump;

use super::BadReason;
use super::hash::{Keys, MemberSum};
use super::marks::Marks;
use super::scan::{Decoded, Scan, Span, Stop};
use crate::record::time;

/// What the walk found.
#[derive(Debug, Default)]
pub struct Scanned<'b> {
    /// `@timestamp`, when it is a time.
    pub timestamp: Option<i64>,
    pub message: Option<&'b str>,
    pub offset: Option<u64>,
    /// `@metadata._id`.
    pub id: Option<&'b str>,
    /// The members of the stream.
    pub stream: MemberSum,
    /// Blanks between tokens: members are not compact.
    pub spaced: bool,
    /// A known key came twice, or may hide behind an escape, or a lone surrogate is in it: the event has to be
    /// rewritten before its raw bytes can be trusted.
    pub irregular: bool,
}

/// Members that go to `extra`, as ranges of the body. Kept by the decoder from event to event.
#[derive(Debug, Default)]
pub struct Extras {
    pub top: Vec<(usize, usize)>,
    /// Of `log`.
    pub log: Vec<(usize, usize)>,
    /// The value of an `@timestamp` that is not a time.
    pub bad_timestamp: Option<(usize, usize)>,
}

impl Extras {
    pub fn clear(&mut self) {
        self.top.clear();
        self.log.clear();
        self.bad_timestamp = None;
    }

    pub fn is_empty(&self) -> bool {
        self.top.is_empty() && self.log.is_empty() && self.bad_timestamp.is_none()
    }
}

struct Walk<'b, 'd, 'm> {
    text: &'b str,
    scan: Scan<'b, 'm>,
    keys: &'d Keys,
    arena: &'b Bump,
    scratch: &'d mut String,
    extras: &'d mut Extras,
    out: Scanned<'b>,
    /// One bit a known key seen.
    seen: u32,
    /// Filebeat 6's `source` and `offset`, which are the user's own keys unless `beat` is there.
    source: Option<(usize, usize)>,
    legacy_offset: Option<(usize, usize, Option<u64>)>,
}

const SEEN_LOG: u32 = 1;
const SEEN_METADATA: u32 = 1 << 1;
const SEEN_TIMESTAMP: u32 = 1 << 2;
const SEEN_MESSAGE: u32 = 1 << 3;
const SEEN_LOG_OFFSET: u32 = 1 << 4;
const SEEN_LOG_FILE: u32 = 1 << 5;
const SEEN_ID: u32 = 1 << 6;
const SEEN_BEAT: u32 = 1 << 7;
const SEEN_SOURCE: u32 = 1 << 8;
const SEEN_OFFSET: u32 = 1 << 9;
/// The stream's keys have the bits from here on.
const SEEN_STREAM: u32 = 1 << 10;

/// Walks `text`. `keys` hash the stream's members.
pub fn scan<'b>(
    text: &'b str,
    keys: &Keys,
    arena: &'b Bump,
    scratch: &mut String,
    extras: &mut Extras,
    marks: &mut Marks,
) -> Result<Scanned<'b>, BadReason> {
    extras.clear();
    let mut scan = Scan::new(text, marks);
    if scan.peek() != b'{' {
        // Tell what is no JSON at all from what is JSON and no event.
        let whole = scan.value(0).and_then(|()| scan.finish());
        return Err(whole.map_or_else(|Stop| scan.bad().into(), |()| BadReason::NotAnObject));
    }
    let (source, legacy_offset) = (None, None);
    let mut walk =
        Walk { text, scan, keys, arena, scratch, extras, out: Scanned::default(), seen: 0, source, legacy_offset };
    if let Err(Stop) = walk.event().and_then(|()| walk.scan.finish()) {
        return Err(walk.scan.bad().into());
    }
    walk.settle_legacy();
    walk.out.spaced = walk.scan.spaced;
    walk.out.irregular |= walk.scan.lone;
    Ok(walk.out)
}

/// Takes a member's value and adds the hashes of the leaf members in it. The scanner stands on the value; `seed` is
/// the path's, `depth` the number of containers around the member.
pub fn add_member(
    scan: &mut Scan,
    keys: &Keys,
    seed: u64,
    key: Span,
    depth: u32,
    sum: &mut MemberSum,
) -> Result<(), Stop> {
    let first = scan.peek();
    if first == b'"' {
        scan.string()?;
    } else if first == b'{' {
        let depth = scan.deeper(depth)?;
        if scan.enter_object()? {
            let seed = keys.child(seed, scan.bytes(key.range()));
            while scan.plain_members(|member| sum.add(keys.leaf(seed, member))) {
                let key = scan.key()?;
                add_member(scan, keys, seed, key, depth, sum)?;
                if !scan.next_member()? {
                    break;
                }
            }
            return Ok(());
        }
    } else {
        scan.value(depth)?;
    }
    sum.add(keys.leaf(seed, scan.bytes(key.member_start()..scan.at)));
    Ok(())
}

impl<'b> Walk<'b, '_, '_> {
    fn event(&mut self) -> Result<(), Stop> {
        let mut more = self.scan.enter_object()?;
        while more {
            let key = self.scan.key()?;
            self.out.irregular |= key.is_escaped();
            let name = &self.text.as_bytes()[key.range()];
            match name.len() {
                3 if name == b"log" => self.log(key)?,
                7 if name == b"message" => self.message(key)?,
                10 if name == b"@timestamp" => self.timestamp()?,
                9 if name == b"@metadata" => self.metadata()?,
                5 if name == b"agent" => self.agent(key)?,
                6 if name == b"source" => {
                    self.first(SEEN_SOURCE);
                    self.scan.value(1)?;
                    self.source = Some((key.member_start(), self.scan.at));
                }
                6 if name == b"offset" => {
                    self.first(SEEN_OFFSET);
                    let number = self.number(1)?;
                    self.legacy_offset = Some((key.member_start(), self.scan.at, number));
                }
                _ => match stream_bit(name) {
                    0 => self.extra(key)?,
                    bit => {
                        self.first(bit);
                        self.stream_member(0, key, 1)?;
                    }
                },
            }
            more = self.scan.next_member()?;
        }
        Ok(())
    }

    /// Notes a known key; a second one makes the event irregular.
    #[inline(always)]
    fn first(&mut self, bit: u32) {
        self.out.irregular |= self.seen & bit != 0;
        self.seen |= bit;
    }

    fn extra(&mut self, key: Span) -> Result<(), Stop> {
        self.scan.value(1)?;
        self.extras.top.push((key.member_start(), self.scan.at));
        Ok(())
    }

    #[inline]
    fn stream_member(&mut self, seed: u64, key: Span, depth: u32) -> Result<(), Stop> {
        add_member(&mut self.scan, self.keys, seed, key, depth, &mut self.out.stream)
    }

    fn string(&mut self) -> Result<&'b str, Stop> {
        Ok(match self.scan.string_decoded(self.scratch)? {
            Decoded::Borrowed(text) => text,
            Decoded::Scratch(text) => self.arena.alloc_str(text),
        })
    }

    fn message(&mut self, key: Span) -> Result<(), Stop> {
        self.first(SEEN_MESSAGE);
        if self.scan.peek() != b'"' {
            return self.extra(key);
        }
        self.out.message = Some(self.string()?);
        Ok(())
    }

    fn timestamp(&mut self) -> Result<(), Stop> {
        self.first(SEEN_TIMESTAMP);
        let start = self.scan.at;
        if self.scan.peek() == b'"' {
            let span = self.scan.string()?;
            self.out.timestamp = time::parse_rfc3339(&self.text[span.range()]);
        } else {
            self.scan.value(1)?;
        }
        if self.out.timestamp.is_none() {
            self.extras.bad_timestamp = Some((start, self.scan.at));
        }
        Ok(())
    }

    /// A number that is an unsigned integer; any other value is taken and is `None`.
    fn number(&mut self, depth: u32) -> Result<Option<u64>, Stop> {
        match self.scan.peek() {
            b'-' | b'0'..=b'9' => Ok(self.scan.number()?.parse().ok()),
            _ => self.scan.value(depth).map(|()| None),
        }
    }

    fn metadata(&mut self) -> Result<(), Stop> {
        self.first(SEEN_METADATA);
        if self.scan.peek() != b'{' {
            return self.scan.value(1);
        }
        let mut more = self.scan.enter_object()?;
        while more {
            let key = self.scan.key()?;
            self.out.irregular |= key.is_escaped();
            if &self.text[key.range()] == "_id" && self.scan.peek() == b'"' {
                self.first(SEEN_ID);
                self.out.id = Some(self.string()?).filter(|id| !id.is_empty());
            } else {
                self.scan.value(2)?;
            }
            more = self.scan.next_member()?;
        }
        Ok(())
    }

    fn agent(&mut self, key: Span) -> Result<(), Stop> {
        self.first(SEEN_STREAM);
        if self.scan.peek() != b'{' {
            return self.stream_member(0, key, 1);
        }
        let seed = self.keys.child(0, b"agent");
        let mut more = self.scan.enter_object()?;
        while more {
            let key = self.scan.key()?;
            self.out.irregular |= key.is_escaped();
            let name = &self.text.as_bytes()[key.range()];
            if name == b"ephemeral_id" {
                self.scan.value(2)?;
            } else {
                self.stream_member(seed, key, 2)?;
            }
            more = self.scan.next_member()?;
        }
        Ok(())
    }

    fn log(&mut self, key: Span) -> Result<(), Stop> {
        self.first(SEEN_LOG);
        if self.scan.peek() != b'{' {
            return self.extra(key);
        }
        let seed = self.keys.child(0, b"log");
        let mut more = self.scan.enter_object()?;
        while more {
            let key = self.scan.key()?;
            self.out.irregular |= key.is_escaped();
            match &self.text.as_bytes()[key.range()] {
                b"offset" => {
                    self.first(SEEN_LOG_OFFSET);
                    match self.number(2)? {
                        None => self.extras.log.push((key.member_start(), self.scan.at)),
                        offset => self.out.offset = offset,
                    }
                }
                b"file" => {
                    self.first(SEEN_LOG_FILE);
                    self.stream_member(seed, key, 2)?;
                }
                _ => {
                    self.scan.value(2)?;
                    self.extras.log.push((key.member_start(), self.scan.at));
                }
            }
            more = self.scan.next_member()?;
        }
        Ok(())
    }

    fn settle_legacy(&mut self) {
        let legacy = self.seen & SEEN_BEAT != 0;
        if let Some((start, end)) = self.source {
            if legacy {
                // An object would be one leaf here and several when counted: decoded every time, and never mistaken.
                self.out.stream.add(self.keys.leaf(0, &self.text.as_bytes()[start..end]));
            } else {
                self.extras.top.push((start, end));
            }
        }
        match self.legacy_offset {
            Some((_, _, offset @ Some(_))) if legacy && self.out.offset.is_none() => self.out.offset = offset,
            Some((start, end, _)) => self.extras.top.push((start, end)),
            None => {}
        }
    }
}

/// The bit of a key of [`super::fields::STREAM_KEYS`]; 0 for any other.
#[inline]
fn stream_bit(key: &[u8]) -> u32 {
    let n = match key.len() {
        3 if key == b"ecs" => 1,
        4 if key == b"host" => 2,
        4 if key == b"tags" => 3,
        4 if key == b"beat" => return SEEN_BEAT,
        5 if key == b"input" => 4,
        5 if key == b"cloud" => 5,
        6 if key == b"stream" => 6,
        6 if key == b"fields" => 7,
        7 if key == b"service" => 8,
        9 if key == b"container" => 9,
        10 if key == b"kubernetes" => 10,
        10 if key == b"prospector" => 11,
        11 if key == b"data_stream" => 12,
        12 if key == b"orchestrator" => 13,
        _ => return 0,
    };
    SEEN_STREAM << n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_key_has_its_own_bit() {
        let mut seen = 0;
        for key in super::super::fields::STREAM_KEYS.iter().filter(|key| **key != "agent") {
            let bit = stream_bit(key.as_bytes());
            assert!(bit != 0 && seen & bit == 0, "{key}");
            seen |= bit;
        }
        assert_eq!(seen & (SEEN_STREAM | SEEN_LOG), 0);
    }
}
