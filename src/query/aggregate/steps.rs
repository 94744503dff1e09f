//! Equal steps of time or of a number: which one a value falls into.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

use super::key::Key;
use super::values::Target;
use crate::query::number::Num;
use crate::record::time::parse_rfc3339;

/// How an axis is cut.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Of numbers: steps begin at multiples of `width` moved by `offset`.
    Number { width: f64, offset: f64 },
    /// Of time: nanoseconds from the Unix epoch, moved by `offset`.
    Fixed { width: i64, offset: i64 },
    /// Of time, by the calendar of a zone, in which a day may have 23 hours and a month 28 days; moved by `offset`.
    Calendar { unit: Unit, zone: TimeZone, offset: i64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Minute,
    Hour,
    Day,
    /// From Monday.
    Week,
    Month,
    Quarter,
    Year,
}

impl Step {
    pub fn is_time(&self) -> bool {
        !matches!(self, Step::Number { .. })
    }

    /// The step that a time falls into: its start, included, and its end, not. Unix nanoseconds.
    pub fn around(&self, nanos: i64) -> (i64, i64) {
        match self {
            Step::Number { .. } => (nanos, nanos),
            Step::Fixed { width, offset } => {
                let start = nanos.saturating_sub(*offset).div_euclid(*width).saturating_mul(*width);
                let start = start.saturating_add(*offset);
                (start, start.saturating_add(*width))
            }
            Step::Calendar { unit, zone, offset } => {
                let (start, end) = calendar(*unit, zone, nanos.saturating_sub(*offset));
                (start.saturating_add(*offset), end.saturating_add(*offset))
            }
        }
    }

    /// The step that a number falls into, counted from zero's.
    pub fn index(&self, value: f64) -> i64 {
        match self {
            Step::Number { width, offset } => ((value - offset) / width).floor() as i64,
            _ => 0,
        }
    }

    /// Where a counted step of numbers begins.
    pub fn start(&self, index: i64) -> f64 {
        match self {
            Step::Number { width, offset } => index as f64 * width + offset,
            _ => 0.0,
        }
    }
}

fn calendar(unit: Unit, zone: &TimeZone, nanos: i64) -> (i64, i64) {
    let Ok(at) = Timestamp::from_nanosecond(nanos.into()) else { return (nanos, nanos.saturating_add(1)) };
    let local = at.to_zoned(zone.clone());
    let whole = match unit {
        Unit::Minute => Some(60),
        Unit::Hour => Some(3_600),
        _ => None,
    };
    if let Some(seconds) = whole {
        // Zones differ from UTC by whole quarters of an hour or more nowadays; the rest of the offset counts all the same.
        let shift = i64::from(local.offset().seconds()).rem_euclid(seconds) * 1_000_000_000;
        let width = seconds * 1_000_000_000;
        let start = (nanos + shift).div_euclid(width) * width - shift;
        return (start, start + width);
    }
    let day = local.date();
    let (first, len): (Option<Date>, Span) = match unit {
        Unit::Week => (day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).ok(), 7.days()),
        Unit::Month => (Some(day.first_of_month()), 1.month()),
        Unit::Quarter => (Date::new(day.year(), (day.month() - 1) / 3 * 3 + 1, 1).ok(), 3.months()),
        Unit::Year => (Some(day.first_of_year()), 1.year()),
        _ => (Some(day), 1.day()),
    };
    let instant = |date: Option<Date>| {
        let zoned = date?.to_zoned(zone.clone()).ok()?;
        i64::try_from(zoned.timestamp().as_nanosecond()).ok()
    };
    let end = first.and_then(|first| first.checked_add(len).ok());
    match (instant(first), instant(end)) {
        (Some(start), Some(end)) => (start, end),
        _ => (nanos, nanos.saturating_add(1)),
    }
}

/// Gives each step that occurs a number, dense from 0.
#[derive(Debug)]
pub struct Steps {
    pub step: Step,
    ids: HashMap<i64, u32, FixedState>,
    /// The start of each: Unix nanoseconds, or counted from zero's.
    starts: Vec<i64>,
    /// The last one found: neighbours in a segment are neighbours in time.
    last: (i64, i64, u32),
}

impl Steps {
    pub fn new(step: Step) -> Self {
        Self { step, ids: HashMap::default(), starts: Vec::new(), last: (0, 0, 0) }
    }

    /// About what it holds: bytes.
    pub fn bytes(&self) -> usize {
        self.starts.len() * 40
    }

    /// Nanoseconds, or which step counted from zero's.
    pub fn start(&self, id: u32) -> i64 {
        self.starts[id as usize]
    }

