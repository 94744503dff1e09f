//! Digits to numbers, over bytes.

use crate::record::time::parse_rfc3339;

/// The number that decimal digits and nothing else write. `None` for anything else, and beyond 64 bits.
#[inline]
pub(super) fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 20 {
        return None;
    }
    let mut n = 0u64;
    if bytes.len() < 20 {
        // 19 digits fit without a check of each step.
        for byte in bytes {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            n = n * 10 + u64::from(digit);
        }
        return Some(n);
    }
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        n = n.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(n)
}

/// Two digits; 100 and more if they are none, so that a range check refuses them.
#[inline]
pub(super) fn two(tens: u8, ones: u8) -> u8 {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 { u8::MAX } else { tens * 10 + ones }
}

/// Whether a text is an instant as the reader of stamps ([`parse_rfc3339`]) knows it. The one form that Envoy writes,
/// `2016-04-15T20:17:00.310Z`, is checked in one pass; all others, and the last days of months, go to the reader.
#[inline]
pub(super) fn is_stamp(text: &str) -> bool {
    let fast = text.as_bytes().as_array::<24>().is_some_and(|b| {
        let separators =
            b[4] == b'-' && b[7] == b'-' && b[10] == b'T' && b[13] == b':' && b[16] == b':' && b[19] == b'.';
        let fraction = two(b[20], b[21]) < 100 && b[22].is_ascii_digit();
        let century = matches!(two(b[0], b[1]), 17..=21) && two(b[2], b[3]) < 100;
        let date = matches!(two(b[5], b[6]), 1..=12) && matches!(two(b[8], b[9]), 1..=28);
        let time = two(b[11], b[12]) < 24 && two(b[14], b[15]) < 60 && two(b[17], b[18]) < 60;
        separators && b[23] == b'Z' && century && date && time && fraction
    });
    fast || parse_rfc3339(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_nothing_else() {
        for (text, number) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("9999999999999999999", Some(9_999_999_999_999_999_999)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("000000000000000000001", None),
            ("", None),
            ("-1", None),
            ("1a", None),
            ("٣", None),
        ] {
            assert_eq!(digits(text.as_bytes()), number, "{text:?}");
        }
        assert_eq!((two(b'0', b'9'), two(b'5', b'9')), (9, 59));
        assert!(two(b'5', b'x') >= 100 && two(b' ', b'1') >= 100);
    }

    proptest::proptest! {
        #[test]
        fn the_short_way_finds_what_the_reader_finds(
            text in "[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9][.,][0-9:]{3}[Zz]",
        ) {
            proptest::prop_assert_eq!(is_stamp(&text), parse_rfc3339(&text).is_some());
        }
    }
}
