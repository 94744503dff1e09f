//! Undoes Go's `strconv.Quote`.

use std::borrow::Cow;

/// Where the quote stands that closes the one at `open`.
pub(super) fn closing(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// The string whose opening quote is at `open`, and where what follows it begins. `None` where it is not closed or
/// holds an escape that Go does not write.
pub(super) fn unquote(text: &str, open: usize) -> Option<(Cow<'_, str>, usize)> {
    let bytes = text.as_bytes();
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let start = open + 1;
    let mut at = start + memchr::memchr2(b'"', b'\\', &bytes[start..])?;
    if bytes[at] == b'"' {
        return Some((Cow::Borrowed(&text[start..at]), at + 1));
    }
    // Bytes, not text: `\xff` stands for a byte that was not UTF-8, and `\xc3\xa9` may together be a letter.
    let mut out = bytes[start..at].to_vec();
    while bytes[at] == b'\\' {
        at = escape(bytes, at + 1, &mut out)?;
        let run = memchr::memchr2(b'"', b'\\', &bytes[at..])?;
        out.extend_from_slice(&bytes[at..at + run]);
        at += run;
    }
    let out = String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    Some((Cow::Owned(out), at + 1))
}

/// Writes what the escape after a backslash stands for; returns where it ends.
fn escape(bytes: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
    let byte = match bytes.get(at)? {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'"' => b'"',
        b'x' => {
            out.push(u8::try_from(hex(bytes, at + 1, 2)?).ok()?);
            return Some(at + 3);
        }
        b'u' => return code_point(hex(bytes, at + 1, 4)?, at + 5, out),
        b'U' => return code_point(hex(bytes, at + 1, 8)?, at + 9, out),
        _ => return None,
    };
    out.push(byte);
    Some(at + 1)
}

fn code_point(code: u32, end: usize, out: &mut Vec<u8>) -> Option<usize> {
    let mut buffer = [0; 4];
    out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut buffer).as_bytes());
    Some(end)
}

pub(super) fn hex(bytes: &[u8], at: usize, len: usize) -> Option<u32> {
    bytes.get(at..at + len)?.iter().try_fold(0u32, |n, byte| Some(n << 4 | char::from(*byte).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = unquote(text, 0);
            let found = found.as_ref().map(|(s, end)| (&**s, &text[*end..]));
            assert_eq!(found, expected, "{text:?}");
        };
        check(r#""""#, Some(("", "")));
        check(r#""a" b"#, Some(("a", " b")));
        check(r#""日本" x"#, Some(("日本", " x")));
        check(r#""\a\b\f\n\r\t\v\\\"""#, Some(("\u{7}\u{8}\u{c}\n\r\t\u{b}\\\"", "")));
        check(r#""\x00\xc3\xa9\u00e9\U0001F680é""#, Some(("\0éé🚀é", "")));
        check(r#""a\xffb""#, Some(("a\u{fffd}b", "")));
        for bad in
            [r#"""#, r#""a"#, r#""\""#, r#""\x0""#, r#""\xé""#, r#""\ud800""#, r#""\U00110000""#, r#""\'""#, "", "a"]
        {
            check(bad, None);
        }
        assert_eq!(closing(br#""a\"b\\" c""#, 0), Some(7));
        assert_eq!(closing(br#""\"#, 0), None);
    }
}
