//! An anomaly: one series, one run of buckets in which it was not itself, and what a person needs to know of it.

use serde::{Deserialize, Serialize};

use super::finding::{Direction, Measure};
use super::score::Severity;
use crate::record::time::{NANOS_PER_SECOND, format_rfc3339};

/// A value of another field that explains an anomaly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Influencer {
    pub field: String,
    pub value: String,
    /// Its share of all lines of the service before, and of the lines in question: 0 to 1.
    pub before: f64,
    pub after: f64,
    /// How much of what is out of the ordinary it accounts for: 0 to 1.
    pub influence: f64,
}

/// A line, kept because its day may be deleted before anybody looks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// `event.id`.
    pub id: String,
    /// Unix nanoseconds.
    pub time: i64,
    pub line: String,
}

/// A template in words: filled in by who knows the texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateNote {
    pub id: u64,
    pub text: String,
    /// The one most like it that was known before, and what differs: `[-gone-]`, `{+new+}`.
    pub nearest: Option<String>,
    pub difference: Option<String>,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    /// Calm again, or what was new is usual by now.
    Ended,
    /// Lines that came late showed that nothing was wrong.
    Retracted,
}

/// One anomaly. Times are Unix seconds of the lines' own clock unless said otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// The same for the same series and beginning, in every run.
    pub id: String,
    /// The first anomaly that was open in the same service when this one began: they belong together.
    pub group: String,
    /// `service/field/measure/value`.
    pub series: String,
    pub service: String,
    pub measure: Measure,
    pub field: Option<String>,
    pub value: Option<String>,
    /// The highest so far: 0 to 100.
    pub score: f64,
    pub severity: Severity,
    /// Of the most unlikely bucket, for its series alone.
    pub probability: f64,
    pub direction: Direction,
    pub actual: f64,
    pub typical: f64,
    /// What would have been ordinary.
    pub low: f64,
    pub high: f64,
    /// Seconds of the series' buckets.
    pub bucket_seconds: u32,
    /// Start of the first bucket, and of the last so far.
    pub since: i64,
    pub last: i64,
    /// How far time had come when it was found.
    pub found: i64,
    pub ended: Option<i64>,
    pub state: State,
    pub sentence: String,
    pub influencers: Vec<Influencer>,
    pub examples: Vec<Example>,
    /// Lines of its buckets that came after it was judged.
    pub late_lines: u64,
    #[serde(default)]
    pub template: Option<TemplateNote>,
    /// The model that found it: [`STREAMING`], or a trained version's name.
    #[serde(default = "streaming")]
    pub version: String,
}

/// The model that learns as records come, and was never trained apart.
pub const STREAMING: &str = "streaming";

fn streaming() -> String {
    STREAMING.to_owned()
}

/// What the sentence is made of.
pub struct Words<'a> {
    pub service: &'a str,
    pub field: Option<&'a str>,
    pub value: &'a str,
    pub measure: Measure,
    pub actual: f64,
    pub typical: f64,
    pub low: f64,
    pub high: f64,
    pub bucket_seconds: u32,
    pub since: i64,
    pub influencers: &'a [Influencer],
}

/// One sentence for a person: what, how much, against what, since when, and where it comes from.
pub fn sentence(words: &Words<'_>) -> String {
    let Words { service, value, .. } = *words;
    let field = words.field.unwrap_or("lines");
    let (actual, typical) = (number(words.actual), number(words.typical));
    let band = format!("{} to {}", number(words.low), number(words.high));
    let per = if words.bucket_seconds == 60 {
        "a minute".to_owned()
    } else {
        format!("in {} minutes", words.bucket_seconds / 60)
    };
    let what = match words.measure {
        Measure::Lines => format!("{actual} lines {per}, usually {typical} ({band})"),
        Measure::Unparsed => format!("{actual} lines {per} that no grammar knows, usually {typical} ({band})"),
        Measure::Median => format!("the median of {field} is {actual}, usually {typical} ({band})"),
        Measure::Tail => format!("the 95th percentile of {field} is {actual}, usually {typical} ({band})"),
        Measure::Mix => format!(
            "the mix of {field} changed: {value} has {} of the lines, usually {}",
            percent(words.actual),
            percent(words.typical)
        ),
        Measure::Rate => format!("{field} {value} came {actual} times {per}, usually {typical} ({band})"),
        Measure::New => format!("{field} {value} was never seen before, and came {actual} times {per}"),
        Measure::Distinct => format!("{actual} different values of {field} {per}, usually {typical} ({band})"),
        Measure::Silence if words.field.is_some() => {
            format!("{field} {value} is silent, usually {typical} lines {per}")
        }
        Measure::Silence => format!("no lines at all, usually {typical} {per}"),
        Measure::Clock => format!("the clock of {value} is {actual} s ahead of the others"),
        Measure::Job => format!("{field} is {actual}, usually {typical} ({band})"),
    };
    let since = format_rfc3339(words.since * NANOS_PER_SECOND);
    let mut text = format!("{service}: {what}, since {}", &since[11..16]);
    if let Some(first) = words.influencers.first() {
        let Influencer { field, value, before, after, .. } = first;
        let shares = format!("{} of these, {} of all before", percent(*after), percent(*before));
        text.push_str(&format!("; {field} {value} has {shares}"));
    }
    text
}

pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 1.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// A number as a person reads it.
pub fn number(n: f64) -> String {
    match n.abs() {
        a if a >= 100.0 || a == 0.0 || (n.fract() == 0.0 && a < 1e15) => format!("{n:.0}"),
        a if a >= 10.0 => format!("{n:.1}"),
        a if a >= 0.1 => format!("{n:.2}"),
        _ => format!("{n:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_say_what_how_much_and_where() {
        let influencers = [Influencer {
            field: "upstream_host".into(),
            value: "10.0.0.7:8080".into(),
            before: 0.083,
            after: 0.97,
            influence: 0.9,
        }];
        let words = Words {
            service: "istio-proxy",
            field: Some("response_code"),
            value: "503",
            measure: Measure::Rate,
            actual: 240.0,
            typical: 1.25,
            low: 0.0,
            high: 7.0,
            bucket_seconds: 60,
            since: 1_780_000_000,
            influencers: &influencers,
        };
        assert_eq!(
            sentence(&words),
            "istio-proxy: response_code 503 came 240 times a minute, usually 1.25 (0 to 7), since 20:26; upstream_host \
             10.0.0.7:8080 has 97 % of these, 8 % of all before"
        );
        let silent = Words { measure: Measure::Silence, field: None, influencers: &[], ..words };
        assert_eq!(sentence(&silent), "istio-proxy: no lines at all, usually 1.25 a minute, since 20:26");
    }
}
