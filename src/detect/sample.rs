//! A few records of each bucket, kept whole: the evidence, and what explanations are worked out from.
//!
//! Priority sampling (Duffield, Lund, Thorup 2007): a record with weight w draws u in (0, 1] and the k largest w/u stay. What
//! is rare has a large weight, so ten errors among ten thousand lines are all there, and counts over the sample are still
//! right when each record counts `max(1, τ/w)`. The draw is a hash of the record's identity, so that the same records give
//! the same sample.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::field::hash_of;
use super::observe::{Datum, Observation, Observations};

/// Records kept of a bucket; at most 128, see [`Sample::mask`].
const RECORDS_MAX: usize = 96;
/// Of a line: bytes.
const LINE_BYTES_MAX: usize = 512;

/// A value of a kept record.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KeptValue {
    /// The field's place in its service.
    pub place: u16,
    pub hash: u64,
    /// The number, where it is one.
    pub number: Option<f64>,
    /// Where it stands in the line, if there.
    at: u32,
    len: u32,
}

/// A record of the sample.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    key: f32,
    weight: f32,
    /// The first half of its stream's key.
    pub stream: u64,
    /// Unix nanoseconds.
    pub time: i64,
    pub id: u64,
    pub parsed: bool,
    pub line: Box<str>,
    pub values: Vec<KeptValue>,
}

impl Kept {
    pub fn value(&self, place: u16) -> Option<&KeptValue> {
        self.values.iter().find(|value| value.place == place)
    }

    /// The text of one of its values, where it stands in the line.
    pub fn text(&self, value: &KeptValue) -> Option<&str> {
        self.line.get(value.at as usize..value.at as usize + value.len as usize).filter(|text| !text.is_empty())
    }
}

/// The sample of one bucket.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sample {
    kept: Vec<Kept>,
    /// The least key of those kept, and where it is; when full.
    least: Option<(f32, usize)>,
    /// The largest key not kept.
    threshold: f32,
}

impl Sample {
    /// Offers a record with its weight (at least 1); `values` gives its values when it is kept.
    #[inline]
    pub fn offer(
        &mut self,
        batch: &Observations,
        record: &Observation,
        stream: u64,
        time: i64,
        weight: f32,
        values: impl FnOnce(&mut Vec<KeptValue>),
    ) {
        let draw = (xxh3_64(&record.id.to_le_bytes()) >> 40) as f32;
        let key = weight / ((draw + 1.0) / (1u32 << 24) as f32);
        if let Some((least, _)) = self.least
            && key <= least
        {
            self.threshold = self.threshold.max(key);
            return;
        }
        let line = batch.line(record);
        let mut kept = Kept {
            key,
            weight,
            stream,
            time,
            id: record.id,
            parsed: record.parsed,
            line: line[..line.floor_char_boundary(LINE_BYTES_MAX)].into(),
            values: Vec::new(),
        };
        values(&mut kept.values);
        match self.least {
            Some((least, at)) => {
                self.threshold = self.threshold.max(least);
                self.kept[at] = kept;
            }
            None => self.kept.push(kept),
        }
        if self.kept.len() == RECORDS_MAX {
            let keys = self.kept.iter().map(|kept| kept.key).enumerate();
            self.least = keys.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, key)| (key, at));
        }
    }

    /// The records with how many of the bucket's each stands for.
    pub fn records(&self) -> impl Iterator<Item = (&Kept, f64)> {
        self.kept.iter().map(|kept| (kept, f64::from((self.threshold / kept.weight).max(1.0))))
    }

    /// The records that fit, one bit each.
    pub fn mask(&self, fits: impl Fn(&Kept) -> bool) -> u128 {
        let bits = self.kept.iter().enumerate().filter(|(_, kept)| fits(kept)).map(|(at, _)| 1u128 << at);
        bits.fold(0, |mask, bit| mask | bit)
    }

    pub fn bytes(&self) -> usize {
        let each = |kept: &Kept| kept.line.len() + kept.values.capacity() * size_of::<KeptValue>() + size_of::<Kept>();
        self.kept.iter().map(each).sum()
    }
}

/// A value as it is kept: with its place in the line.
pub fn kept_value(batch: &Observations, record: &Observation, place: u16, value: Datum) -> KeptValue {
    let number = match value {
        Datum::Number(n) => Some(n),
        Datum::Text { .. } => None,
    };
    let (at, len) = batch.place_in_line(record, value).unwrap_or((u32::MAX, 0));
    KeptValue { place, hash: hash_of(value), number, at, len }
}
