//! Where the message of a whole log line begins.
//!
//! A header says when, where and how bad; the message says what. The same message under another level, process or
//! logger is the same template, so a header must not take part in finding it. One is only looked for where a line
//! begins with a time, possibly after a few words of numbers; every other text is a message from its first byte.
//!
//! After the time come, in this order and each of them optional: words of numbers and symbols, a level, one bracketed
//! group, the name of a logger or a program. Syslog has no level, but a host and a tag that ends in a colon.

use super::class::{DIGIT, LETTER, SPACE, class, is_calendar_word};

/// Words before the time: the name of the file the line is from, an epoch, `-`.
const WORDS_BEFORE_TIME_MAX: usize = 3;
/// Words between the time and the level: process and thread numbers, node names.
const WORDS_BEFORE_LEVEL_MAX: usize = 6;
/// Bytes a header may take.
const HEADER_BYTES_MAX: usize = 512;

/// The byte at which the message begins: 0 where there is no header.
pub fn end(line: &str) -> usize {
    let bytes = &line.as_bytes()[..line.len().min(HEADER_BYTES_MAX)];
    if !may_be_header(bytes) {
        return 0;
    }
    let Some(time) = time_end(bytes) else { return 0 };
    let end = fields_end(bytes, time)
        .or_else(|| level_end(bytes, time))
        .or_else(|| tag_end(bytes, time))
        .or_else(|| program_end(bytes, time))
        .unwrap_or(time);
    skip_blanks(bytes, end)
}

/// Whether the first word is one that a header may begin with: most messages end here.
fn may_be_header(bytes: &[u8]) -> bool {
    let word = bytes.iter().take_while(|b| class(**b) & SPACE == 0);
    matches!(bytes.first(), Some(b'[' | b'<' | b'-'))
        || bytes.get(..3).is_some_and(is_calendar_word)
        || word.filter(|b| b.is_ascii_digit()).count() >= 4
        || bytes.first().is_some_and(u8::is_ascii_digit)
}

fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|b| class(**b) & SPACE != 0).count()
}

/// The word from `at` on (blanks before it skipped), up to a blank: where it starts and ends.
fn word(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = skip_blanks(bytes, at);
    let length = bytes[start..].iter().take_while(|b| class(**b) & SPACE == 0).count();
    (length > 0).then_some((start, start + length))
}

/// Digits and what stands between the digits of a time, at least four digits in all.
fn is_time_word(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"[").unwrap_or(word);
    let digits = word.iter().filter(|b| b.is_ascii_digit()).count();
    digits >= 4 && word[0].is_ascii_digit() && word.iter().all(|b| b.is_ascii_digit() || b"-/:.,TZ+]_".contains(b))
}

/// Whether the word holds hours, minutes and seconds: `15:16:01`, or `15:6:1`.
fn has_clock(word: &[u8]) -> bool {
    let mut parts = word.split(|b| *b == b':').skip(1);
    let number = |part: &[u8]| !part.is_empty() && part[..part.len().min(2)].iter().all(u8::is_ascii_digit);
    parts.next().is_some_and(|minutes| minutes.len() <= 2 && number(minutes)) && parts.next().is_some_and(number)
}

/// The end of syslog's priority, `<34>`.
fn priority_end(bytes: &[u8]) -> usize {
    let digits = bytes.iter().skip(1).take_while(|b| b.is_ascii_digit()).count();
    let found = bytes.first() == Some(&b'<') && (1..=3).contains(&digits) && bytes.get(digits + 1) == Some(&b'>');
    if found { digits + 2 } else { 0 }
}

/// The end of the time the line begins with.
fn time_end(bytes: &[u8]) -> Option<usize> {
    let mut at = priority_end(bytes);
    for _ in 0..=WORDS_BEFORE_TIME_MAX {
        if let Some(end) = time_at(bytes, at) {
            return Some(end);
        }
        let (start, end) = word(bytes, at)?;
        // A message, then, and no header. Words of letters alone are none of a header's before the time.
        if bytes[start..end].iter().all(|b| class(*b) & LETTER != 0) {
            return None;
        }
        let numbers = bytes[start..end].iter().filter(|b| class(**b) & DIGIT != 0).count();
        if numbers < 4 && &bytes[start..end] != b"-" {
            return None;
        }
        at = end;
    }
    None
}

/// The end of a time at `at`: a word with a clock in it, or a date and the word after it; months may be names.
fn time_at(bytes: &[u8], at: usize) -> Option<usize> {
    let (first, first_end) = word(bytes, at)?;
    let text = &bytes[first..first_end];
    if let Some(bar) = text.iter().position(|b| *b == b'|')
        && has_clock(&text[..bar])
    {
        return Some(first + bar);
    }
    let name = text.strip_prefix(b"[").unwrap_or(text);
    if is_calendar_word(name) {
        let mut end = first_end;
        for _ in 0..3 {
            let (start, next_end) = word(bytes, end)?;
            end = next_end;
            if has_clock(&bytes[start..end]) {
                let year = word(bytes, end).filter(|(s, e)| {
                    e - s == 5 && bytes[*s..*e].ends_with(b"]")
                        || e - s == 4 && bytes[*s..*e].iter().all(u8::is_ascii_digit)
                });
                return Some(year.map_or(end, |(_, year_end)| year_end));
            }
        }
        return None;
    }
    if !is_time_word(text) {
        return None;
    }
    if has_clock(text) {
        return Some(first_end);
    }
    let (second, second_end) = word(bytes, first_end)?;
    let text = &bytes[second..second_end];
    let digits_only = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    let compact = text.len() == 6 && digits_only(text) && digits_only(&bytes[first..first_end]);
    (is_time_word(text) && has_clock(text) || compact).then_some(second_end)
}

