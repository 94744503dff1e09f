//! The few upstream definitions whose text needs backtracking, and what is compiled instead.
//!
//! Eleven legacy patterns and twelve ECS ones use look-around or atomic groups (PROTOCOLS section 4). Look-around at one
//! character stays as it is, [`super::translate`] knows how to check it; the rest is rewritten here. A row applies where
//! a definition of that name holds exactly that text, so a user's own pattern of the same name is left alone.

use std::borrow::Cow;

/// A definition's name, the text that upstream has, the text that means the same without backtracking.
const REWRITES: &[(&str, &str, &str)] = &[
    // Its alternatives begin with different characters, and what follows a number never continues it.
    ("BASE10NUM", "(?>[+-]?", "(?:[+-]?"),
    // Two or four digits; as an atomic repetition it never gave back a pair.
    ("YEAR", r"(?>\d\d){1,2}", r"\d\d(?:\d\d)?"),
    ("WINPATH", r"(?>[A-Za-z]+:|\\)", r"(?:[A-Za-z]+:|\\)"),
    // One way through each quotation: a character is escaped or it is not.
    (
        "QUOTEDSTRING",
        r#"(?>(?<!\\)(?>"(?>\\.|[^\\"]+)+"|""|(?>'(?>\\.|[^\\']+)+')|''|(?>`(?>\\.|[^\\`]+)+`)|``))"#,
        r#"(?<!\\)(?:"(?:\\.|[^\\"])*"|'(?:\\.|[^\\'])*'|`(?:\\.|[^\\`])*`)"#,
    ),
    // Meant as a look-behind and written as a look-ahead for "<": what follows is a digit, so it always holds.
    ("TIME", "(?!<[0-9])", ""),
    ("HAPROXYTIME", "(?!<[0-9])", ""),
    // HAProxy's milliseconds are a field of their own. Upstream's second takes them first, and gives them back when
    // the look-ahead and the milliseconds' pattern fail.
    ("HAPROXYTIME", "(?::%{SECOND:haproxy_second})(?![0-9])", "(?::(?<haproxy_second>[0-5][0-9]|60))"),
    ("HAPROXYTIME", "(?::%{SECOND})(?![0-9])", "(?::(?:[0-5][0-9]|60))"),
    // The look-ahead captures the rest of the line while the pattern goes on to take it apart.
    ("SYSLOGPAMSESSION", "(?: by %{GREEDYDATA:pam_by})?", "(?: by %{GREEDYDATA:pam_by})?.*)"),
    ("SYSLOGPAMSESSION", "(?: by %{GREEDYDATA})?", "(?: by %{GREEDYDATA})?.*)"),
    ("SYSLOGPAMSESSION", "(?=%{GREEDYDATA:message})", "(?<message>"),
    ("MONGO_QUERY", r"\{ (?<={ ).*(?= } ntoreturn:) \}", r"\{ .* \}"),
    // Flags with a blank between them; the one before the first belongs to the pattern around.
    ("IPTABLES4_FRAG", "(?:(?<= )(?:CE|DF|MF))*", "(?: ?(?:CE|DF|MF))*"),
];

/// The text to compile for a definition.
pub(super) fn rewritten<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    let mut result = Cow::Borrowed(text);
    for (_, from, to) in REWRITES.iter().filter(|(of, ..)| *of == name) {
        if result.contains(from) {
            result = Cow::Owned(result.replacen(from, to, 1));
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rewrite_is_of_a_text_that_the_standard_set_has() {
        // Texts that only the ECS set has, which is not built in.
        const ECS: &[&str] = &["(?::%{SECOND})(?![0-9])", "(?: by %{GREEDYDATA})?"];
        for (name, from, _) in REWRITES.iter().filter(|(_, from, _)| !ECS.contains(from)) {
            assert!(::grok::patterns().iter().any(|(of, text)| of == name && text.contains(from)), "{name}: {from}");
        }
    }

    #[test]
    fn the_rewritten_texts() {
        for (name, text, expected) in [
            ("YEAR", r"(?>\d\d){1,2}", r"\d\d(?:\d\d)?"),
            ("MINE", r"(?>\d\d){1,2}", r"(?>\d\d){1,2}"),
            ("YEAR", r"\d{4}", r"\d{4}"),
            (
                "SYSLOGPAMSESSION",
                "%{SYSLOGBASE} (?=%{GREEDYDATA:message})%{WORD:m}: x(?: by %{GREEDYDATA:pam_by})?",
                "%{SYSLOGBASE} (?<message>%{WORD:m}: x(?: by %{GREEDYDATA:pam_by})?.*)",
            ),
        ] {
            assert_eq!(rewritten(name, text), expected);
        }
    }
}
