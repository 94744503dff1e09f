//! What a byte can be in a log line, as one table look-up.

/// Blanks separate words.
pub const SPACE: u8 = 1;
/// Punctuation separates words too, and is a token itself.
pub const PUNCT: u8 = 2;
/// A word with a digit is taken for a value.
pub const DIGIT: u8 = 4;
/// Letters, and every byte of a character beyond ASCII.
pub const LETTER: u8 = 8;
/// What only a digit can keep from being a hexadecimal number: `g` to `z`, symbols, everything beyond ASCII.
pub const NOT_HEX: u8 = 16;
/// A full stop: inside a word, at its end, or leading to the next one.
pub const DOT: u8 = 32;
/// `/`, between the parts of a path.
pub const SLASH: u8 = 64;
/// `@`, between a user and a host.
pub const AT: u8 = 128;

/// The classes of each byte, as a set of bits.
pub const CLASS: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = match b {
            b'\t'..=b'\r' | b' ' | 0 => SPACE,
            b'=' | b':' | b',' | b';' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' => PUNCT,
            b'"' | b'\'' | b'|' => PUNCT,
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => LETTER,
            b'A'..=b'Z' | b'a'..=b'z' | 0x80.. => LETTER | NOT_HEX,
            b'.' => NOT_HEX | DOT,
            b'/' => NOT_HEX | SLASH,
            b'@' => NOT_HEX | AT,
            _ => NOT_HEX,
        };
        byte += 1;
    }
    table
}

/// The classes of one byte.
pub const fn class(byte: u8) -> u8 {
    CLASS[byte as usize]
}

/// Whether a word ends before this byte.
pub const fn ends_word(byte: u8) -> bool {
    class(byte) & (SPACE | PUNCT) != 0
}

/// `Mon` to `Sun` and `Jan` to `Dec`, capitalised or in capitals: part of a time where a number stands beside it. In
/// small letters some are common words (`may`, `sat`).
pub fn is_calendar_word(word: &[u8]) -> bool {
    const WORDS: [&[u8; 3]; 19] = [
        b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun", b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul",
        b"aug", b"sep", b"oct", b"nov", b"dec",
    ];
    word.len() == 3 && word[0].is_ascii_uppercase() && WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Abbreviated units of time and size. One after a number belongs to it, because the same message says `512 B` once and
/// `3.4 MB` the next time. Units spelled out (`bytes`, `seconds`) stay as they are in the message's text.
pub fn is_unit(word: &[u8]) -> bool {
    const UNITS: [&[u8]; 17] = [
        b"b", b"s", b"kb", b"mb", b"gb", b"tb", b"pb", b"ns", b"us", b"ms", b"hz", b"kib", b"mib", b"gib", b"tib",
        b"sec", b"secs",
    ];
    word.len() <= 4 && UNITS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Nouns after which a name follows: `session opened for user alice`.
pub fn announces_name(word: &[u8]) -> bool {
    const NOUNS: [&[u8]; 5] = [b"user", b"account", b"host", b"hostname", b"username"];
    NOUNS.iter().any(|known| known.eq_ignore_ascii_case(word))
}