/// `|logger|4711|`: up to three fields between bars, right after the time.
fn fields_end(bytes: &[u8], time: usize) -> Option<usize> {
    let mut end = None;
    let mut at = time;
    for _ in 0..3 {
        if bytes.get(at) != Some(&b'|') {
            break;
        }
        end = Some(at + 1);
        let length = bytes[at + 1..].iter().take_while(|b| class(**b) & SPACE == 0 && **b != b'|').count();
        at += 1 + length;
    }
    end
}

fn is_level(word: &[u8]) -> bool {
    const LEVELS: [&[u8]; 19] = [
        b"trace",
        b"debug",
        b"info",
        b"information",
        b"notice",
        b"warn",
        b"warning",
        b"error",
        b"err",
        b"severe",
        b"critical",
        b"crit",
        b"fatal",
        b"failure",
        b"alert",
        b"emerg",
        b"panic",
        b"verbose",
        b"audit",
    ];
    let trimmed = word.strip_prefix(b"[").unwrap_or(word);
    let length = trimmed.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let (name, after) = trimmed.split_at(length);
    // One letter alone is a level where it stands by itself, as Android and klog write it.
    let single = word.len() == 1 && b"TDIWEFVC".contains(&word[0]);
    single || after.iter().all(|b| b"]:,|-".contains(b)) && LEVELS.iter().any(|level| level.eq_ignore_ascii_case(name))
}

/// The end of a header that has a level.
fn level_end(bytes: &[u8], time: usize) -> Option<usize> {
    let mut at = time;
    for _ in 0..=WORDS_BEFORE_LEVEL_MAX {
        let (start, end) = word(bytes, at)?;
        let text = &bytes[start..end];
        if is_level(text) {
            // Where the level is one letter, a tag always follows (logcat).
            return Some(after_level(bytes, end, text.len() == 1));
        }
        let in_header = text.iter().any(|b| class(*b) & DIGIT != 0)
            || text.iter().all(|b| class(*b) & LETTER == 0 || b.is_ascii_uppercase());
        if text.starts_with(b"[") {
            at = group_end(bytes, start)?;
        } else if in_header {
            at = end;
        } else {
            return None;
        }
    }
    None
}

/// The end of the bracketed group that starts here, groups inside it included.
fn group_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 1 => return Some(at + 1),
            b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// After the level: one bracketed group, a logger before or after it, a dash.
fn after_level(bytes: &[u8], level: usize, tagged: bool) -> usize {
    let mut end = level;
    let (mut group, mut logger) = (false, false);
    while let Some((start, word_end)) = word(bytes, end) {
        let text = &bytes[start..word_end];
        if !group && text[0] == b'[' {
            let Some(closed) = group_end(bytes, start) else { break };
            (group, end) = (true, closed);
        } else if matches!(text, b"-" | b"|" | b":" | b"---") {
            end = word_end;
        } else if !logger && (is_logger(bytes, text, word_end) || tagged && text.ends_with(b":")) {
            (logger, end) = (true, word_end);
        } else {
            break;
        }
    }
    end
}

/// A name with parts (`pkg.Class`, `a::b`, `CamelCase`) that a colon ends; without the colon a bracket must follow.
fn is_logger(bytes: &[u8], text: &[u8], end: usize) -> bool {
    let name = text.strip_suffix(b":").unwrap_or(text);
    let parts = name.iter().any(|b| b".$/@_".contains(b)) || name.windows(2).any(|w| w == b"::");
    let camel = name.windows(2).any(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase());
    let plain = name.iter().all(|b| class(*b) & (LETTER | DIGIT) != 0 || b".$/@_-:#".contains(b));
    let followed = word(bytes, end).is_some_and(|(start, _)| bytes[start] == b'[');
    plain && (text.ends_with(b":") && (parts || camel) || parts && followed)
}

/// Syslog: a host, then a tag that ends in a colon (`sshd[4711]:`), or the tag alone.
fn tag_end(bytes: &[u8], time: usize) -> Option<usize> {
    let mut at = time;
    for _ in 0..3 {
        let (_, end) = word(bytes, at)?;
        if bytes[end - 1] == b':' {
            return Some(end);
        }
        at = end;
    }
    None
}

/// `program - message`.
fn program_end(bytes: &[u8], time: usize) -> Option<usize> {
    let (_, end) = word(bytes, time)?;
    let (dash, dash_end) = word(bytes, end)?;
    (&bytes[dash..dash_end] == b"-").then_some(dash_end)
}