    pub fn key(&self, start: i64) -> Key {
        if self.step.is_time() { Key::Time(start) } else { Key::number(Num::F(self.step.start(start))) }
    }

    fn id(&mut self, start: i64) -> u32 {
        *self.ids.entry(start).or_insert_with(|| {
            self.starts.push(start);
            self.starts.len() as u32 - 1
        })
    }
}

impl Target for Steps {
    type Out = u32;
    const DIRECT: bool = true;

    fn text(&mut self, text: &str) -> Option<u32> {
        if self.step.is_time() {
            return self.time(parse_rfc3339(text)?);
        }
        self.number(Num::parse(text)?)
    }

    fn number(&mut self, n: Num) -> Option<u32> {
        let n = super::values::AsNumber.number(n)?;
        if self.step.is_time() {
            // A number among times is Unix milliseconds, as Elasticsearch has it.
            return self.time((n * 1e6) as i64);
        }
        let index = self.step.index(n);
        if self.last.0 == index && self.last.1 > index {
            return Some(self.last.2);
        }
        let id = self.id(index);
        self.last = (index, index.saturating_add(1), id);
        Some(id)
    }

    fn boolean(&mut self, _: bool) -> Option<u32> {
        None
    }

    fn time(&mut self, nanos: i64) -> Option<u32> {
        if !self.step.is_time() {
            return self.number(Num::F(nanos as f64 / 1e6));
        }
        if (self.last.0..self.last.1).contains(&nanos) {
            return Some(self.last.2);
        }
        let (start, end) = self.step.around(nanos);
        let id = self.id(start);
        self.last = (start, end, id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::time::format_rfc3339;

    #[test]
    fn steps_of_time() {
        let zone = |name: &str| TimeZone::get(name).unwrap();
        let calendar = |unit, name: &str| Step::Calendar { unit, zone: zone(name), offset: 0 };
        let minute = 60_000_000_000;
        for (step, at, start, end) in [
            (
                Step::Fixed { width: 5 * minute, offset: 0 },
                "2026-11-22T10:07:05Z",
                "2026-11-22T10:05",
                "2026-11-22T10:10",
            ),
            (
                Step::Fixed { width: 5 * minute, offset: minute },
                "2026-11-22T10:05:05Z",
                "2026-11-22T10:01",
                "2026-11-22T10:06",
            ),
            (
                Step::Fixed { width: 5 * minute, offset: 0 },
                "1969-12-31T23:59:59Z",
                "1969-12-31T23:55",
                "1970-01-01T00:00",
            ),
            (calendar(Unit::Month, "UTC"), "2026-02-28T23:59:59Z", "2026-02-01T00:00", "2026-03-01T00:00"),
            (calendar(Unit::Quarter, "UTC"), "2026-11-22T10:07:05Z", "2026-10-01T00:00", "2027-01-01T00:00"),
            (calendar(Unit::Year, "UTC"), "2026-11-22T10:07:05Z", "2026-01-01T00:00", "2027-01-01T00:00"),
            (calendar(Unit::Week, "UTC"), "2026-11-22T10:07:05Z", "2026-11-16T00:00", "2026-11-23T00:00"),
            // The day on which Berlin's clocks go back has 25 hours.
            (calendar(Unit::Day, "Europe/Berlin"), "2026-10-25T12:00:00Z", "2026-10-24T22:00", "2026-10-25T23:00"),
            (calendar(Unit::Hour, "Asia/Kolkata"), "2026-10-25T12:00:00Z", "2026-10-25T11:30", "2026-10-25T12:30"),
        ] {
            let at = parse_rfc3339(at).unwrap();
            let (from, to) = step.around(at);
            assert_eq!((&format_rfc3339(from)[..16], &format_rfc3339(to)[..16]), (start, end));
            assert!((from..to).contains(&at));
        }
    }

    #[test]
    fn steps_of_numbers_have_numbers() {
        let mut steps = Steps::new(Step::Number { width: 0.5, offset: 0.1 });
        let ids = [0.1, 0.59, 0.61, -0.1, 0.2].map(|n| steps.number(Num::F(n)));
        assert_eq!(ids, [Some(0), Some(0), Some(1), Some(2), Some(0)]);
        assert_eq!(
            (0..3).map(|id| steps.key(steps.start(id))).collect::<Vec<_>>(),
            [0.1, 0.6, -0.4].map(|n| Key::number(Num::F(n)))
        );
        assert_eq!(steps.text("0.7"), Some(1));
        assert_eq!((steps.text("x"), steps.number(Num::F(f64::INFINITY)), steps.boolean(true)), (None, None, None));
    }
}
