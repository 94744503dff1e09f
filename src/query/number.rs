//! Numbers: what a test asks of one, compared by value and not by spelling.

use std::cmp::Ordering;

use serde_json::Number;

use super::ast::{Bound, Test};

/// A number of a record, of a column, or of a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Num {
    U(u64),
    I(i64),
    F(f64),
}

impl Num {
    pub fn parse(text: &str) -> Option<Self> {
        if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E')) {
            return None;
        }
        text.parse().map(Num::U).or_else(|_| text.parse().map(Num::I)).or_else(|_| text.parse().map(Num::F)).ok()
    }

    pub fn of(number: &Number) -> Option<Self> {
        let float = || number.as_f64().map(Num::F);
        number.as_u64().map(Num::U).or_else(|| number.as_i64().map(Num::I)).or_else(float)
    }

    pub fn cmp(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Num::U(a), Num::U(b)) => Some(a.cmp(&b)),
            (Num::F(a), Num::F(b)) => a.partial_cmp(&b),
            (Num::F(a), b) => a.partial_cmp(&b.as_f64()),
            (a, Num::F(b)) => a.as_f64().partial_cmp(&b),
            (a, b) => Some(a.as_i128().cmp(&b.as_i128())),
        }
    }

    fn as_f64(self) -> f64 {
        match self {
            Num::U(n) => n as f64,
            Num::I(n) => n as f64,
            Num::F(n) => n,
        }
    }

    fn as_i128(self) -> i128 {
        match self {
            Num::U(n) => n.into(),
            Num::I(n) => n.into(),
            Num::F(n) => n as i128,
        }
    }

    /// As JSON prints it.
    pub fn print(self) -> String {
        match self {
            Num::U(n) => n.to_string(),
            Num::I(n) => n.to_string(),
            Num::F(n) => Number::from_f64(n).map_or_else(String::new, |n| n.to_string()),
        }
    }
}

/// A test, made ready for many numbers.
pub enum NumberTest<'t> {
    Never,
    Any,
    Equal(Num),
    Range(Option<(Num, bool)>, Option<(Num, bool)>),
    Printed(&'t Test),
}

impl<'t> NumberTest<'t> {
    pub fn new(test: &'t Test) -> Self {
        match test {
            Test::Exists => Self::Any,
            Test::Value { text, .. } => Num::parse(text).map_or(Self::Never, Self::Equal),
            Test::Wildcard { .. } | Test::Regex(_) => Self::Printed(test),
            Test::Range(range) => {
                let bound = |b: &Option<Bound>| match b {
                    None => Some(None),
                    Some(b) => Num::parse(&b.text).map(|n| Some((n, b.inclusive))),
                };
                match (bound(&range.low), bound(&range.high)) {
                    (Some(low), Some(high)) => Self::Range(low, high),
                    _ => Self::Never,
                }
            }
        }
    }

    pub fn fits(&self, n: Num) -> bool {
        match self {
            Self::Never => false,
            Self::Any => true,
            Self::Equal(wanted) => n.cmp(*wanted) == Some(Ordering::Equal),
            Self::Range(low, high) => {
                let above = low.is_none_or(|(b, inclusive)| is_above(n.cmp(b), inclusive));
                above && high.is_none_or(|(b, inclusive)| is_above(b.cmp(n), inclusive))
            }
            Self::Printed(Test::Wildcard { glob, .. }) => glob.is_match(&n.print()),
            Self::Printed(Test::Regex(regex)) => regex.whole.is_match(&n.print()),
            Self::Printed(_) => false,
        }
    }
}

pub fn is_above(order: Option<Ordering>, inclusive: bool) -> bool {
    match order {
        Some(Ordering::Greater) => true,
        Some(Ordering::Equal) => inclusive,
        _ => false,
    }
}
