//! A field whose values come again: their mix, the rate of each, and those never seen before.

use serde::{Deserialize, Serialize};

use super::finding::{Condition, Direction, Finding, Measure};
use super::series::Kind;
use super::stats;
use super::values::{Counts, Values};
use super::watched::{BUCKET_SECONDS, Watched, is_high};

/// A value without sightings for so long loses its series: seconds.
const RATE_IDLE_SECONDS: i64 = 2 * 86_400;
/// Zeros that a new value's series is told it had: what was not there is history too. Buckets.
const ZEROS_MAX: i64 = 240;
/// Fewer lines in a bucket say nothing of its mix.
const MIX_MIN: u32 = 20;
/// A value without a series gets one in the place of another's from so many lines in a bucket on, if the other had fewer by
/// this factor.
const GIVE_WAY_MIN: f64 = 8.0;
const GIVE_WAY_TIMES: f64 = 8.0;
/// Fewer lines of a value say nothing while the bucket is open.
const OPEN_RATE_MIN: u32 = 4;
/// Values of the mix that are told apart; the others are one.
const MIX_VALUES: usize = 32;
/// Buckets and sightings before news counts: until then everything is new.
const NEWS_BUCKETS_MIN: u32 = 30;
const NEWS_SEEN_MIN: u64 = 200;

/// The series of one category.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CategorySeries {
    rates: Vec<Rate>,
    mix: Option<Watched>,
    buckets: u32,
    since: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Rate {
    hash: u64,
    series: Watched,
    last: i64,
}

impl CategorySeries {
    /// A closed bucket of the field in `place`; the values learn it afterwards. Up to `rated_max` values have a rate series.
    pub fn close(
        &mut self,
        place: u16,
        start: i64,
        values: &Values,
        counts: &Counts,
        rated_max: usize,
        out: &mut Vec<Finding>,
    ) {
        if self.buckets == 0 {
            self.since = start;
        }
        self.buckets = self.buckets.saturating_add(1);
        self.news(place, values, counts, out);
        self.close_mix(place, start, values, counts, out);
        self.close_rates(place, start, values, counts, rated_max, out);
    }

    /// A bucket that is still open.
    pub fn peek(&self, place: u16, start: i64, values: &Values, counts: &Counts, out: &mut Vec<Finding>) {
        self.news(place, values, counts, out);
        for rate in &self.rates {
            let Some(slot) = values.slot(rate.hash) else { continue };
            let count = counts.of(slot);
            if count >= OPEN_RATE_MIN {
                let found = rate.series.peek(start, f64::from(count)).filter(is_high);
                out.extend(found.map(|finding| about_value(finding, Measure::Rate, place, values, slot)));
            }
        }
    }

    fn news(&self, place: u16, values: &Values, counts: &Counts, out: &mut Vec<Finding>) {
        if self.buckets < NEWS_BUCKETS_MIN || values.seen < NEWS_SEEN_MIN {
            return;
        }
        let novelty = values.novelty();
        let expected = f64::from(counts.total) * novelty;
        let new: Vec<(u32, u32)> = values.new_in(counts).collect();
        let Some((slot, count)) = new.iter().copied().max_by_key(|(slot, count)| (*count, std::cmp::Reverse(*slot)))
        else {
            return;
        };
        // That so many values are new, and that one of them at once brings so many lines.
        let p_any = 1.0 - (-expected).exp();
        let p_many = stats::poisson_upper(new.len() as u64, expected);
        let p_burst = (p_any * values.first_at_least(count) * new.len() as f64).min(1.0);
        out.push(Finding {
            measure: Measure::New,
            field: place,
            value: values.entries[slot as usize].hash,
            shown: values.entries[slot as usize].shown.to_string(),
            bucket: BUCKET_SECONDS as u32,
            p: (2.0 * p_many.min(p_burst)).min(1.0),
            direction: Direction::High,
            actual: f64::from(count),
            typical: 0.0,
            low: 0.0,
            high: 0.0,
            condition: Condition::Is(place, values.entries[slot as usize].hash),
        });
    }

    /// The distance of the bucket's mix from the mix so far, as a series: how much it varies by itself is learned, since
    /// lines do not come independently of each other.
    fn close_mix(&mut self, place: u16, start: i64, values: &Values, counts: &Counts, out: &mut Vec<Finding>) {
        if counts.total < MIX_MIN || values.known() < 2 || values.weight < f64::from(4 * MIX_MIN) {
            return;
        }
        let (observed, expected, slots) = mix(values, counts);
        let (g, most) = stats::g_statistic(&observed, &expected);
        let series = self.mix.get_or_insert_with(|| Watched::new(Kind::Continuous, BUCKET_SECONDS));
        let found = series.push(start, g).filter(is_high);
        if let Some(slot) = slots.get(most).copied().flatten() {
            out.extend(found.map(|finding| {
                let shares = (values.share(slot), f64::from(counts.of(slot)) / f64::from(counts.total.max(1)));
                let finding = about_value(finding, Measure::Mix, place, values, slot);
                // A person understands shares, not G.
                Finding { actual: shares.1, typical: shares.0, low: shares.0, high: shares.0, ..finding }
            }));
        }
    }

