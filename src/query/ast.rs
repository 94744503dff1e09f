//! A query, understood: what the grammar makes of the text, and what planning and matching start from.

use std::fmt;

use regex::Regex;

use super::glob::Glob;

/// A query. [`fmt::Display`] prints it fully bracketed, for tests and for people who wonder how it was read.
#[derive(Debug, Clone)]
pub enum Expr {
    /// Every record.
    All,
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Leaf(Leaf),
}

/// One test, on one field or on the line.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The field as it was written (dotted, maybe an alias); `None` is a bare word, phrase, pattern.
    pub field: Option<String>,
    pub test: Test,
}

/// What is asked of a value.
#[derive(Debug, Clone)]
pub enum Test {
    /// A word, a phrase, a number: the text as meant, escapes undone, and its words.
    Value {
        text: String,
        words: Vec<String>,
    },
    /// A pattern with wildcards over a whole value, and the same over words.
    Wildcard {
        glob: Glob,
        words: Vec<Glob>,
    },
    Regex(RegexTest),
    Range(Range),
    /// There is a value, whichever.
    Exists,
}

/// A regular expression, compiled both ways.
#[derive(Debug, Clone)]
pub struct RegexTest {
    pub source: String,
    /// Over the whole value, as Lucene does for keywords.
    pub whole: Regex,
    /// Anywhere in the value: texts.
    pub within: Regex,
}

/// From and to, either of them open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub low: Option<Bound>,
    pub high: Option<Bound>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    pub text: String,
    pub inclusive: bool,
}

impl Test {
    pub fn value(text: impl Into<String>) -> Self {
        let text = text.into();
        let words = super::words::words_of(&text);
        Test::Value { text, words }
    }

    pub fn wildcard(glob: Glob) -> Self {
        let words = glob.words();
        Test::Wildcard { glob, words }
    }
}

impl Expr {
    /// Joins under AND; one alone stays itself, none is everything.
    pub fn and(mut parts: Vec<Expr>) -> Expr {
        match parts.len() {
            0 => Expr::All,
            1 => parts.remove(0),
            _ => Expr::And(parts),
        }
    }

    /// Joins under OR; one alone stays itself.
    pub fn or(mut parts: Vec<Expr>) -> Expr {
        if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) }
    }

    pub fn leaf(field: Option<String>, test: Test) -> Expr {
        Expr::Leaf(Leaf { field, test })
    }

    /// Replaces `now`, `now-15m`, `now-1d/d` in ranges by instants; `now` in Unix nanoseconds.
    pub fn resolve(&mut self, now: i64) {
        match self {
            Expr::All => {}
            Expr::And(parts) | Expr::Or(parts) => parts.iter_mut().for_each(|p| p.resolve(now)),
            Expr::Not(inner) => inner.resolve(now),
            Expr::Leaf(Leaf { test: Test::Range(range), .. }) => {
                for bound in [&mut range.low, &mut range.high].into_iter().flatten() {
                    if let Some(at) = super::when::relative(&bound.text, now) {
                        bound.text = crate::record::time::format_rfc3339(at);
                    }
                }
            }
            Expr::Leaf(_) => {}
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Expr], with: &str| {
            f.write_str("(")?;
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    write!(f, " {with} ")?;
                }
                write!(f, "{part}")?;
            }
            f.write_str(")")
        };
        match self {
            Expr::All => f.write_str("*"),
            Expr::And(parts) => joined(f, parts, "AND"),
            Expr::Or(parts) => joined(f, parts, "OR"),
            Expr::Not(inner) => write!(f, "NOT {inner}"),
            Expr::Leaf(leaf) => write!(f, "{leaf}"),
        }
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}:")?;
        }
        match &self.test {
            Test::Value { text, .. } => write!(f, "{text:?}"),
            Test::Wildcard { glob, .. } => write!(f, "{glob}"),
            Test::Regex(regex) => write!(f, "/{}/", regex.source),
            Test::Exists => f.write_str("*"),
            Test::Range(range) => {
                let inclusive = |b: &Option<Bound>| b.as_ref().is_none_or(|b| b.inclusive);
                let text = |b: &Option<Bound>| b.as_ref().map_or("*".to_owned(), |b| b.text.clone());
                let open = if inclusive(&range.low) { '[' } else { '{' };
                let close = if inclusive(&range.high) { ']' } else { '}' };
                write!(f, "{open}{} TO {}{close}", text(&range.low), text(&range.high))
            }
        }
    }
}
