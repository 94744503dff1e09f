//! The time that a line says of itself, as `@timestamp`.
//!
//! Formats are `ISO8601`, `UNIX` (seconds, fractions too), `UNIX_MS`, and the patterns of Logstash's date filter
//! (`dd/MMM/yyyy:HH:mm:ss Z`), which are Joda's. A format without a year takes the one in which the time is nearest to
//! the event's own; a time without a zone is in the zone given, UTC otherwise.
//!
//! Source: `logstash-plugins/logstash-filter-date: docs/index.asciidoc`.

use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use crate::record::time::parse_rfc3339;

#[derive(Debug)]
pub struct Date {
    formats: Vec<Format>,
    zone: TimeZone,
}

#[derive(Debug)]
enum Format {
    Iso8601,
    Unix,
    UnixMs,
    /// strptime's, and whether it has a year.
    Pattern(String, bool),
}

impl Date {
    /// Compiles the formats; an error says which one and why.
    pub fn compile(formats: &[String], zone: Option<&str>) -> Result<Self, String> {
        if formats.is_empty() {
            return Err("formats: name at least one, such as ISO8601 or dd/MMM/yyyy:HH:mm:ss Z".to_owned());
        }
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name)
                .map_err(|_| format!("zone: {name:?} is not known here: write one such as Europe/Berlin"))?,
        };
        let formats = formats.iter().map(|text| match text.as_str() {
            "ISO8601" => Ok(Format::Iso8601),
            "UNIX" => Ok(Format::Unix),
            "UNIX_MS" => Ok(Format::UnixMs),
            pattern => translate(pattern).map(|translated| Format::Pattern(translated, pattern.contains('y'))),
        });
        Ok(Self { formats: formats.collect::<Result<_, _>>()?, zone })
    }

    /// Unix nanoseconds of a text by the first format that fits; `reference` is the event's own time.
    pub fn read(&self, text: &str, reference: i64) -> Option<i64> {
        self.formats.iter().find_map(|format| self.by(format, text, reference))
    }

    fn by(&self, format: &Format, text: &str, reference: i64) -> Option<i64> {
        match format {
            Format::Iso8601 => parse_rfc3339(text).or_else(|| {
                let text = text.replace(',', ".");
                match text.parse::<Timestamp>() {
                    Ok(at) => nanos(at),
                    Err(_) => self.zoned(text.parse::<civil::DateTime>().ok()?),
                }
            }),
            Format::Unix => {
                let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
                if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                let fraction: i64 = format!("{fraction:0<9}").parse().ok()?;
                whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
            }
            Format::UnixMs => text.parse::<i64>().ok()?.checked_mul(1_000_000),
            Format::Pattern(pattern, true) => {
                let time = BrokenDownTime::parse(pattern, text).ok()?;
                match time.offset() {
                    Some(_) => nanos(time.to_timestamp().ok()?),
                    None => self.zoned(time.to_datetime().ok()?),
                }
            }
            Format::Pattern(pattern, false) => {
                let year = Timestamp::from_nanosecond(reference.into()).ok()?.to_zoned(self.zone.clone()).year();
                // The year that brings it nearest: a line of December read in January is of last year.
                [year - 1, year, year + 1]
                    .into_iter()
                    .filter_map(|year| {
                        let mut time = BrokenDownTime::parse(pattern, text).ok()?;
                        time.set_year(Some(year)).ok()?;
                        match time.offset() {
                            Some(_) => nanos(time.to_timestamp().ok()?),
                            None => self.zoned(time.to_datetime().ok()?),
                        }
                    })
                    .min_by_key(|at| at.abs_diff(reference))
            }
        }
    }

    fn zoned(&self, time: civil::DateTime) -> Option<i64> {
        nanos(time.to_zoned(self.zone.clone()).ok()?.timestamp())
    }
}

fn nanos(at: Timestamp) -> Option<i64> {
    at.as_nanosecond().try_into().ok()
}

