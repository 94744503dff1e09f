//! A run: many characters of one class.

use super::block::find;
use super::class::Class;
use super::set::{END, Set};

/// Bytes looked at one by one before memchr is called: many fields are shorter than its start is worth.
const NEAR: usize = 16;

/// A repetition of one class of characters.
#[derive(Debug)]
pub(super) struct Run {
    /// Its number among those of the program that may be left at several places.
    pub(super) number: usize,
    class: Class,
    min: u32,
    /// In characters, which are bytes then: a class beyond ASCII has no maximum, and a minimum of 0 or 1.
    max: usize,
    until: Until,
    /// What may come next.
    exit: Box<[bool; 256]>,
    exit_end: bool,
    exit_byte: Option<u8>,
}

/// What ends a run.
#[derive(Debug)]
enum Until {
    /// The end of the text.
    End,
    One(u8),
    Two(u8, u8),
    Three(u8, u8, u8),
    Other,
}

impl Run {
    pub(super) fn new(class: Set, min: u32, max: Option<u32>, exit: Set) -> Run {
        let out: Vec<u8> = Set::ASCII.union(Set::WIDE).minus(class).iter().collect();
        let until = match out[..] {
            [] => Until::End,
            [a] => Until::One(a),
            [a, b] => Until::Two(a, b),
            [a, b, c] => Until::Three(a, b, c),
            _ => Until::Other,
        };
        Run {
            number: 0,
            class: Class::new(class),
            min,
            max: max.map_or(usize::MAX, |max| max as usize),
            until,
            exit: exit.table(),
            exit_end: exit.contains(END),
            exit_byte: exit.single(),
        }
    }

    /// Where the run that begins at `at` ends at the latest; None if it is too short.
    #[inline]
    pub(super) fn extent(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let rest = if self.max == usize::MAX {
            &bytes[at..]
        } else {
            &bytes[at..bytes.len().min(at.saturating_add(self.max))]
        };
        let len = match self.until {
            Until::End => rest.len(),
            Until::Other => self.near(rest, rest.len()).unwrap_or(rest.len()),
            Until::One(a) => self.far(rest, |rest| memchr::memchr(a, rest)),
            Until::Two(a, b) => self.far(rest, |rest| memchr::memchr2(a, b, rest)),
            Until::Three(a, b, c) => self.far(rest, |rest| memchr::memchr3(a, b, c, rest)),
        };
        (len >= self.min as usize).then_some(at + len)
    }

    fn near(&self, rest: &[u8], len: usize) -> Option<usize> {
        let near = self.class.span(&rest[..len]);
        (near < len).then_some(near)
    }

    fn far(&self, rest: &[u8], find: impl Fn(&[u8]) -> Option<usize>) -> usize {
        let near = NEAR.min(rest.len());
        self.near(rest, near).unwrap_or_else(|| find(&rest[near..]).map_or(rest.len(), |len| near + len))
    }

    /// The same, with where it ends at the earliest in front.
    #[inline]
    pub(super) fn extents(&self, bytes: &[u8], at: usize) -> Option<(usize, usize)> {
        let high = self.extent(bytes, at)?;
        // Where the minimum is one character of a class beyond ASCII, that may be several bytes.
        let mut low = at + self.min as usize;
        while self.min > 0 && bytes.get(low).is_some_and(|byte| byte & 0xc0 == 0x80) {
            low += 1;
        }
        Some((low, high))
    }

    /// Where the run that begins at `at` ends at the earliest; None if it is too short.
    #[inline]
    pub(super) fn least(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let mut end = at;
        for _ in 0..self.min {
            if !self.goes_on(bytes, end) {
                return None;
            }
            end += 1;
        }
        // The minimum is one character if that can be of several bytes.
        while self.min > 0 && bytes.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
            end += 1;
        }
        Some(end)
    }

    #[inline]
    pub(super) fn goes_on(&self, bytes: &[u8], at: usize) -> bool {
        bytes.get(at).is_some_and(|byte| self.class.contains(*byte))
    }

    /// So many bytes hold the minimum, whatever the characters.
    pub(super) fn bytes_min(&self) -> usize {
        4 * self.min as usize
    }

    pub(super) fn takes_all(&self) -> bool {
        matches!(self.until, Until::End)
    }

    /// Whether the end of a run is searched for: all but a few bytes are of the class.
    pub(super) fn is_searched(&self) -> bool {
        !matches!(self.until, Until::Other)
    }

    pub(super) fn is_limited(&self) -> bool {
        self.max != usize::MAX
    }

    /// Where a run that begins at `start` must end, if it has a maximum.
    pub(super) fn limit(&self, start: usize) -> usize {
        start.saturating_add(self.max)
    }

    /// The last place from `low` to `high` where one of `exit` comes next.
    #[inline]
    pub(super) fn exit_down(&self, bytes: &[u8], low: usize, high: usize) -> Option<usize> {
        let Some(next) = bytes.get(high) else {
            if self.exit_end {
                return Some(high);
            }
            return self.exit_below(bytes, low, high);
        };
        if self.exit[usize::from(*next)] { Some(high) } else { self.exit_below(bytes, low, high) }
    }

    /// The same, below `high`.
    pub(super) fn exit_below(&self, bytes: &[u8], low: usize, high: usize) -> Option<usize> {
        let rest = bytes.get(low..high)?;
        let found = match self.exit_byte {
            Some(byte) => memchr::memrchr(byte, rest),
            None => rest.iter().rposition(|byte| self.exit[usize::from(*byte)]),
        };
        Some(low + found?)
    }

    /// The first place from `at` to `limit` where one of `exit` comes next, as far as the run goes on.
    /// Gives how far it looked where there is none.
    #[inline]
    pub(super) fn exit_up(&self, bytes: &[u8], at: usize, limit: usize) -> Result<usize, usize> {
        let end = bytes.len().min(limit);
        if let (Until::End, Some(byte)) = (&self.until, self.exit_byte) {
            return find(byte, &bytes[at..]).map(|len| at + len).ok_or(bytes.len());
        }
        for (i, byte) in bytes[at..end].iter().enumerate() {
            if self.exit[usize::from(*byte)] {
                return Ok(at + i);
            }
            if !self.class.contains(*byte) {
                return Err(at + i);
            }
        }
        let leaves = bytes.get(end).map_or(self.exit_end, |byte| self.exit[usize::from(*byte)]);
        if leaves { Ok(end) } else { Err(end) }
    }
}
