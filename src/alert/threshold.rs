//! When a number opens a rule, and when it closes it: it must be too much for a while, and be well again for a while, so that a
//! number about the limit does not ring all night.

use serde::{Deserialize, Serialize};

use super::rule::{Query, Rule};

/// Where one number of one rule stands. Times are Unix nanoseconds, of the clock that the evaluation goes by.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Too much since then, not yet long enough.
    pub pending: Option<i64>,
    /// Open since then.
    pub open: Option<i64>,
    /// Well again since then, not yet long enough.
    pub calm: Option<i64>,
    /// The worst number while open.
    pub worst: f64,
}

/// What a number did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// Opened, and it was too much since then.
    Opened(i64),
    /// Still open, and clearly worse than it was told.
    Worse(i64),
    /// Over: since when it was open.
    Closed(i64),
}

/// A number that is worse by so much is news.
const WORSE_BY: f64 = 1.5;

impl Threshold {
    /// Takes the number as it was at `at`.
    pub fn step(&mut self, rule: &Rule, query: &Query, number: f64, at: i64) -> Step {
        let long =
            |since: i64, hold: std::time::Duration| i128::from(at) - i128::from(since) >= hold.as_nanos() as i128;
        match self.open {
            None if query.test.opens(number) => {
                let since = *self.pending.get_or_insert(at);
                if !long(since, rule.hold_open) {
                    return Step::Nothing;
                }
                *self = Self { open: Some(since), worst: number, ..Self::default() };
                Step::Opened(since)
            }
            None => {
                self.pending = None;
                Step::Nothing
            }
            Some(since) if query.closes(number) => {
                let calm = *self.calm.get_or_insert(at);
                if !long(calm, rule.hold_close) {
                    return Step::Nothing;
                }
                *self = Self::default();
                Step::Closed(since)
            }
            Some(since) => {
                self.calm = None;
                let worse = match query.test {
                    super::rule::Test::Above(_) => number > self.worst * WORSE_BY,
                    super::rule::Test::Below(_) => number < self.worst / WORSE_BY,
                    super::rule::Test::Absent => false,
                };
                if !worse {
                    return Step::Nothing;
                }
                self.worst = number;
                Step::Worse(since)
            }
        }
    }

    /// Nothing has to be remembered.
    pub fn is_idle(&self) -> bool {
        self.pending.is_none() && self.open.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::rule::{Condition, Test};
    use super::*;

    const S: i64 = 1_000_000_000;

    fn rule(test: Test, close: f64, open: u64, hold: u64) -> (Rule, Query) {
        let query = Query {
            q: "level:E".into(),
            of: None,
            window: Duration::from_secs(60),
            by: None,
            test,
            close,
            lines_min: 0,
        };
        let rule = Rule {
            name: "r".into(),
            condition: Condition::Query(query.clone()),
            hold_open: Duration::from_secs(open),
            hold_close: Duration::from_secs(hold),
            severity: None,
            labels: Default::default(),
            runbook: None,
            receivers: vec![],
            schedule: vec![],
            repeat: None,
        };
        (rule, query)
    }

    #[test]
    fn it_opens_after_a_while_and_closes_after_a_while() {
        let above = rule(Test::Above(10.0), 5.0, 20, 30);
        let below = rule(Test::Below(10.0), 20.0, 0, 0);
        let absent = rule(Test::Absent, 0.0, 0, 0);
        use Step::{Closed, Nothing, Opened, Worse};
        for (name, (rule, query), steps) in [
            ("for", &above, &[(0, 11.0, Nothing), (10, 12.0, Nothing), (20, 11.0, Opened(0))][..]),
            ("a dip begins anew", &above, &[(0, 11.0, Nothing), (10, 9.0, Nothing), (20, 11.0, Nothing)]),
            (
                "between the limits it stays, and calm must last",
                &above,
                &[
                    (0, 11.0, Nothing),
                    (20, 11.0, Opened(0)),
                    (30, 7.0, Nothing),
                    (40, 4.0, Nothing),
                    (60, 6.0, Nothing),
                    (70, 4.0, Nothing),
                    (99, 4.0, Nothing),
                    (100, 4.0, Closed(0)),
                    (110, 4.0, Nothing),
                ],
            ),
            ("worse", &above, &[(0, 11.0, Nothing), (20, 11.0, Opened(0)), (30, 16.0, Nothing), (40, 17.0, Worse(0))]),
            ("below", &below, &[(0, 9.0, Opened(0)), (10, 15.0, Nothing), (20, 20.0, Closed(0))]),
            ("absent", &absent, &[(0, 0.0, Opened(0)), (10, 0.0, Nothing), (20, 1.0, Closed(0))]),
        ] {
            let mut threshold = Threshold::default();
            for (at, number, expected) in steps {
                let expected = match *expected {
                    Opened(since) => Opened(since * S),
                    Worse(since) => Worse(since * S),
                    Closed(since) => Closed(since * S),
                    Nothing => Nothing,
                };
                assert_eq!(threshold.step(rule, query, *number, at * S), expected, "{name} at {at}");
            }
        }
    }
}
