//! Digits to numbers, over bytes.

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
}
