//! Wildcard patterns: `*` is any run of characters, `?` one character, everything else itself.

use std::fmt;

/// One step of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
}

/// A wildcard pattern, or a plain text when it has no wildcard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Glob(pub Vec<Step>);

impl Glob {
    /// Whether the whole of `text` fits. Time: at most steps × characters.
    pub fn is_match(&self, text: &str) -> bool {
        let steps = &self.0;
        let (mut at, mut rest) = (0, text.chars());
        // Where to go on when a guess about the last `*` was too short.
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let mut ahead = rest.clone();
            match (steps.get(at), ahead.next()) {
                (Some(Step::Many), _) => {
                    at += 1;
                    retry = Some((at, rest.clone()));
                    continue;
                }
                (None, None) => return true,
                (Some(Step::One), Some(_)) => {
                    (at, rest) = (at + 1, ahead);
                    continue;
                }
                (Some(Step::Char(want)), Some(have)) if *want == have => {
                    (at, rest) = (at + 1, ahead);
                    continue;
                }
                _ => {}
            }
            let Some((after_star, from)) = &mut retry else { return false };
            if from.next().is_none() {
                return false;
            }
            (at, rest) = (*after_star, from.clone());
        }
    }

    pub fn has_wildcard(&self) -> bool {
        self.0.iter().any(|s| !matches!(s, Step::Char(_)))
    }

    /// Only stars: anything fits.
    pub fn is_anything(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|s| *s == Step::Many)
    }

    /// The text, where there is no wildcard; wildcards as they were written otherwise.
    pub fn to_text(&self) -> String {
        self.0
            .iter()
            .map(|s| match s {
                Step::Char(c) => *c,
                Step::One => '?',
                Step::Many => '*',
            })
            .collect()
    }

    /// The patterns of the words in it, lower-cased: a text fits when its words fit them one after the other.
    /// Separators split it; a wildcard stays within a word.
    pub fn words(&self) -> Vec<Glob> {
        let mut words = vec![];
        let mut word = Glob::default();
        for step in &self.0 {
            match step {
                Step::Char(c) if !is_word_char(*c) => {
                    if !word.0.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                Step::Char(c) => word.0.extend(c.to_lowercase().map(Step::Char)),
                other => word.0.push(*other),
            }
        }
        if !word.0.is_empty() {
            words.push(word);
        }
        words
    }

    /// Runs of word characters that must stand inside some word of a fitting text, lower-cased.
    pub fn fragments(&self) -> Vec<String> {
        let mut out = vec![];
        let mut run = String::new();
        for step in &self.0 {
            match step {
                Step::Char(c) if is_word_char(*c) => run.extend(c.to_lowercase()),
                _ => out.extend((!run.is_empty()).then(|| std::mem::take(&mut run))),
            }
        }
        out.extend((!run.is_empty()).then_some(run));
        out
    }

    /// The characters in front of the first wildcard.
    pub fn prefix(&self) -> String {
        self.0
            .iter()
            .map_while(|s| match s {
                Step::Char(c) => Some(*c),
                _ => None,
            })
            .collect()
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// What a word is made of: the store's definition.
pub fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn glob(text: &str) -> Glob {
        Glob(
            text.chars()
                .map(|c| match c {
                    '*' => Step::Many,
                    '?' => Step::One,
                    c => Step::Char(c),
                })
                .collect(),
        )
    }

    #[test]
    fn globs_are_anchored() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*", "abc", true),
            ("a*", "bac", false),
            ("*c", "abc", true),
            ("*c", "abcd", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("?", "é", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("/healthz*", "/healthz/ready", true),
            ("*é*", "caféine", true),
            ("**a", "aaa", true),
        ] {
            assert_eq!(glob(pattern).is_match(text), fits, "{pattern} on {text}");
        }
        // Quadratic at worst, not exponential.
        assert!(!glob(&"*a".repeat(40)).is_match(&"a".repeat(39)));
    }

    #[test]
    fn words_and_fragments() {
        let words = |p: &str| glob(p).words().iter().map(Glob::to_text).collect::<Vec<_>>();
        assert_eq!(words("/Healthz*"), ["healthz*"]);
        assert_eq!(words("lease*.go"), ["lease*", "go"]);
        assert_eq!(words("->"), Vec::<String>::new());
        assert_eq!(glob("*Lease*ex?ired.go").fragments(), ["lease", "ex", "ired", "go"]);
        assert_eq!(glob("ab*c").prefix(), "ab");
    }
}
