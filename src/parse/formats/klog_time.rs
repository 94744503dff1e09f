//! klog's header has no year and no zone: both come from a reference, the time the line was collected.

use crate::record::time::{NANOS_PER_DAY, NANOS_PER_SECOND, civil_from_days, days_from_civil, days_in_month};

/// The instant a klog header names, read as UTC: of the reference's year and the years beside it, the date nearest to
/// the reference (Unix nanoseconds). A 29 February counts only where there is one. `None` where the parts are no date,
/// or `time` is not `hh:mm:ss.uuuuuu`.
pub fn klog_time(reference_nanos: i64, month: u8, day: u8, time: &str) -> Option<i64> {
    let bytes = time.as_bytes();
    if bytes.len() != 15 || bytes[2] != b':' || bytes[5] != b':' || bytes[8] != b'.' {
        return None;
    }
    let part = |range: std::ops::Range<usize>| crate::parse::number::digits(&bytes[range]).map(|n| n as i64);
    let (hour, minute, second, micros) = (part(0..2)?, part(3..5)?, part(6..8)?, part(9..15)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let of_day = ((hour * 60 + minute) * 60 + second) * NANOS_PER_SECOND + micros * 1_000;
    let (month, day) = (i64::from(month), i64::from(day));
    let (year, _, _) = civil_from_days(reference_nanos.div_euclid(NANOS_PER_DAY));
    (year - 1..=year + 1)
        .filter(|year| (1..=12).contains(&month) && (1..=days_in_month(*year, month)).contains(&day))
        .filter_map(|year| days_from_civil(year, month, day).checked_mul(NANOS_PER_DAY)?.checked_add(of_day))
        .min_by_key(|nanos| nanos.abs_diff(reference_nanos))
}

/// Offsets in use reach from 12 hours behind UTC to 14 ahead; the rule takes both sides alike.
const OFFSET_MAX_SECONDS: i64 = 14 * 3600;
const OFFSET_STEP_SECONDS: i64 = 15 * 60;
/// How far a header may be from a whole offset: the way from the process to the collector takes this long at most.
const DELAY_MAX_NANOS: u64 = 5 * NANOS_PER_SECOND as u64;

/// The zone offset, in seconds east of UTC, that would explain why a header's time ([`klog_time`]) is off from the
/// time its line was collected. `None` where no multiple of 15 minutes up to 14 hours does, within 5 seconds. One line
/// proves nothing: a source's lines must agree before it is taken.
pub fn klog_zone_offset(header_nanos: i64, reference_nanos: i64) -> Option<i64> {
    let off = header_nanos.checked_sub(reference_nanos)?;
    let step = OFFSET_STEP_SECONDS * NANOS_PER_SECOND;
    let steps = off.checked_add(step / 2)?.div_euclid(step);
    let seconds = steps * OFFSET_STEP_SECONDS;
    (seconds.abs() <= OFFSET_MAX_SECONDS && off.abs_diff(steps * step) <= DELAY_MAX_NANOS).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::time::{format_rfc3339, parse_rfc3339};

    #[test]
    fn the_nearest_year() {
        let check = |reference: &str, month, day, time, expected: Option<&str>| {
            let found = klog_time(parse_rfc3339(reference).unwrap(), month, day, time).map(format_rfc3339);
            assert_eq!(found.as_deref(), expected, "{reference} {month}-{day} {time}");
        };
        let noon = "12:00:00.000001";
        check("2026-06-15T00:00:00Z", 6, 14, noon, Some("2026-06-14T12:00:00.000001Z"));
        check("2026-01-01T00:00:05Z", 12, 31, "23:59:59.999999", Some("2025-12-31T23:59:59.999999Z"));
        check("2025-12-31T23:59:58Z", 1, 1, "00:00:00.000000", Some("2026-01-01T00:00:00.000Z"));
        check("2024-03-01T00:00:00Z", 2, 29, noon, Some("2024-02-29T12:00:00.000001Z"));
        check("2025-03-01T00:00:00Z", 2, 29, noon, Some("2024-02-29T12:00:00.000001Z"));
        check("2026-03-01T00:00:00Z", 2, 29, noon, None);
        check("2026-03-01T00:00:00Z", 2, 30, noon, None);
        check("2026-03-01T00:00:00Z", 13, 1, noon, None);
        check("2026-03-01T00:00:00Z", 1, 0, noon, None);
        check("2026-03-01T00:00:00Z", 1, 1, "24:00:00.000000", None);
        check("2026-03-01T00:00:00Z", 1, 1, "12:00:00", None);
        check("2026-03-01T00:00:00Z", 1, 1, "1é:00:00.00000", None);
        check("2026-03-01T00:00:00Z", 1, 1, "", None);
    }

    #[test]
    fn offsets() {
        for (off_seconds, expected) in [
            (0, Some(0)),
            (-2, Some(0)),
            (2 * 3600 - 1, Some(7200)),
            (-5 * 3600 - 3, Some(-18_000)),
            (5 * 3600 + 45 * 60, Some(20_700)),
            (14 * 3600, Some(50_400)),
            (14 * 3600 + 900, None),
            (400, None),
        ] {
            assert_eq!(klog_zone_offset(off_seconds * NANOS_PER_SECOND, 0), expected, "{off_seconds}");
        }
        assert_eq!(klog_zone_offset(i64::MAX, i64::MIN), None);
    }

    proptest::proptest! {
        #[test]
        fn never_further_than_half_a_leap_cycle(reference in 0i64..8_000_000_000_000_000_000, month in 0u8..20, day in 0u8..40) {
            if let Some(found) = klog_time(reference, month, day, "00:00:00.000000") {
                proptest::prop_assert!(found.abs_diff(reference) <= 2 * 366 * NANOS_PER_DAY as u64);
            }
        }
    }
}