/// Joda's letters as strptime's; runs of a letter are one.
fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(letter) = chars.next() {
        if letter == '\'' {
            // Quoted text stands as it is, two quotes for one.
            if chars.next_if_eq(&'\'').is_some() {
                out.push('\'');
                continue;
            }
            loop {
                match chars.next() {
                    Some('\'') => break,
                    Some('%') => out += "%%",
                    Some(c) => out.push(c),
                    None => return Err(format!("{pattern:?}: a quote is not closed")),
                }
            }
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            if letter == '%' {
                out.push('%');
            }
            out.push(letter);
            continue;
        }
        let mut run = 1;
        while chars.next_if_eq(&letter).is_some() {
            run += 1;
        }
        out += match (letter, run) {
            ('y' | 'Y' | 'u', 2) => "%y",
            ('y' | 'Y' | 'u', _) => "%Y",
            ('M', 1 | 2) => "%m",
            ('M', 3) => "%b",
            ('M', _) => "%B",
            ('d', _) => "%d",
            ('D', _) => "%j",
            ('H', _) => "%H",
            ('h', _) => "%I",
            ('m', _) => "%M",
            ('s', _) => "%S",
            ('S', _) => "%f",
            ('a', _) => "%p",
            ('E', 1..=3) => "%a",
            ('E', _) => "%A",
            ('Z', 1) => "%z",
            ('Z', _) => "%:z",
            _ => {
                return Err(format!(
                    "{pattern:?}: the letter {letter} is no part of a date here; text goes in single quotes"
                ));
            }
        };
    }
    if out.contains('%') { Ok(out) } else { Err(format!("{pattern:?} has nothing of a date in it")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::time::format_rfc3339;

    #[test]
    fn times_read() {
        let reference = parse_rfc3339("2026-01-02T00:00:00Z").unwrap();
        for (format, zone, text, expected) in [
            ("ISO8601", None, "2026-03-01T12:00:00.5Z", Some("2026-03-01T12:00:00.500Z")),
            ("ISO8601", None, "2026-03-01 12:00:00,123", Some("2026-03-01T12:00:00.123Z")),
            ("ISO8601", None, "2026-03-01T14:00:00+02:00", Some("2026-03-01T12:00:00.000Z")),
            ("UNIX", None, "1772366400.25", Some("2026-03-01T12:00:00.250Z")),
            ("UNIX_MS", None, "1772366400250", Some("2026-03-01T12:00:00.250Z")),
            ("UNIX", None, "now", None),
            ("dd/MMM/yyyy:HH:mm:ss Z", None, "01/Mar/2026:15:30:00 +0330", Some("2026-03-01T12:00:00.000Z")),
            ("yyyy-MM-dd HH:mm:ss.SSS", None, "2026-03-01 12:00:00.123", Some("2026-03-01T12:00:00.123Z")),
            ("yyyy-MM-dd HH:mm:ss", Some("UTC"), "2026-03-01 12:00:00", Some("2026-03-01T12:00:00.000Z")),
            ("yyyy-MM-dd'T'HH:mm:ssZZ", None, "2026-03-01T14:00:00+02:00", Some("2026-03-01T12:00:00.000Z")),
            ("MMM dd HH:mm:ss", None, "Dec 31 23:59:00", Some("2025-12-31T23:59:00.000Z")),
            ("MMM d HH:mm:ss", None, "Jan  2 00:10:00", Some("2026-01-02T00:10:00.000Z")),
            ("dd/MMM/yyyy", None, "32/Mar/2026", None),
        ] {
            let date = Date::compile(&[format.to_owned()], zone).unwrap();
            let found = date.read(text, reference).map(format_rfc3339);
            assert_eq!(found.as_deref(), expected, "{format}: {text}");
        }
        for (format, zone, says) in [
            ("dd/QQ", None, "the letter Q"),
            ("'x", None, "not closed"),
            ("--", None, "nothing of a date"),
            ("ISO8601", Some("Mars/Olympus"), "is not known"),
        ] {
            let error = Date::compile(&[format.to_owned()], zone).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert!(Date::compile(&[], None).is_err());
    }
}
