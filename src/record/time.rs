//! Times on the wire: RFC 3339 with 0 to 9 fraction digits, to and from Unix nanoseconds.

pub const NANOS_PER_SECOND: i64 = 1_000_000_000;
pub const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SECOND;

/// Reads `2026-03-01T12:00:00.123Z`: 0 to 9 fraction digits, `Z` or an offset, `T`, `t` or a blank between date and
/// time. `None` for anything else, impossible dates included. Years 1678 to 2261 fit the result.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    if b.len() < 20 || b[4] != b'-' || b[7] != b'-' || b[13] != b':' || b[16] != b':' {
        return None;
    }
    if !matches!(b[10], b'T' | b't' | b' ') {
        return None;
    }
    let two = |i: usize| -> Option<i64> {
        let (h, l) = (b[i].wrapping_sub(b'0'), b[i + 1].wrapping_sub(b'0'));
        (h < 10 && l < 10).then_some(i64::from(h) * 10 + i64::from(l))
    };
    let year = two(0)? * 100 + two(2)?;
    let (month, day) = (two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    if !(1678..=2261).contains(&year) || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut i = 19;
    let mut fraction = 0i64;
    if b[i] == b'.' || b[i] == b',' {
        i += 1;
        let start = i;
        while i < b.len() && b[i].is_ascii_digit() && i - start < 9 {
            fraction = fraction * 10 + i64::from(b[i] - b'0');
            i += 1;
        }
        if i == start {
            return None;
        }
        for _ in i - start..9 {
            fraction *= 10;
        }
    }
    let offset_seconds = match b.get(i)? {
        b'Z' | b'z' if i + 1 == b.len() => 0,
        sign @ (b'+' | b'-') => {
            let rest = &b[i + 1..];
            let (h, m) = match rest.len() {
                5 if rest[2] == b':' => (two(i + 1)?, two(i + 4)?),
                4 => (two(i + 1)?, two(i + 3)?),
                _ => return None,
            };
            if h > 23 || m > 59 {
                return None;
            }
            (h * 3600 + m * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_seconds;
    seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(fraction)
}

/// Reads a time as programs that are no Beats write it, from the text of a JSON value: RFC 3339, without a zone (UTC is
/// meant), a date alone, or a number since 1970. A number's unit follows from its size: seconds below 10^11 (the year
/// 5138), then milli-, micro- and nanoseconds; a broken one is one of seconds or milliseconds.
pub fn parse_loose(json: &str) -> Option<i64> {
    let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json).trim();
    if let Some(at) = parse_rfc3339(text) {
        return Some(at);
    }
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'.') && !text.is_empty() {
        if let Ok(n) = text.parse::<i64>() {
            let unit = match n.unsigned_abs() {
                0..100_000_000_000 => NANOS_PER_SECOND,
                100_000_000_000..100_000_000_000_000 => 1_000_000,
                100_000_000_000_000..100_000_000_000_000_000 => 1_000,
                _ => 1,
            };
            return n.checked_mul(unit);
        }
        if let Ok(n) = text.parse::<f64>() {
            let nanos = n * if n.abs() < 1e11 { 1e9 } else { 1e6 };
            return (nanos.abs() < 9e18).then_some(nanos as i64);
        }
    }
    match text.len() {
        10 => parse_rfc3339(&format!("{text}T00:00:00Z")),
        16 => parse_rfc3339(&format!("{text}:00Z")),
        19.. => parse_rfc3339(&format!("{text}Z")),
        _ => None,
    }
}

/// Writes Unix nanoseconds as RFC 3339 in UTC with as many fraction digits as needed, in threes, at least three.
pub fn format_rfc3339(nanos: i64) -> String {
    let (seconds, fraction) = (nanos.div_euclid(NANOS_PER_SECOND), nanos.rem_euclid(NANOS_PER_SECOND));
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let head = format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}");
    if fraction % 1_000_000 == 0 {
        format!("{head}.{:03}Z", fraction / 1_000_000)
    } else if fraction % 1_000 == 0 {
        format!("{head}.{:06}Z", fraction / 1_000)
    } else {
        format!("{head}.{fraction:09}Z")
    }
}

/// The UTC day number (days since 1970-01-01) of an instant.
pub fn day_of(nanos: i64) -> i32 {
    nanos.div_euclid(NANOS_PER_DAY) as i32
}

/// A UTC day number as `2026-11-22`.
pub fn format_day(day: i32) -> String {
    let (year, month, day) = civil_from_days(i64::from(day));
    format!("{year:04}-{month:02}-{day:02}")
}

/// Reads `2026-11-22` as a day number.
pub fn parse_day(text: &str) -> Option<i32> {
    if text.len() != 10 {
        return None;
    }
    parse_rfc3339(&format!("{text}T00:00:00Z")).map(day_of)
}

/// 28 to 31; months count from 1.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Both conversions count in eras of 400 Gregorian years (146,097 days) from 1 March, so that the leap day is last.
/// Days since 1970-01-01 of a date that exists.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a count of days since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_and_print() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-03-01T12:00:00.123Z", Some(1_772_366_400_123_000_000)),
            ("2016-10-06T00:17:09.669794202Z", Some(1_475_713_029_669_794_202)),
            ("2026-03-01T14:00:00+02:00", Some(1_772_366_400_000_000_000)),
            ("2026-03-01T10:30:00-0130", Some(1_772_366_400_000_000_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000_000)),
            ("2023-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-03-01T12:00:00.Z", None),
            ("2026-03-01T12:00:00.1234567890Z", None),
            ("2026-03-01T12:00:00", None),
            ("2026-03-01T12:00:00Zx", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text), nanos, "{text}");
        }
        assert_eq!(format_rfc3339(1_772_366_400_123_000_000), "2026-03-01T12:00:00.123Z");
        assert_eq!(format_rfc3339(1_475_713_029_669_794_202), "2016-10-06T00:17:09.669794202Z");
        assert_eq!(format_day(day_of(-1)), "1969-12-31");
        assert_eq!(parse_day("2026-11-22").map(format_day).as_deref(), Some("2026-11-22"));
    }

    #[test]
    fn times_of_other_programs_read() {
        let at = 1_772_366_400_123_000_000;
        for (json, nanos) in [
            (r#""2026-03-01T12:00:00.123Z""#, Some(at)),
            (r#""2026-03-01T12:00:00.123""#, Some(at)),
            (r#""2026-03-01 12:00:00.123000""#, Some(at)),
            (r#""2026-03-01T12:00""#, Some(at - 123_000_000)),
            (r#""2026-03-01""#, Some(at - 123_000_000 - 12 * 3600 * NANOS_PER_SECOND)),
            ("1772366400", Some(at - 123_000_000)),
            ("1772366400123", Some(at)),
            (r#""1772366400123""#, Some(at)),
            ("1772366400123000", Some(at)),
            ("1772366400123000000", Some(at)),
            ("1772366400.5", Some(at + 377_000_000)),
            ("true", None),
            (r#""yesterday""#, None),
            (r#""""#, None),
            ("{}", None),
        ] {
            assert_eq!(parse_loose(json), nanos, "{json}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_instant_survives_printing(nanos in -9_000_000_000_000_000_000i64..9_000_000_000_000_000_000) {
            proptest::prop_assert_eq!(parse_rfc3339(&format_rfc3339(nanos)), Some(nanos));
        }
    }
}
