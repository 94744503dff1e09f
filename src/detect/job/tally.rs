//! One bucket of one series of a job: what its function needs of the records, in bounded memory.

use std::collections::BTreeSet;

use libdeflater::{CompressionLvl, Compressor};
use serde::{Deserialize, Serialize};

use super::run::Row;
use super::spec::Function;
use crate::detect::anomaly::Example;
use crate::detect::distinct::Distinct;
use crate::detect::service::text_hash;

/// Numbers kept for a median: when there are more, every second is left out from then on.
const NUMBERS_MAX: usize = 512;
/// Of different texts, so many bytes are weighed.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// Different values counted exactly; more are estimated.
const EXACT_MAX: usize = 512;
const EXAMPLES_MAX: usize = 3;
/// Values of an influencer that are counted in one bucket.
const INFLUENCES_MAX: usize = 32;

/// See the module.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    pub lines: u64,
    sum: f64,
    numbers: u64,
    least: f64,
    most: f64,
    kept: Vec<f64>,
    /// Of the numbers every so-manyth is kept; 0 is every one.
    stride: u64,
    exact: BTreeSet<u64>,
    distinct: Option<Distinct>,
    texts: BTreeSet<String>,
    text_bytes: usize,
    pub examples: Vec<Example>,
    /// Of each influencer its values and their weight.
    pub influences: Vec<Vec<(String, f64)>>,
}

impl Tally {
    /// Takes a record; gives the weight that its influencers have.
    pub fn add(&mut self, function: Function, row: &Row) -> f64 {
        self.lines += 1;
        let number = row.number.filter(|number| number.is_finite());
        let mut weight = 1.0;
        match function {
            Function::DistinctCount => {
                if let Some(text) = &row.text {
                    self.different(text_hash(text));
                }
            }
            Function::InfoContent => {
                if let Some(text) = &row.text
                    && self.text_bytes + text.len() <= TEXT_BYTES_MAX
                    && !self.texts.contains(text)
                {
                    self.text_bytes += text.len();
                    self.texts.insert(text.clone());
                }
            }
            _ => {
                if let Some(number) = number {
                    self.number(number);
                    weight = number.abs();
                }
            }
        }
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(row.example.clone());
        } else if matches!(function, Function::Max | Function::Mean | Function::P95) && number == Some(self.most) {
            // The line with the largest value shows most.
            self.examples[EXAMPLES_MAX - 1] = row.example.clone();
        }
        self.influences.resize(row.influencers.len(), Vec::new());
        for (counts, value) in self.influences.iter_mut().zip(&row.influencers) {
            count(counts, value, weight, INFLUENCES_MAX);
        }
        weight
    }

    fn different(&mut self, hash: u64) {
        if let Some(distinct) = &mut self.distinct {
            distinct.add(hash);
            return;
        }
        self.exact.insert(hash);
        if self.exact.len() > EXACT_MAX {
            self.distinct = Distinct::new();
            if let Some(distinct) = &mut self.distinct {
                std::mem::take(&mut self.exact).into_iter().for_each(|hash| distinct.add(hash));
            }
        }
    }

    fn number(&mut self, number: f64) {
        if self.numbers == 0 {
            (self.least, self.most) = (number, number);
        }
        (self.least, self.most) = (self.least.min(number), self.most.max(number));
        self.sum += number;
        if self.numbers.is_multiple_of(self.stride.max(1)) {
            self.kept.push(number);
        }
        self.numbers += 1;
        if self.kept.len() >= NUMBERS_MAX {
            let mut at = 0;
            self.kept.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.stride = self.stride.max(1) * 2;
        }
    }

    /// What the function makes of it; none where nothing was to be measured.
    pub fn value(&self, function: Function) -> Option<f64> {
        let any = self.numbers > 0;
        match function {
            Function::Count | Function::NonZeroCount => Some(self.lines as f64),
            Function::DistinctCount => Some(self.distinct.as_ref().map_or(self.exact.len() as f64, Distinct::estimate)),
            Function::Mean => any.then(|| self.sum / self.numbers as f64),
            Function::Sum => Some(self.sum),
            Function::Min => any.then_some(self.least),
            Function::Max => any.then_some(self.most),
            Function::Median => self.quantile(0.5),
            Function::P95 => self.quantile(0.95),
            Function::InfoContent => Some(self.information()),
            Function::Rare | Function::FreqRare | Function::New | Function::TimeOfDay | Function::TimeOfWeek => None,
        }
    }

    fn quantile(&self, q: f64) -> Option<f64> {
        let mut sorted = self.kept.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        sorted.get((q * last as f64).round() as usize).copied()
    }

    /// Bytes of the different texts, compressed together: what they tell beyond each other.
    fn information(&self) -> f64 {
        let all: Vec<u8> = self.texts.iter().flat_map(|text| text.bytes().chain([b'\n'])).collect();
        let mut compressor = Compressor::new(CompressionLvl::default());
        let mut out = vec![0; compressor.deflate_compress_bound(all.len())];
        // With room for the worst case it does not fail.
        compressor.deflate_compress(&all, &mut out).map_or(all.len() as f64, |bytes| bytes as f64)
    }

    /// Memory in use, about.
    pub fn bytes(&self) -> usize {
        let examples: usize = self.examples.iter().map(|e| e.line.len() + 64).sum();
        let influences: usize = self.influences.iter().flatten().map(|(value, _)| value.len() + 40).sum();
        let distinct = self.distinct.as_ref().map_or(0, Distinct::bytes) + self.exact.len() * 12;
        size_of::<Self>() + self.kept.len() * 8 + self.text_bytes * 2 + examples + influences + distinct
    }
}

