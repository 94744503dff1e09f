//! loghound's alerts on itself: disk, queue, parsing, senders, and the line that it sends through itself.

use std::time::Duration;

use super::matcher::Labels;
use super::rule::{Condition, Query, Rule, Test};
use crate::detect::Severity;

/// How loghound is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Vitals {
    /// At the pace of the last hours, how long the disk lasts; absent where it does not fill.
    pub disk_days_left: Option<f64>,
    /// Of the oldest batch that is not yet searchable: seconds.
    pub queue_seconds: f64,
    /// Of the last minutes' lines, those that no grammar knew: 0 to 1; absent where there were few lines.
    pub unparsed: Option<f64>,
    /// Since anything was received from any sender, where something had been: seconds.
    pub silent_seconds: f64,
    /// Since the last line of its own came through: seconds; absent where none is sent.
    pub canary_seconds: Option<f64>,
    /// Messages that were given up in the last minutes.
    pub dead_letters: f64,
}

/// One thing that is watched.
#[derive(Debug)]
pub struct Own {
    pub rule: Rule,
    pub query: Query,
    number: fn(&Vitals) -> Option<f64>,
    sentence: fn(f64) -> String,
}

impl Own {
    /// Everything that is watched.
    pub fn all() -> Vec<Self> {
        let minute = 60;
        vec![
            own(
                "loghound-disk",
                Severity::Critical,
                Test::Below(3.0),
                4.0,
                0,
                |v| Some(v.disk_days_left.unwrap_or(f64::MAX)),
                |n| {
                    format!(
                        "loghound: the disk is full in {n:.1} days at the pace of the last hour: shorten the retention, or give it room"
                    )
                },
            ),
            own(
                "loghound-queue",
                Severity::Major,
                Test::Above(120.0),
                30.0,
                minute,
                |v| Some(v.queue_seconds),
                |n| format!("loghound: lines wait {n:.0} s until they can be found: indexing does not keep up"),
            ),
            own(
                "loghound-unparsed",
                Severity::Minor,
                Test::Above(0.2),
                0.1,
                5 * minute,
                |v| v.unparsed,
                |n| {
                    format!(
                        "loghound: no grammar knows {:.0} % of the lines: `loghound query '_exists_:parse.error'` shows them",
                        n * 100.0
                    )
                },
            ),
            own(
                "loghound-shippers",
                Severity::Critical,
                Test::Above(300.0),
                30.0,
                0,
                |v| Some(v.silent_seconds),
                |n| format!("loghound: no sender has sent anything for {n:.0} s"),
            ),
            own(
                "loghound-canary",
                Severity::Critical,
                Test::Above(300.0),
                120.0,
                0,
                |v| v.canary_seconds,
                |n| format!("loghound: its own line has not come through for {n:.0} s: alerts may not arrive"),
            ),
            own(
                "loghound-dead-letters",
                Severity::Major,
                Test::Above(0.0),
                0.0,
                0,
                |v| Some(v.dead_letters),
                |n| {
                    format!(
                        "loghound: {n:.0} messages were given up in the last 10 min: `loghound deliveries --state dead` shows them"
                    )
                },
            ),
        ]
    }

    /// The number, and the sentence it makes; `None` where it says nothing now.
    pub fn read(&self, vitals: &Vitals) -> Option<(f64, String)> {
        let number = (self.number)(vitals)?;
        Some((number, (self.sentence)(number)))
    }
}

fn own(
    name: &str,
    severity: Severity,
    test: Test,
    close: f64,
    hold_seconds: u64,
    number: fn(&Vitals) -> Option<f64>,
    sentence: fn(f64) -> String,
) -> Own {
    let query =
        Query { q: String::new(), of: None, window: Duration::from_secs(60), by: None, test, close, lines_min: 0 };
    let mut labels = Labels::new();
    labels.insert("service".to_owned(), "loghound".to_owned());
    let rule = Rule {
        name: name.to_owned(),
        condition: Condition::Query(query.clone()),
        hold_open: Duration::from_secs(hold_seconds),
        hold_close: Duration::from_secs(60),
        severity: Some(severity),
        labels,
        runbook: None,
        receivers: Vec::new(),
        schedule: Vec::new(),
        repeat: None,
    };
    Own { rule, query, number, sentence }
}