    fn close_rates(
        &mut self,
        place: u16,
        start: i64,
        values: &Values,
        counts: &Counts,
        rated_max: usize,
        out: &mut Vec<Finding>,
    ) {
        self.rates.retain(|rate| start - rate.last < RATE_IDLE_SECONDS && values.slot(rate.hash).is_some());
        let mut rated = vec![false; counts.by_slot.len()];
        for rate in &mut self.rates {
            let Some(slot) = values.slot(rate.hash) else { continue };
            let count = counts.of(slot);
            if let Some(rated) = rated.get_mut(slot as usize) {
                *rated = true;
            }
            if count > 0 {
                rate.last = start;
            }
            let found = rate.series.push(start, f64::from(count));
            out.extend(found.map(|finding| about_value(finding, Measure::Rate, place, values, slot)));
        }
        for (slot, count) in counts.by_slot.iter().enumerate().filter(|(slot, count)| **count > 0 && !rated[*slot]) {
            if self.rates.len() >= rated_max && !self.give_way(values, *count) {
                continue;
            }
            let zeros = ((start - self.since) / BUCKET_SECONDS).min(ZEROS_MAX);
            let mut series = Watched::after_zeros(BUCKET_SECONDS, zeros, start);
            // Its first bucket is news, which was weighed above.
            series.push(start, f64::from(*count));
            self.rates.push(Rate { hash: values.entries[slot].hash, series, last: start });
        }
    }

    /// Gives up the series of the value seen least, where another brings many times as many lines at once; false where none is.
    fn give_way(&mut self, values: &Values, count: u32) -> bool {
        let weight = |rate: &Rate| values.slot(rate.hash).map_or(0.0, |slot| values.entries[slot as usize].weight);
        let least = self.rates.iter().enumerate().min_by(|(_, a), (_, b)| weight(a).total_cmp(&weight(b)));
        let Some((at, rate)) = least else { return false };
        // By the minute, from what is left of a weight that is halved in a day.
        if f64::from(count) < GIVE_WAY_MIN.max(GIVE_WAY_TIMES * weight(rate) / f64::from(self.buckets.clamp(1, 2_000)))
        {
            return false;
        }
        self.rates.swap_remove(at);
        true
    }

    pub fn series(&self) -> impl Iterator<Item = (&Watched, Measure, u64)> {
        let rates = self.rates.iter().map(|rate| (&rate.series, Measure::Rate, rate.hash));
        rates.chain(self.mix.iter().map(|mix| (mix, Measure::Mix, 0)))
    }

    pub fn bytes(&self) -> usize {
        self.series().map(|(series, ..)| series.bytes()).sum::<usize>() + size_of::<Self>()
    }
}

/// Observed counts and expected shares of the most frequent values and of the rest together.
fn mix(values: &Values, counts: &Counts) -> (Vec<f64>, Vec<f64>, Vec<Option<u32>>) {
    let mut slots: Vec<u32> = (0..values.entries.len() as u32).collect();
    let weight = |slot: &u32| values.entries[*slot as usize].weight + f64::from(counts.of(*slot));
    slots.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then(a.cmp(b)));
    slots.truncate(MIX_VALUES);
    let mut observed: Vec<f64> = slots.iter().map(|slot| f64::from(counts.of(*slot))).collect();
    // Half a sighting for each, so that what was never seen is not infinitely surprising.
    let all = values.weight + 0.5 * (slots.len() + 1) as f64;
    let mut expected: Vec<f64> = slots.iter().map(|s| (values.entries[*s as usize].weight + 0.5) / all).collect();
    observed.push((f64::from(counts.total) - observed.iter().sum::<f64>()).max(0.0));
    expected.push((1.0 - expected.iter().sum::<f64>()).max(0.5 / all));
    let slots = slots.into_iter().map(Some).chain([None]).collect();
    (observed, expected, slots)
}

fn about_value(finding: Finding, measure: Measure, field: u16, values: &Values, slot: u32) -> Finding {
    let entry = &values.entries[slot as usize];
    let condition = if is_high(&finding) { Condition::Is(field, entry.hash) } else { Condition::All };
    Finding { measure, field, value: entry.hash, shown: entry.shown.to_string(), condition, ..finding }
}
