//! Which shard a record lives in.

use crate::record::time::{self, NANOS_PER_DAY};

/// The "day" of the shard for lines whose time cannot be believed, or whose day is deleted already. They are kept,
/// counted and searched like all others; but a clock gone wild opens no shard for each of its days, and an old line
/// brings no deleted day back.
pub const QUARANTINE: i32 = i32::MIN;
const QUARANTINE_NAME: &str = "quarantine";

/// The name of a shard's directory: `2026-11-22`, or `quarantine`.
pub fn shard_name(day: i32) -> String {
    if day == QUARANTINE { QUARANTINE_NAME.to_owned() } else { time::format_day(day) }
}

/// The day of a shard by its name.
pub fn shard_day(name: &str) -> Option<i32> {
    if name == QUARANTINE_NAME { Some(QUARANTINE) } else { time::parse_day(name) }
}

/// How far a line's time may be from when it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Believable {
    /// Days that are kept; older lines are quarantined. `None` believes any past.
    pub days: Option<u32>,
    /// Lines from further in the future are quarantined: nanoseconds.
    pub ahead_nanos: i64,
}

impl Believable {
    /// The day of the shard for a record logged at `timestamp` and received at `received_at` (Unix nanoseconds). It does
    /// not depend on when the question is asked, so a replay of the journal finds the same.
    pub fn home(&self, timestamp: i64, received_at: i64) -> i32 {
        let day = time::day_of(timestamp);
        let too_old = self.days.is_some_and(|days| i64::from(day) < oldest_kept(received_at, days));
        if too_old || timestamp > received_at.saturating_add(self.ahead_nanos) { QUARANTINE } else { day }
    }
}

/// The oldest UTC day that is kept at `now` (Unix nanoseconds) where `days` are, today included.
pub fn oldest_kept(now: i64, days: u32) -> i64 {
    now.div_euclid(NANOS_PER_DAY) - i64::from(days) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_live_in_their_day_or_in_quarantine() {
        let now = 20_000 * NANOS_PER_DAY + NANOS_PER_DAY / 2;
        let hour = NANOS_PER_DAY / 24;
        let week = Believable { days: Some(7), ahead_nanos: hour };
        for (timestamp, day) in [
            (now, 20_000),
            (now + hour, 20_000),
            (now + hour + 1, QUARANTINE),
            (19_994 * NANOS_PER_DAY, 19_994),
            (19_994 * NANOS_PER_DAY - 1, QUARANTINE),
            (i64::MIN, QUARANTINE),
            (i64::MAX, QUARANTINE),
        ] {
            assert_eq!(week.home(timestamp, now), day, "{timestamp}");
        }
        let ever = Believable { days: None, ahead_nanos: i64::MAX };
        assert_eq!((ever.home(0, now), ever.home(now * 2, now)), (0, 40_001));
    }

    #[test]
    fn names_read_back() {
        for day in [QUARANTINE, 0, 20_000] {
            assert_eq!(shard_day(&shard_name(day)), Some(day));
        }
        assert_eq!(shard_day("quarantine.damaged-1"), None);
    }
}
