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

    /// A number, or a length of time in milliseconds, which is what fields of durations are in: `1.5s` is 1500.
    pub fn parse_measure(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| duration_ms(text).map(Num::F))
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

/// A length of time as Go and people write it (`250ms`, `1.5s`, `1m30s`, `15µs`, `2h`, `1d`), in milliseconds.
pub fn duration_ms(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix('-').unwrap_or(text);
    if !rest.starts_with(|c: char| c.is_ascii_digit()) || text.len() > 64 {
        return None;
    }
    let mut ms = 0.0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        ms += number
            * match &rest[..unit] {
                "ns" => 1e-6,
                "us" | "µs" | "μs" => 1e-3,
                "ms" => 1.0,
                "s" => 1e3,
                "m" => 60e3,
                "h" => 3_600e3,
                "d" => 86_400e3,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Some(if text.starts_with('-') { -ms } else { ms })
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
                    Some(b) => Num::parse_measure(&b.text).map(|n| Some((n, b.inclusive))),
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

/// Up to here every integer is a float of its own, so both compare alike.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl NumberTest<'_> {
    /// The integers that fit, where they are all from one to another, both included (none where the first is the
    /// greater); `None` where each has to be asked.
    pub fn integers(&self) -> Option<(i128, i128)> {
        let exact = |n: Num| !matches!(n, Num::F(f) if f.is_nan() || f.abs() >= EXACT_MAX);
        // The least integer from a number on, or above it.
        let from = |n: Num, inclusive: bool| match n {
            Num::F(f) if inclusive => f.ceil() as i128,
            Num::F(f) => f.floor() as i128 + 1,
            n => n.as_i128() + i128::from(!inclusive),
        };
        let to = |n: Num, inclusive: bool| match n {
            Num::F(f) if inclusive => f.floor() as i128,
            Num::F(f) => f.ceil() as i128 - 1,
            n => n.as_i128() - i128::from(!inclusive),
        };
        match *self {
            Self::Any => Some((i128::MIN, i128::MAX)),
            Self::Equal(n) if exact(n) => Some((from(n, true), to(n, true))),
            Self::Range(low, high) if [low, high].iter().flatten().all(|(n, _)| exact(*n)) => Some((
                low.map_or(i128::MIN, |(n, inclusive)| from(n, inclusive)),
                high.map_or(i128::MAX, |(n, inclusive)| to(n, inclusive)),
            )),
            _ => None,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = Num> {
        prop_oneof![
            any::<u64>().prop_map(Num::U),
            (i64::MIN..0).prop_map(Num::I),
            (0u64..5).prop_map(Num::U),
            (-5i64..0).prop_map(Num::I),
            (-10i32..10).prop_map(|n| Num::F(f64::from(n) / 2.0)),
            any::<f64>().prop_map(Num::F),
            (0u64..4).prop_map(|n| Num::U((1 << 53) - 2 + n)),
            (0u64..4).prop_map(|n| Num::F(((1u64 << 53) - 2 + n) as f64)),
        ]
    }

    proptest! {
        #[test]
        fn integers_that_fit_are_those_of_the_interval(
            low in prop::option::of((number(), any::<bool>())),
            high in prop::option::of((number(), any::<bool>())),
            asked in prop::collection::vec(number(), 20),
        ) {
            let equal = low.map(|(n, _)| NumberTest::Equal(n));
            for test in [Some(NumberTest::Any), equal, Some(NumberTest::Range(low, high))].into_iter().flatten() {
                let Some((first, last)) = test.integers() else { continue };
                let near = [low, high].into_iter().flatten().flat_map(|(n, _)| {
                    let near = n.as_i128();
                    [near.saturating_sub(1), near, near.saturating_add(1)].map(|n| u64::try_from(n).map(Num::U).or(i64::try_from(n).map(Num::I)))
                });
                for n in asked.iter().copied().chain(near.flatten()).filter(|n| !matches!(n, Num::F(_))) {
                    let inside = (first..=last).contains(&n.as_i128());
                    prop_assert_eq!(test.fits(n), inside, "{:?} in {:?} to {:?}", n, low, high);
                }
            }
        }
    }

    #[test]
    fn lengths_of_time_are_milliseconds() {
        for (text, ms) in [
            ("1.5s", Some(1_500.0)),
            ("250ms", Some(250.0)),
            ("1m30.5s", Some(90_500.0)),
            ("15µs", Some(0.015)),
            ("-2h", Some(-7_200_000.0)),
            ("1d", Some(86_400_000.0)),
            ("5", None),
            ("s", None),
            ("5 s", None),
            ("1.2.3s", None),
            ("5x", None),
            ("", None),
            ("1s ", None),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
    }
}
