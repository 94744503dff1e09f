//! A line as it is stored: shorter where it repeats what a column holds, or spells bytes in hex.
//!
//! Compression does poorly on both: a UUID costs some 22 bytes of a compressed block instead of 16, a time 4 to 5. So
//! a line is packed before: bytes that no UTF-8 text has stand for what follows.
//!
//! | byte | stands for |
//! |---|---|
//! | `0xFF` and 16 bytes | a UUID, lower case |
//! | `0xFE` | the record's time as `2026-11-22T10:00:00.123Z` |
//! | `0xFD` | the record's time as klog prints it, `1122 10:00:00.123456` |

use std::io::Write;

use memchr::{memchr_iter, memchr3};

use super::fill::read_stamp;
use crate::record::time::{self, NANOS_PER_DAY};

const UUID: u8 = 0xFF;
const INSTANT: u8 = 0xFE;
const KLOG_STAMP: u8 = 0xFD;

const UUID_BYTES: usize = 36;
const INSTANT_BYTES: usize = 24;
const KLOG_STAMP_BYTES: usize = 20;

/// Appends the packed line of a record logged at `timestamp` (Unix nanoseconds).
pub fn pack(line: &str, timestamp: i64, out: &mut Vec<u8>) {
    let bytes = line.as_bytes();
    let mut done = 0;
    if is_klog_stamp(line.get(1..1 + KLOG_STAMP_BYTES), timestamp) {
        out.extend([bytes[0], KLOG_STAMP]);
        done = 1 + KLOG_STAMP_BYTES;
    }
    for dash in memchr_iter(b'-', bytes) {
        if dash < done + 4 {
            continue;
        }
        if bytes.get(dash + 3) == Some(&b'-') {
            let at = dash - 4..dash - 4 + INSTANT_BYTES;
            if line.get(at.clone()).is_some_and(|text| read_stamp(text) == Some(timestamp)) {
                out.extend(&bytes[done..at.start]);
                out.push(INSTANT);
                done = at.end;
            }
        } else if bytes.get(dash + 5) == Some(&b'-') && dash >= done + 8 {
            let at = dash - 8..dash - 8 + UUID_BYTES;
            if let Some(uuid) = bytes.get(at.clone()).and_then(read_uuid) {
                out.extend(&bytes[done..at.start]);
                out.push(UUID);
                out.extend(uuid);
                done = at.end;
            }
        }
    }
    out.extend(&bytes[done..]);
}

/// The line that was packed; `None` for what is damaged.
pub fn unpack(packed: &[u8], timestamp: i64) -> Option<String> {
    let mut line = Vec::with_capacity(packed.len() + 2 * UUID_BYTES);
    let mut rest = packed;
    while let Some(at) = memchr3(UUID, INSTANT, KLOG_STAMP, rest) {
        line.extend(&rest[..at]);
        let marker = rest[at];
        rest = &rest[at + 1..];
        match marker {
            UUID => {
                let (uuid, behind) = rest.split_first_chunk()?;
                write_uuid(uuid, &mut line);
                rest = behind;
            }
            INSTANT => line.extend(time::format_rfc3339(timestamp).as_bytes()),
            _ => line.extend(klog_stamp(timestamp)),
        }
    }
    line.extend(rest);
    String::from_utf8(line).ok()
}

/// The bytes of a UUID in its one spelling: 36 characters, lower case.
fn read_uuid(text: &[u8]) -> Option<[u8; 16]> {
    const NOT_HEX: u8 = 0xFF;
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => NOT_HEX,
    };
    let text: &[u8; UUID_BYTES] = text.try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|dash| text[*dash] != b'-') {
        return None;
    }
    let (mut uuid, mut at, mut wrong) = ([0; 16], 0, 0);
    for (nth, byte) in uuid.iter_mut().enumerate() {
        // Only where one has to stand: any other is no digit.
        at += usize::from(matches!(nth, 4 | 6 | 8 | 10));
        let (high, low) = (digit(text[at]), digit(text[at + 1]));
        wrong |= high | low;
        *byte = high << 4 | low;
        at += 2;
    }
    (wrong < 16).then_some(uuid)
}

