//! Sizes and lengths of time as an operator writes them: `64MiB`, `15m`.

use std::time::Duration;

/// Bytes: a whole number, alone or with KiB, MiB, GiB, TiB (powers of 1024).
pub fn bytes(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is not a size: write a whole number and KiB, MiB, GiB or TiB, such as 64MiB");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| bad())?;
    let shift = match text[digits..].trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(bad()),
    };
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text:?} is more than fits 64 bits"))
}

/// A length of time: a whole number with ms, s, m, h or d.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a length of time: write a whole number and ms, s, m, h or d, such as 15m");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| bad())?;
    let ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    number.checked_mul(ms).map(Duration::from_millis).ok_or_else(|| format!("{text:?} is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read() {
        for (text, value) in [
            ("64MiB", Some(64 << 20)),
            ("0", Some(0)),
            ("1 GiB", Some(1 << 30)),
            ("64MB", None),
            ("", None),
            ("-1", None),
        ] {
            assert_eq!(bytes(text).ok(), value, "{text}");
        }
        for (text, ms) in [("15m", Some(900_000)), ("500ms", Some(500)), ("15", None), ("1.5s", None), ("", None)] {
            assert_eq!(duration(text).ok(), ms.map(Duration::from_millis), "{text}");
        }
    }
}
