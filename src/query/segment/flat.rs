//! A column's dictionary, unpacked: what bare words are looked for in.
//!
//! On disk a dictionary is compressed in blocks of 4 KB, and unpacking it takes a hundred times as long as looking through
//! it. A segment never changes, so what was unpacked is kept, within a budget, for the queries after.

use std::collections::HashMap;
use std::sync::Arc;

use memchr::memmem;
use parking_lot::Mutex;
use tantivy::index::SegmentId;

/// Dictionaries kept unpacked: bytes. Beyond it those used longest ago are forgotten.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// The values of a column, by ordinal.
#[derive(Debug, Default)]
pub struct Flat {
    /// One after the other, each followed by a NUL.
    text: Vec<u8>,
    /// The same in lower case, where that is not the same.
    lower: Option<Vec<u8>>,
    /// Where each value ends.
    ends: Vec<u32>,
    /// Those that are not ASCII: lower-casing them is left to who asks.
    others: Vec<u32>,
}

impl Flat {
    /// From values in the order of their ordinals; `None` when they are longer than 4 GiB together.
    pub fn push(&mut self, value: &[u8]) -> Option<()> {
        if !value.is_ascii() {
            self.others.push(u32::try_from(self.ends.len()).ok()?);
        }
        self.text.extend_from_slice(value);
        self.ends.push(u32::try_from(self.text.len()).ok()?);
        self.text.push(0);
        Some(())
    }

    /// Ready to be asked.
    pub fn finish(mut self) -> Self {
        if self.text.iter().any(u8::is_ascii_uppercase) {
            self.lower = Some(self.text.to_ascii_lowercase());
        }
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.text.capacity()
            + self.lower.as_ref().map_or(0, Vec::capacity)
            + 4 * (self.ends.capacity() + self.others.capacity())
    }

    fn value(&self, ordinal: usize) -> &[u8] {
        // Behind the NUL of the one before.
        let start = ordinal.checked_sub(1).map_or(0, |before| self.ends[before] as usize + 1);
        &self.text[start..self.ends[ordinal] as usize]
    }

    /// Calls `each` with ordinals, ascending, and their values: all that have `needle` in lower case, and perhaps others.
    pub fn each(&self, needle: Option<&str>, mut each: impl FnMut(u64, &[u8])) {
        let needle = needle.map(str::as_bytes).filter(|n| !n.is_empty() && n.is_ascii() && !n.contains(&0));
        let Some(needle) = needle else {
            (0..self.ends.len()).for_each(|ordinal| each(ordinal as u64, self.value(ordinal)));
            return;
        };
        let text = self.lower.as_ref().unwrap_or(&self.text);
        let finder = memmem::Finder::new(needle);
        let mut others = self.others.iter().map(|other| *other as usize).peekable();
        let mut from = 0;
        while let Some(at) = finder.find(&text[from..]).map(|at| from + at) {
            let ordinal = self.ends.partition_point(|end| (*end as usize) < at);
            while let Some(other) = others.next_if(|other| *other < ordinal) {
                each(other as u64, self.value(other));
            }
            others.next_if(|other| *other == ordinal);
            each(ordinal as u64, self.value(ordinal));
            from = self.ends[ordinal] as usize + 1;
        }
        others.for_each(|other| each(other as u64, self.value(other)));
    }
}

/// Unpacked dictionaries, by segment and the column's name.
#[derive(Debug, Default)]
pub struct Flats(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    flats: HashMap<(SegmentId, String), (Arc<Flat>, u64)>,
    bytes: usize,
    /// Counts uses.
    clock: u64,
}

impl Flats {
    /// What is known of a column, or what `make` gives; that of a segment that a merge took away is forgotten in time. Two
    /// queries may both make it: neither waits for the other.
    pub fn get<E>(
        &self,
        segment: SegmentId,
        name: &str,
        make: impl FnOnce() -> Result<Flat, E>,
    ) -> Result<Arc<Flat>, E> {
        let key = (segment, name.to_owned());
        {
            let mut kept = self.0.lock();
            kept.clock += 1;
            let now = kept.clock;
            if let Some((flat, used)) = kept.flats.get_mut(&key) {
                *used = now;
                return Ok(Arc::clone(flat));
            }
        }
        let flat = Arc::new(make()?);
        let mut kept = self.0.lock();
        let now = kept.clock;
        if flat.bytes() <= KEPT_BYTES_MAX / 4 {
            kept.bytes += flat.bytes();
            if let Some((before, _)) = kept.flats.insert(key, (Arc::clone(&flat), now)) {
                kept.bytes -= before.bytes();
            }
        }
        while kept.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = kept.flats.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone()) else {
                break;
            };
            if let Some((gone, _)) = kept.flats.remove(&oldest) {
                kept.bytes -= gone.bytes();
            }
        }
        Ok(flat)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flat(values: &[String]) -> Flat {
        let mut flat = Flat::default();
        values.iter().for_each(|value| flat.push(value.as_bytes()).unwrap());
        flat.finish()
    }

    #[test]
    fn what_is_kept_stays_within_its_budget() {
        let flats = Flats::default();
        let large = vec!["x".repeat(1 << 20); 10];
        let segment = SegmentId::from_uuid_string("0123456789abcdef0123456789abcdef").unwrap();
        let get = |name: &str, made: &mut u32| {
            let make = || {
                *made += 1;
                Ok::<_, ()>(flat(&large))
            };
            flats.get(segment, name, make).unwrap();
        };
        let mut made = 0;
        for n in 0..20 {
            get(&n.to_string(), &mut made);
            get("often", &mut made);
        }
        // The one that is used stays; the others take turns.
        assert_eq!(made, 21);
        assert!(flats.0.lock().bytes <= KEPT_BYTES_MAX);
        get("0", &mut made);
        assert_eq!(made, 22);
    }

    proptest! {
        #[test]
        fn every_value_that_has_the_needle_is_found_once(
            values in prop::collection::vec("[a-cA-C é]{0,6}", 0..30),
            needle in prop::option::of("[a-c]{0,3}"),
        ) {
            let mut found = Vec::new();
            flat(&values).each(needle.as_deref(), |ordinal, value| {
                assert_eq!(value, values[ordinal as usize].as_bytes());
                found.push(ordinal as usize);
            });
            prop_assert!(found.is_sorted_by(|a, b| a < b), "{:?}", found);
            for (ordinal, value) in values.iter().enumerate() {
                let has = value.to_ascii_lowercase().contains(needle.as_deref().unwrap_or_default());
                let may = has || !value.is_ascii();
                prop_assert_eq!(found.contains(&ordinal), may, "{:?}", value);
            }
        }
    }
}
