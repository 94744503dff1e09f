//! What of a finding is news: a pod that was replaced is not silent, a deploy brings new lines, and fewer errors page nobody.

use super::field::FieldKind;
use super::finding::{Condition, Direction, Finding, Measure, NO_FIELD};
use super::service::{Bucket, NAMESPACE_PLACE, NODE_PLACE, POD_PLACE, Service, TEMPLATE_PLACE, holds};
use super::stats;
use super::watched::BUCKET_SECONDS;

/// A pod this young is a deploy or a restart: seconds.
const YOUNG_SECONDS: i64 = 3_600;
/// The highest score of what is shown and wakes nobody.
const SHOWN_MAX: f64 = 49.0;

/// A finding as it is told, and how high it may score.
pub struct Ruling {
    pub finding: Finding,
    pub score_max: f64,
}

/// Nothing where a finding is no news. `cluster`: it is about the lines of all services. `shifted`: most services moved that
/// way. `node_gone`: whether the node of a pod, by its hash, is silent as a whole.
pub fn rule(
    service: &Service,
    bucket: &Bucket,
    finding: Finding,
    cluster: bool,
    shifted: bool,
    node_gone: impl Fn(u64) -> bool,
) -> Option<Ruling> {
    let low = matches!(finding.direction, Direction::Low);
    let told = |finding, score_max| Some(Ruling { finding, score_max });
    if cluster {
        // Here nodes fall silent, and all services move at once; all else shows in the services.
        let silent = finding.measure == Measure::Rate && low && finding.actual == 0.0 && bucket.lines > 0;
        let moved = finding.measure == Measure::Lines && shifted && i64::from(finding.bucket) == BUCKET_SECONDS;
        let all = finding.measure == Measure::Silence || moved;
        return if silent {
            told(silence(finding), 100.0)
        } else if all {
            told(finding, 100.0)
        } else {
            None
        };
    }
    match (finding.measure, finding.field) {
        (Measure::Rate, POD_PLACE) if low && finding.actual == 0.0 => {
            if bucket.lines == 0 || replaced(service, bucket, &finding) || node_gone(finding.value) {
                return None;
            }
            told(silence(finding), 100.0)
        }
        // Pods come, go and share their work as they like.
        (_, POD_PLACE | NODE_PLACE | NAMESPACE_PLACE) => None,
        (Measure::Rate, _) if low => None,
        // More lines of everything are more of each value; that there are more lines is told by itself.
        (Measure::Rate, place) if !stands_out(service, bucket, &finding, place) => None,
        (Measure::New | Measure::Rate, place) => match letter(service, bucket, finding.condition) {
            // A release says and does new things, and says so in passing.
            Letter::Fine if deployed(service, bucket) => None,
            // What a program says in passing is news for those who look.
            Letter::Fine if place == TEMPLATE_PLACE => told(finding, SHOWN_MAX),
            _ => told(finding, 100.0),
        },
        (Measure::Mix, _) if deployed(service, bucket) => None,
        (Measure::Distinct, _) if !low && comes_with_lines(service, bucket, &finding) => None,
        (Measure::Median | Measure::Tail | Measure::Distinct, _) if low => told(finding, SHOWN_MAX),
        _ => told(finding, 100.0),
    }
}

fn silence(finding: Finding) -> Finding {
    Finding { measure: Measure::Silence, condition: Condition::None, ..finding }
}

/// Whether the service has had a pod that is new since about when this one fell silent.
fn replaced(service: &Service, bucket: &Bucket, finding: &Finding) -> bool {
    let pods = service.fields[POD_PLACE as usize].values();
    let last = pods.entries.iter().find(|entry| entry.hash == finding.value).map_or(bucket.start, |entry| entry.last);
    pods.entries
        .iter()
        .any(|entry| entry.first >= last - 600 && entry.hash != finding.value && entry.first > service.first)
}

fn deployed(service: &Service, bucket: &Bucket) -> bool {
    let pods = service.fields[POD_PLACE as usize].values();
    pods.entries.iter().any(|entry| entry.first > bucket.start - YOUNG_SECONDS && entry.first > service.first + 600)
}

/// Whether a value comes more often than its share of this bucket's lines would have it.
fn stands_out(service: &Service, bucket: &Bucket, finding: &Finding, place: u16) -> bool {
    let values = service.fields[place as usize].values();
    let share = values.slot(finding.value).map_or(0.0, |slot| values.share(slot));
    let expected = share * f64::from(bucket.lines);
    finding.actual > 1.5 * expected + 3.0 * expected.sqrt()
}

/// Whether there are more different values only because there are more lines.
fn comes_with_lines(service: &Service, bucket: &Bucket, finding: &Finding) -> bool {
    let usual = service.lines.typical(bucket.start).typical.max(1.0);
    finding.actual / finding.typical.max(1.0) <= 1.3 * f64::from(bucket.lines) / usual
}

/// A value's rate is no rarer than its share of this bucket's lines makes it: where there are more lines of everything, more of
/// each value are to be expected. Shares vary by themselves, too, by a part of [`SHARE_VARIES`].
pub fn in_proportion(service: &Service, bucket: &Bucket, finding: Finding) -> Finding {
    let high = matches!(finding.direction, Direction::High);
    if finding.measure != Measure::Rate || !high || finding.field == NO_FIELD {
        return finding;
    }
    let values = service.fields[finding.field as usize].values();
    let share = values.slot(finding.value).map_or(0.0, |slot| values.share(slot));
    let expected = SHARE_VARIES * share * f64::from(bucket.lines);
    Finding { p: finding.p.max(stats::poisson_upper(finding.actual as u64, expected)), ..finding }
}

/// More than what is expected by as much is still as usual.
const SHARE_VARIES: f64 = 1.3;

enum Letter {
    Fine,
    Bad,
    Unknown,
}

/// What most of the records in question say of their own importance.
fn letter(service: &Service, bucket: &Bucket, condition: Condition) -> Letter {
    let is_level = |name: &str| matches!(name, "level" | "log.level" | "severity" | "lvl" | "levelname" | "log_level");
    let Some(place) = service.fields.iter().position(|f| f.kind() != FieldKind::Number && is_level(&f.name)) else {
        return Letter::Unknown;
    };
    let (mut fine, mut bad) = (0.0, 0.0);
    for (kept, weight) in bucket.sample.records().filter(|(kept, _)| holds(condition, &kept.values, kept.parsed)) {
        let Some(value) = kept.value(place as u16) else { continue };
        let text = kept.text(value).unwrap_or_default();
        match text.as_bytes().first().map(u8::to_ascii_uppercase) {
            Some(b'I' | b'D' | b'T' | b'V' | b'N') => fine += weight,
            Some(_) => bad += weight,
            None => {}
        }
    }
    if bad >= fine && bad > 0.0 {
        Letter::Bad
    } else if fine > 0.0 {
        Letter::Fine
    } else {
        Letter::Unknown
    }
}
