//! One field of one service: what it turns out to be, and the series that follow from that.
//!
//! A number is watched by its typical value and its tail; a category by its mix, the rate of each value and values that are
//! new; an identifier by how many different ones there are. Which it is shows in the values themselves, and a
//! verdict must hold for several buckets before it changes anything.

use serde::{Deserialize, Serialize};

use super::category::CategorySeries;
use super::distinct::Distinct;
use super::finding::{Finding, Measure};
use super::names::NameId;
use super::number::{NumberSeries, Sketch};
use super::observe::{Datum, Part};
use super::series::Kind;
use super::stats;
use super::values::{Counts, VALUES_MAX, Values, move_counts};
use super::watched::{BUCKET_SECONDS, Watched, is_high};

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// Not enough seen.
    Unknown,
    Number,
    Category,
    /// Nearly every value is another.
    Identifier,
}

/// What a field usually holds, beside one value of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Usual {
    /// The value was never seen, in about so many lines with the field.
    Never(u64),
    /// So large a part of these lines has it.
    Share(f64),
    /// Of a number.
    Quantiles { median: f64, p95: f64 },
}

/// Sightings before one value is said to be rare or new.
const WEIGHED_MIN: u64 = 200;
/// Standard deviations from the median of a normal distribution to its 95th percentile.
const TO_P95: f64 = 1.644_853_6;
/// Numbers have longer tails than the log-normal through their median and 95th percentile: it is taken to be as much wider.
const WIDER: f64 = 1.3;
/// The least spread of a number, of its logarithm: what is always the same may still move by some per cent.
const SPREAD_MIN: f64 = 0.02;

/// Sightings before a field is said to be something.
const EVIDENCE_MIN: u64 = 60;
/// Buckets in a row that must say the same before it is believed.
const VERDICTS_MIN: u8 = 2;
/// A whole number with at most so many values is a code.
const CODES_MAX: usize = 20;
/// Values of a field that have a rate series each.
const RATED_VALUES_MAX: usize = 48;
/// A field of which so large a part of the values came only once holds identifiers.
const SINGLE_PART: f64 = 0.5;

/// What one bucket holds of a field.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Tally {
    Nothing,
    Values(Counts),
    Numbers(Box<Sketch>),
    Distinct(Distinct),
}

impl Tally {
    pub fn bytes(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Values(counts) => counts.bytes(),
            Self::Numbers(sketch) => sketch.bytes(),
            Self::Distinct(distinct) => distinct.bytes(),
        }
    }
}

/// The series of a field, by what it is.
#[derive(Debug, Serialize, Deserialize)]
enum Watch {
    /// Still finding out: counted as a category, without series.
    Unknown,
    Category(Box<CategorySeries>),
    Number(Box<NumberSeries>),
    Identifier(Option<Box<Watched>>),
}

/// One field.
#[derive(Debug, Serialize, Deserialize)]
pub struct FieldState {
    pub name: Box<str>,
    #[serde(skip)]
    pub id: NameId,
    part: Part,
    watch: Watch,
    values: Values,
    seen: u64,
    /// Of these, numbers, and numbers with a fraction.
    numbers: u64,
    fractions: u64,
    /// What the last buckets said it is, and how many of them.
    verdict: (FieldKind, u8),
    /// Start of the last bucket it was in: Unix seconds.
    pub last: i64,
}

impl FieldState {
    pub fn new(name: &str, id: NameId, part: Part) -> Self {
        let watch = match part {
            Part::Id => Watch::Identifier(None),
            Part::Key => Watch::Category(Box::default()),
            Part::Any => Watch::Unknown,
        };
        Self {
            name: name.into(),
            id,
            part,
            watch,
            values: Values::default(),
            seen: 0,
            numbers: 0,
            fractions: 0,
            verdict: (FieldKind::Unknown, 0),
            last: 0,
        }
    }

    pub fn restore(&mut self) {
        self.values.restore();
    }

