//! Times as people write them in a query: instants, dates, and relative to now.

use crate::record::time::{NANOS_PER_DAY, NANOS_PER_SECOND, parse_rfc3339};

/// A time as precise as it was written: `2026-11-22` is a whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Unix nanoseconds, included.
    pub start: i64,
    /// Unix nanoseconds, excluded.
    pub end: i64,
}

/// Reads an RFC 3339 instant, one without a zone (UTC is meant), one cut after minute or hour, or a date. An instant
/// stands for as long as its last digit says: a second, a millisecond; as Elasticsearch rounds an upper bound.
pub fn span(text: &str) -> Option<Span> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' || !bytes[0].is_ascii_digit() {
        return None;
    }
    let with = |start: i64, len: i64| Some(Span { start, end: start.saturating_add(len) });
    match bytes.len() {
        10 => return with(parse_rfc3339(&format!("{text}T00:00:00Z"))?, NANOS_PER_DAY),
        13 => return with(parse_rfc3339(&format!("{text}:00:00Z"))?, 3_600 * NANOS_PER_SECOND),
        16 => return with(parse_rfc3339(&format!("{text}:00Z"))?, 60 * NANOS_PER_SECOND),
        _ => {}
    }
    let start = parse_rfc3339(text).or_else(|| parse_rfc3339(&format!("{text}Z")))?;
    let digits = match bytes.get(19) {
        Some(b'.' | b',') => bytes[20..].iter().take_while(|b| b.is_ascii_digit()).count().min(9),
        _ => 0,
    };
    with(start, 10_i64.pow(9 - digits as u32))
}

/// `now`, `now-15m`, `now+1h`, `now-1d/d` (rounded down); units s, m, h, d, w. `None` for anything else.
pub fn relative(text: &str, now: i64) -> Option<i64> {
    let mut rest = text.strip_prefix("now")?;
    let mut at = now;
    while !rest.is_empty() {
        let sign = rest.chars().next()?;
        rest = &rest[sign.len_utf8()..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = unit_nanos(*rest.as_bytes().get(digits)?)?;
        match (sign, digits) {
            ('/', 0) => at = at.div_euclid(unit) * unit,
            ('+' | '-', 1..) => {
                let span = rest[..digits].parse::<i64>().ok()?.checked_mul(unit)?;
                at = if sign == '-' { at.checked_sub(span)? } else { at.checked_add(span)? };
            }
            _ => return None,
        }
        rest = &rest[digits + 1..];
    }
    Some(at)
}

fn unit_nanos(unit: u8) -> Option<i64> {
    Some(match unit {
        b's' => NANOS_PER_SECOND,
        b'm' => 60 * NANOS_PER_SECOND,
        b'h' => 3_600 * NANOS_PER_SECOND,
        b'd' => NANOS_PER_DAY,
        b'w' => 7 * NANOS_PER_DAY,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::time::format_rfc3339;

    #[test]
    fn times_stand_for_as_long_as_they_are_precise() {
        for (text, expected) in [
            ("2026-11-22", Some(("2026-11-22T00:00:00.000Z", NANOS_PER_DAY))),
            ("2026-11-22T10:30", Some(("2026-11-22T10:30:00.000Z", 60 * NANOS_PER_SECOND))),
            ("2026-11-22T10:30:05Z", Some(("2026-11-22T10:30:05.000Z", NANOS_PER_SECOND))),
            ("2026-11-22T10:30:05", Some(("2026-11-22T10:30:05.000Z", NANOS_PER_SECOND))),
            ("2026-11-22T10:30:05.123Z", Some(("2026-11-22T10:30:05.123Z", 1_000_000))),
            ("2026-11-22T10:30:05.123456789+02:00", Some(("2026-11-22T08:30:05.123456789Z", 1))),
            ("2026-11-32", None),
            ("500", None),
            ("", None),
            ("ééééééééé", None),
        ] {
            let got = span(text).map(|s| (format_rfc3339(s.start), s.end - s.start));
            assert_eq!(got, expected.map(|(at, len)| (at.to_owned(), len)), "{text}");
        }
    }

    #[test]
    fn now_is_an_argument() {
        let now = parse_rfc3339("2026-11-22T10:30:05.5Z").unwrap();
        for (text, expected) in [
            ("now", Some("2026-11-22T10:30:05.500Z")),
            ("now-15m", Some("2026-11-22T10:15:05.500Z")),
            ("now-1d/d", Some("2026-11-21T00:00:00.000Z")),
            ("now/h+30s", Some("2026-11-22T10:00:30.000Z")),
            ("now-", None),
            ("now-15", None),
            ("now-15y", None),
            ("nowadays", None),
            ("nowé", None),
            ("now-99999999999999w", None),
        ] {
            assert_eq!(relative(text, now).map(format_rfc3339).as_deref(), expected, "{text}");
        }
    }
}
