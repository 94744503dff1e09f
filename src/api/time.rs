//! Times and lengths of time as people write them in a request: `now-15m`, `2026-11-22`, `30s`.

use crate::record::time::{NANOS_PER_DAY, NANOS_PER_SECOND, parse_day, parse_rfc3339};

/// Which end of a range a text stands for: a bare date is its first instant as `from`, the next day's as `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    From,
    To,
}

/// The forms that [`parse_bound`] reads, for an error's list of accepted values.
pub const BOUND_FORMS: &[&str] =
    &["2026-11-22T10:00:00Z (RFC 3339)", "2026-11-22 (a day, UTC)", "1763805600000 (Unix milliseconds)", "now-15m"];

/// The forms that [`parse_duration`] reads.
pub const DURATION_FORMS: &[&str] = &["500ms", "30s", "5m", "1h", "1d", "1w"];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("{0:?} is not a time: write RFC 3339, a date, Unix milliseconds, or now-15m")]
    Bound(String),
    #[error("{0:?} is not a length of time: write a whole number and a unit, such as 30s, 5m or 1h")]
    Duration(String),
    #[error("{0:?} is out of range: times lie between the years 1678 and 2261")]
    Range(String),
}

/// Reads one end of a time range, as Unix nanoseconds. `now` is what `now` in the text means.
pub fn parse_bound(text: &str, edge: Edge, now: i64) -> Result<i64, TimeError> {
    let text = text.trim();
    let range = || TimeError::Range(text.to_owned());
    if let Some(rest) = text.strip_prefix("now") {
        let Some(sign) = rest.chars().next() else { return Ok(now) };
        // In a URL's query a plus is a blank, so `now+1h` may arrive as `now 1h`.
        let forward = match sign {
            '-' => false,
            '+' | ' ' => true,
            _ => return Err(TimeError::Bound(text.to_owned())),
        };
        let by = parse_duration(&rest[1..]).map_err(|_| TimeError::Bound(text.to_owned()))?;
        return if forward { now.checked_add(by) } else { now.checked_sub(by) }.ok_or_else(range);
    }
    if let Some(day) = parse_day(text) {
        let start = i64::from(day).checked_mul(NANOS_PER_DAY).ok_or_else(range)?;
        return match edge {
            Edge::From => Ok(start),
            Edge::To => start.checked_add(NANOS_PER_DAY).ok_or_else(range),
        };
    }
    if let Ok(milliseconds) = text.parse::<i64>() {
        return milliseconds.checked_mul(1_000_000).ok_or_else(range);
    }
    // In a URL's query the plus of an offset arrives as a blank: `…T10:00:00 02:00`.
    let mended = match text.len().checked_sub(6).and_then(|at| text.get(at..)) {
        Some(offset) if offset.starts_with(' ') && text.contains('T') => text.replacen(' ', "+", 1),
        _ => text.to_owned(),
    };
    parse_rfc3339(&mended).ok_or_else(|| TimeError::Bound(text.to_owned()))
}

/// Reads a positive length of time, as nanoseconds.
pub fn parse_duration(text: &str) -> Result<i64, TimeError> {
    let bad = || TimeError::Duration(text.to_owned());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: i64 = text[..digits].parse().map_err(|_| bad())?;
    let unit = match &text[digits..] {
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3600 * NANOS_PER_SECOND,
        "d" => NANOS_PER_DAY,
        "w" => 7 * NANOS_PER_DAY,
        _ => return Err(bad()),
    };
    if number == 0 {
        return Err(bad());
    }
    number.checked_mul(unit).ok_or_else(|| TimeError::Range(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_772_366_400 * NANOS_PER_SECOND; // 2026-03-01T12:00:00Z

    #[test]
    fn bounds_read() {
        let day = 1_772_323_200 * NANOS_PER_SECOND; // 2026-03-01
        for (text, from, to) in [
            ("now", Some(NOW), Some(NOW)),
            ("now-15m", Some(NOW - 900 * NANOS_PER_SECOND), Some(NOW - 900 * NANOS_PER_SECOND)),
            ("now 1h", Some(NOW + 3600 * NANOS_PER_SECOND), Some(NOW + 3600 * NANOS_PER_SECOND)),
            ("now+1h", Some(NOW + 3600 * NANOS_PER_SECOND), Some(NOW + 3600 * NANOS_PER_SECOND)),
            ("2026-03-01", Some(day), Some(day + NANOS_PER_DAY)),
            ("2026-03-01T12:00:00Z", Some(NOW), Some(NOW)),
            ("2026-03-01T14:00:00+02:00", Some(NOW), Some(NOW)),
            ("2026-03-01T14:00:00 02:00", Some(NOW), Some(NOW)),
            ("1772366400000", Some(NOW), Some(NOW)),
            ("0", Some(0), Some(0)),
            ("-1", Some(-1_000_000), Some(-1_000_000)),
            ("", None, None),
            ("yesterday", None, None),
            ("now-15", None, None),
            ("now-0s", None, None),
            ("now*15m", None, None),
            ("now-é", None, None),
            ("nowé", None, None),
            ("2026-02-30", None, None),
            ("9223372036854775807", None, None),
            ("now-9223372036854775807w", None, None),
            ("12:00", None, None),
        ] {
            assert_eq!(parse_bound(text, Edge::From, NOW).ok(), from, "from {text:?}");
            assert_eq!(parse_bound(text, Edge::To, NOW).ok(), to, "to {text:?}");
        }
    }

    #[test]
    fn durations_read() {
        for (text, nanos) in [
            ("500ms", Some(500_000_000)),
            ("30s", Some(30 * NANOS_PER_SECOND)),
            ("1w", Some(7 * NANOS_PER_DAY)),
            ("0s", None),
            ("s", None),
            ("1", None),
            ("1.5h", None),
            ("-1h", None),
            ("1 h", None),
            ("999999999999w", None),
        ] {
            assert_eq!(parse_duration(text).ok(), nanos, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,24}") {
            let _ = (parse_bound(&text, Edge::To, NOW), parse_bound(&format!("now{text}"), Edge::From, NOW));
            let _ = parse_duration(&text);
        }
    }
}