fn write_uuid(uuid: &[u8; 16], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (nth, byte) in uuid.iter().enumerate() {
        if matches!(nth, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

fn is_klog_stamp(text: Option<&str>, timestamp: i64) -> bool {
    let Some((date, time)) = text.and_then(|text| text.split_once(' ')) else { return false };
    time.len() == 15
        && read_stamp(time) == Some(timestamp.rem_euclid(NANOS_PER_DAY) / 1000)
        && klog_stamp(timestamp).starts_with(date.as_bytes())
}

/// `MMDD HH:MM:SS.ffffff`, as klog prints a time in UTC.
fn klog_stamp(timestamp: i64) -> [u8; KLOG_STAMP_BYTES] {
    let (_, month, day) = time::civil_from_days(timestamp.div_euclid(NANOS_PER_DAY));
    let micros = timestamp.rem_euclid(NANOS_PER_DAY) / 1000;
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let mut stamp = [0; KLOG_STAMP_BYTES];
    // It fits: each number has the digits it is given.
    let _ = write!(
        &mut stamp[..],
        "{month:02}{day:02} {:02}:{:02}:{:02}.{micros:06}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    stamp
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: i64 = 1_795_441_837_758_000_000;

    fn packed(line: &str, timestamp: i64) -> Vec<u8> {
        let mut out = Vec::new();
        pack(line, timestamp, &mut out);
        assert_eq!(unpack(&out, timestamp).as_deref(), Some(line), "{out:x?}");
        out
    }

    #[test]
    fn times_and_uuids_take_their_bytes() {
        let uuid = "37188f51-ecb9-498f-adf7-f8d993eebba5";
        let instant = time::format_rfc3339(AT);
        let check = |line: String, bytes: usize| assert_eq!(packed(&line, AT).len(), bytes, "{line}");
        check(uuid.to_owned(), 17);
        check(format!("{uuid}{uuid}"), 34);
        check(format!("1-{uuid}-"), 20);
        check(format!("a{uuid}"), 18);
        check(uuid.to_uppercase(), 36);
        check(uuid.replace('a', "g"), 36);
        check(uuid[..35].to_owned(), 35);
        // A dash more than a UUID has.
        check("0000a0aa-000a-0aaa-a0aa-a000a00a00a-".to_owned(), 36);
        check("0000a0-a-000a-0aaa-a0aa-a000a00a00a0".to_owned(), 36);
        check(format!("[{instant}] \"{uuid}\""), 23);
        check(format!("{instant}{instant}"), 2);
        check(instant.replace('T', "t"), 24);
        check(format!("{instant} {}", time::format_rfc3339(AT + 1_000_000)), 26);
        let stamp = String::from_utf8(klog_stamp(AT).to_vec()).unwrap();
        check(format!("I{stamp}       1 x.go:1] {uuid} {instant}"), 38);
        check(format!("I{stamp}"), 2);
        check(format!("{stamp}       1 x.go:1]"), 36);
        check(String::new(), 0);
        check("\u{fd}\u{fe}\u{ff} \u{1f600}".to_owned(), 11);
    }

    #[test]
    fn what_is_damaged_is_no_line() {
        assert_eq!(unpack(&[UUID, 1, 2], AT), None);
        assert_eq!(unpack(&[b'a', 0xC3], AT), None);
    }

    proptest! {
        #[test]
        fn every_line_comes_back(
            pieces in prop::collection::vec(
                prop_oneof![
                    "\\PC{0,9}",
                    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
                    "[0-9a-fA-F-]{0,40}",
                    Just("2026-11-23T13:50:37.758Z".to_owned()),
                    Just("I1123 13:50:37.758000 ".to_owned()),
                    "[IW]?[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}",
                ],
                0..6,
            ),
            timestamp in prop_oneof![Just(AT), any::<i64>()],
        ) {
            packed(&pieces.concat(), timestamp);
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = unpack(&bytes, AT);
        }
    }
}
