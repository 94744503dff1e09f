//! Time intervals, as Alertmanager has them: weekdays, times of day, days of the month and months, in a time zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// When a rule or a route is at work. Each list that is given must hold; within a list one entry is enough.
#[derive(Debug, Clone)]
pub struct Interval {
    pub name: String,
    weekdays: Vec<(i8, i8)>,
    /// Minutes of the day, the end not included.
    times: Vec<(u32, u32)>,
    days_of_month: Vec<(i8, i8)>,
    months: Vec<(i8, i8)>,
    zone: TimeZone,
}

/// An interval as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawInterval {
    pub name: String,
    pub weekdays: Vec<String>,
    pub times: Vec<RawTimes>,
    pub days_of_month: Vec<String>,
    pub months: Vec<String>,
    pub location: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTimes {
    start_time: String,
    end_time: String,
}

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Interval {
    pub fn read(raw: RawInterval) -> Result<Self, String> {
        if raw.name.is_empty() {
            return Err("a time interval needs a name".to_owned());
        }
        let zone = match &raw.location {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name)
                .map_err(|_| format!("location {name:?} is no time zone: write one such as Europe/Berlin, or UTC"))?,
        };
        Ok(Self {
            weekdays: ranges(&raw.weekdays, |text| named(text, &WEEKDAYS), "weekdays: monday:friday or saturday")?,
            days_of_month: ranges(&raw.days_of_month, |text| number(text, 1, 31), "days_of_month: 1:7 or 15")?,
            months: ranges(&raw.months, |text| named(text, &MONTHS).or(number(text, 1, 12)), "months: january:march")?,
            times: raw.times.iter().map(times).collect::<Result<_, _>>()?,
            name: raw.name,
            zone,
        })
    }

    /// Whether `at` (Unix nanoseconds) lies in it.
    pub fn contains(&self, at: i64) -> bool {
        let Ok(at) = Timestamp::from_nanosecond(i128::from(at)) else { return false };
        let at = at.to_zoned(self.zone.clone());
        let minute = at.hour() as u32 * 60 + at.minute() as u32;
        let within = |ranges: &[(i8, i8)], value: i8| {
            let one = |(first, last): &(i8, i8)| {
                if first <= last { (*first..=*last).contains(&value) } else { value >= *first || value <= *last }
            };
            ranges.is_empty() || ranges.iter().any(one)
        };
        within(&self.weekdays, at.weekday().to_monday_one_offset())
            && within(&self.days_of_month, at.day())
            && within(&self.months, at.month())
            && (self.times.is_empty() || self.times.iter().any(|(from, to)| (*from..*to).contains(&minute)))
    }
}

fn times(raw: &RawTimes) -> Result<(u32, u32), String> {
    let minutes = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
        (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
    };
    let bad = |text: &str| format!("{text:?} is no time of day: write HH:MM, from 00:00 to 24:00");
    let from = minutes(&raw.start_time).ok_or_else(|| bad(&raw.start_time))?;
    let to = minutes(&raw.end_time).ok_or_else(|| bad(&raw.end_time))?;
    if from >= to {
        return Err(format!("{} to {} is empty: a time over midnight is written as two", raw.start_time, raw.end_time));
    }
    Ok((from, to))
}

fn ranges(texts: &[String], one: impl Fn(&str) -> Option<i8>, forms: &str) -> Result<Vec<(i8, i8)>, String> {
    let range = |text: &String| {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        one(first.trim()).zip(one(last.trim())).ok_or_else(|| format!("{text:?} cannot be read: write {forms}"))
    };
    texts.iter().map(range).collect()
}

fn named(text: &str, names: &[&str]) -> Option<i8> {
    let text = text.to_ascii_lowercase();
    let at = names.iter().position(|name| *name == text || (text.len() == 3 && name.starts_with(&text)))?;
    i8::try_from(at + 1).ok()
}

fn number(text: &str, min: i8, max: i8) -> Option<i8> {
    text.parse().ok().filter(|n| (min..=max).contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(yaml: &str) -> Result<Interval, String> {
        Interval::read(serde_saphyr::from_str(yaml).map_err(|err| err.to_string())?)
    }

    #[test]
    fn intervals_hold_in_their_time_zone() {
        let office = "name: office\nweekdays: ['monday:friday']\ntimes: [{start_time: '09:00', end_time: '17:00'}]\n";
        for (yaml, at, holds) in [
            (office, "2026-11-23T09:00:00Z", true),
            (office, "2026-11-23T17:00:00Z", false),
            (office, "2026-11-22T10:00:00Z", false),
            (&format!("{office}location: America/New_York\n"), "2026-11-23T21:59:00Z", true),
            (&format!("{office}location: America/New_York\n"), "2026-11-23T13:59:00Z", false),
            ("name: n\nweekdays: ['sat:mon']", "2026-11-22T10:00:00Z", true),
            ("name: n\nweekdays: ['sat:mon']", "2026-11-24T10:00:00Z", false),
            ("name: n\ndays_of_month: ['1:7']\nmonths: [december]", "2026-12-07T00:00:00Z", true),
            ("name: n\ndays_of_month: ['1:7']\nmonths: [december]", "2026-11-07T00:00:00Z", false),
        ] {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!(interval(yaml).unwrap().contains(at.as_nanosecond() as i64), holds, "{yaml} {at}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (yaml, says) in [
            ("weekdays: [monday]", "needs a name"),
            ("name: n\nweekdays: [mondy]", "\"mondy\" cannot be read"),
            ("name: n\ntimes: [{start_time: '22:00', end_time: '06:00'}]", "written as two"),
            ("name: n\ntimes: [{start_time: '9', end_time: '10:00'}]", "no time of day"),
            ("name: n\nlocation: Mars/Olympus", "no time zone"),
            ("name: n\ndays_of_month: ['0']", "cannot be read"),
        ] {
            let error = interval(yaml).unwrap_err();
            assert!(error.contains(says), "{yaml}: {error}");
        }
    }
}