    pub fn kind(&self) -> FieldKind {
        match self.watch {
            Watch::Unknown => FieldKind::Unknown,
            Watch::Category(_) => FieldKind::Category,
            Watch::Number(_) => FieldKind::Number,
            Watch::Identifier(_) => FieldKind::Identifier,
        }
    }

    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Counts one value in a bucket; gives how much it stands out, 1 being not at all.
    #[inline]
    pub fn count<'t>(&mut self, tally: &mut Tally, value: Datum, start: i64, text: impl FnOnce() -> &'t str) -> f32 {
        match (&self.watch, value) {
            (Watch::Number(series), Datum::Number(n)) => {
                if !n.is_finite() {
                    return 1.0;
                }
                if !matches!(tally, Tally::Numbers(_)) {
                    *tally = Tally::Numbers(Box::new(Sketch::new()));
                }
                if let Tally::Numbers(sketch) = tally {
                    sketch.add(n);
                }
                if n > series.high { 20.0 } else { 1.0 }
            }
            // Now and then a text among numbers (`-`) measures nothing.
            (Watch::Number(_), Datum::Text { .. }) => 1.0,
            (Watch::Identifier(_), _) => {
                if !matches!(tally, Tally::Distinct(_)) {
                    *tally = Distinct::new().map_or(Tally::Nothing, Tally::Distinct);
                }
                if let Tally::Distinct(distinct) = tally {
                    distinct.add(hash_of(value));
                }
                1.0
            }
            (Watch::Category(_) | Watch::Unknown, _) => {
                if let Datum::Number(n) = value {
                    self.numbers += 1;
                    self.fractions += u64::from(n.fract() != 0.0);
                }
                self.seen += 1;
                if !matches!(tally, Tally::Values(_)) {
                    *tally = Tally::Values(Counts::default());
                }
                let Tally::Values(counts) = tally else { return 1.0 };
                let shown = || match value {
                    Datum::Number(n) => n.to_string(),
                    Datum::Text { .. } => text().to_owned(),
                };
                let slot = self.values.count(counts, hash_of(value), start, shown);
                let few = self.values.entries.len() <= STANDS_OUT_VALUES_MAX && self.values.weight > 50.0;
                match slot.filter(|_| few) {
                    Some(slot) => (0.1 / (self.values.share(slot) + 1e-3)).max(1.0) as f32,
                    None => 1.0,
                }
            }
        }
    }

    /// Closes a bucket: what was out of the ordinary, then learns it. `others` are the field's tallies in buckets that are
    /// still open.
    pub fn close(&mut self, place: u16, start: i64, tally: &Tally, others: &mut [&mut Tally], out: &mut Vec<Finding>) {
        if !matches!(tally, Tally::Nothing) {
            self.last = start;
        }
        let rated_max = if self.part == Part::Key { VALUES_MAX } else { RATED_VALUES_MAX };
        match (&mut self.watch, tally) {
            (Watch::Number(series), Tally::Numbers(sketch)) => series.close(place, start, Some(sketch), out),
            (Watch::Number(series), Tally::Nothing) => series.close(place, start, None, out),
            (Watch::Identifier(series), Tally::Distinct(distinct)) => {
                let series = series.get_or_insert_with(|| Box::new(Watched::new(Kind::Continuous, BUCKET_SECONDS)));
                let found = series.push(start, distinct.estimate().round());
                // A number that never moved has no spread, and still is a count: no rarer than chance makes it of one more.
                let least = |f: &Finding| stats::poisson_upper(f.actual as u64, f.typical + 1.0);
                out.extend(found.map(|finding| Finding {
                    measure: Measure::Distinct,
                    field: place,
                    p: if is_high(&finding) { finding.p.max(least(&finding)) } else { finding.p },
                    ..finding
                }));
            }
            (Watch::Category(series), Tally::Values(counts)) => {
                series.close(place, start, &self.values, counts, rated_max, out);
            }
            (Watch::Category(series), Tally::Nothing) => {
                series.close(place, start, &self.values, &Counts::default(), rated_max, out);
            }
            // It was something else when the bucket began.
            _ => {}
        }
        if let Tally::Values(counts) = tally
            && matches!(self.watch, Watch::Category(_) | Watch::Unknown)
        {
            self.values.learn(counts, start);
            if self.part == Part::Any {
                self.judge();
            }
            if self.values.is_crowded() {
                self.make_room(others);
            }
        }
    }

    /// A bucket that is still open.
    pub fn peek(&self, place: u16, start: i64, tally: &Tally, out: &mut Vec<Finding>) {
        match (&self.watch, tally) {
            (Watch::Number(series), Tally::Numbers(sketch)) => series.peek(place, start, sketch, out),
            (Watch::Category(series), Tally::Values(counts)) => series.peek(place, start, &self.values, counts, out),
            _ => {}
        }
    }

    /// The probability of a line to have a value as unusual as this one, at a time (Unix seconds); none where nothing can be
    /// said: too little is known, or the field holds identifiers.
    pub fn weigh(&self, value: Datum, time: i64) -> Option<(f64, Usual)> {
        match (&self.watch, value) {
            (Watch::Category(_), _) if self.values.seen >= WEIGHED_MIN => {
                let known = self.values.slot(hash_of(value)).filter(|slot| self.values.share(*slot) > 0.0);
                Some(match known {
                    Some(slot) => (self.values.as_rare(slot), Usual::Share(self.values.share(slot))),
                    None => (self.values.novelty(), Usual::Never(self.values.seen)),
                })
            }
            (Watch::Number(series), Datum::Number(n)) if n.is_finite() => {
                let [median, p95] = series.usual(time)?;
                // Of what is often 0 the logarithm says nothing.
                if median <= 0.0 {
                    return None;
                }
                let spread = WIDER * ((p95.max(median) / median).ln() / TO_P95).max(SPREAD_MIN);
                let away = (n.max(median * 1e-6) / median).ln().abs() / spread;
                Some((stats::normal_both_tails(away), Usual::Quantiles { median, p95 }))
            }
            _ => None,
        }
    }

    fn make_room(&mut self, others: &mut [&mut Tally]) {
        let open: Vec<&Counts> = others.iter().filter_map(|tally| counts_of(tally)).collect();
        let moved = self.values.make_room(&open);
        for tally in others {
            if let Tally::Values(counts) = tally {
                move_counts(counts, &moved);
            }
        }
    }

    /// What the values say by now.
    fn verdict(&self) -> FieldKind {
        if self.seen < EVIDENCE_MIN {
            return FieldKind::Unknown;
        }
        let known = self.values.entries.len();
        let single = self.values.single as f64 / self.values.fresh.max(1) as f64;
        let many = self.values.fresh as f64 > SINGLE_PART * self.values.seen as f64;
        if self.numbers * 10 >= self.seen * 9 {
            let named = names_something(&self.name);
            let whole = self.fractions == 0;
            return match known {
                _ if named && many => FieldKind::Identifier,
                _ if named => FieldKind::Category,
                n if n <= CODES_MAX && whole => FieldKind::Category,
                _ => FieldKind::Number,
            };
        }
        if many && single > SINGLE_PART { FieldKind::Identifier } else { FieldKind::Category }
    }

    fn judge(&mut self) {
        let verdict = self.verdict();
        if verdict == FieldKind::Unknown || verdict == self.kind() {
            self.verdict = (verdict, 0);
            return;
        }
        self.verdict = (verdict, if self.verdict.0 == verdict { self.verdict.1 + 1 } else { 1 });
        // What is a category already is doubted longer than what is nothing yet.
        let needed = if self.kind() == FieldKind::Unknown { VERDICTS_MIN } else { 5 * VERDICTS_MIN };
        if self.verdict.1 < needed {
            return;
        }
        self.watch = match verdict {
            FieldKind::Unknown => Watch::Unknown,
            FieldKind::Category => Watch::Category(Box::default()),
            FieldKind::Number => Watch::Number(Box::new(NumberSeries::new())),
            FieldKind::Identifier => Watch::Identifier(None),
        };
        if !matches!(self.watch, Watch::Category(_)) {
            self.values = Values::default();
        }
    }

    /// Its series: measure, value's hash where it is of one, and the series.
    pub fn series(&self) -> Vec<(&Watched, Measure, u64)> {
        match &self.watch {
            Watch::Unknown => Vec::new(),
            Watch::Category(series) => series.series().collect(),
            Watch::Number(series) => series.series().map(|(series, measure)| (series, measure, 0)).collect(),
            Watch::Identifier(series) => series.iter().map(|series| (&**series, Measure::Distinct, 0)).collect(),
        }
    }

    /// How many series.
    pub fn series_count(&self) -> usize {
        match &self.watch {
            Watch::Unknown => 0,
            // News is a chance to be wrong as a series is.
            Watch::Category(series) => series.series().count() + 1,
            Watch::Number(_) => 4,
            Watch::Identifier(_) => 1,
        }
    }

    pub fn bytes(&self) -> usize {
        let watch = match &self.watch {
            Watch::Unknown => 0,
            Watch::Category(series) => series.bytes(),
            Watch::Number(series) => series.bytes(),
            Watch::Identifier(series) => series.as_ref().map_or(0, |series| series.bytes()),
        };
        watch + self.values.bytes() + self.name.len() + size_of::<Self>()
    }
}

/// In a field of more values than this none stands out by being rare.
const STANDS_OUT_VALUES_MAX: usize = 64;

fn counts_of(tally: &Tally) -> Option<&Counts> {
    match tally {
        Tally::Values(counts) => Some(counts),
        _ => None,
    }
}

/// What a value is told apart by.
#[inline]
pub fn hash_of(value: Datum) -> u64 {
    match value {
        Datum::Number(n) => n.to_bits(),
        Datum::Text { hash, .. } => hash,
    }
}

/// Whether a number of that name is a name itself: it has no size that could be typical.
fn names_something(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(last, "pid" | "tid" | "port" | "code" | "status" | "line" | "line_number" | "uid" | "gid" | "id")
        || last.ends_with("_id")
        || last.ends_with("_port")
        || last.ends_with("_code")
        || last.ends_with("Id")
        || last.ends_with("Port")
}