/// Adds weight to a value; values beyond `max` are not told apart.
pub fn count(counts: &mut Vec<(String, f64)>, value: &str, weight: f64, max: usize) {
    if value.is_empty() {
        return;
    }
    match counts.iter().position(|(known, _)| known == value) {
        Some(at) => counts[at].1 += weight,
        None if counts.len() < max => counts.push((value.to_owned(), weight)),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: Option<f64>, text: &str) -> Row {
        Row { number, text: Some(text.to_owned()), ..Row::default() }
    }

    #[test]
    fn functions_are_what_their_names_say() {
        let mut numbers = Tally::default();
        for n in [4.0, 1.0, 10.0, 2.0, 3.0] {
            numbers.add(Function::Mean, &row(Some(n), ""));
        }
        numbers.add(Function::Mean, &row(None, "no number"));
        for (function, expected) in [
            (Function::Count, 6.0),
            (Function::Mean, 4.0),
            (Function::Median, 3.0),
            (Function::Min, 1.0),
            (Function::Max, 10.0),
            (Function::Sum, 20.0),
            (Function::P95, 10.0),
        ] {
            assert_eq!(numbers.value(function), Some(expected), "{function:?}");
        }
        assert_eq!(Tally::default().value(Function::Mean), None);
        let (mut same, mut various) = (Tally::default(), Tally::default());
        for n in 0..2_000_u64 {
            same.add(Function::InfoContent, &row(None, ["GET /", "GET /a"][n as usize % 2]));
            various.add(Function::InfoContent, &row(None, &format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
        }
        let (same, various) =
            (same.value(Function::InfoContent).unwrap(), various.value(Function::InfoContent).unwrap());
        assert!(various > 100.0 * same, "{various} {same}");
    }

    #[test]
    fn a_bucket_is_bounded_and_still_about_right() {
        let (mut numbers, mut texts) = (Tally::default(), Tally::default());
        for n in 0..1_000_000_u32 {
            numbers.add(Function::Median, &row(Some(f64::from(n % 1_000)), "x"));
        }
        for n in 0..100_000 {
            texts.add(Function::DistinctCount, &row(None, &n.to_string()));
        }
        let median = numbers.value(Function::Median).unwrap();
        assert!((400.0..600.0).contains(&median), "{median}");
        let different = texts.value(Function::DistinctCount).unwrap();
        assert!((80_000.0..120_000.0).contains(&different), "{different}");
        assert!(numbers.bytes() < 16 << 10 && texts.bytes() < 16 << 10, "{} {}", numbers.bytes(), texts.bytes());
    }
}
