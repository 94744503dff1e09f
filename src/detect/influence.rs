//! Which values of other fields explain an anomaly.
//!
//! Of the lines in question each value has a share; before, it had a share of all lines. What explains is a value that has
//! much of the first and had little of the second. A value that is simply more frequent by now is a symptom of the same
//! trouble (every failed request has the flag of a failed request) and stands behind one that is not (they all went to the
//! same host, which gets no more requests than ever).

use super::anomaly::Influencer;
use super::field::{FieldKind, Tally};
use super::finding::{Condition, Finding, Measure, NO_FIELD};
use super::sample::{Kept, KeptValue};
use super::service::{Bucket, Service, holds};

/// Influencers told.
const TOLD_MAX: usize = 5;
/// Less than this part of the trouble explains nothing.
const INFLUENCE_MIN: f64 = 0.3;
/// What a symptom's rank is multiplied by.
const SYMPTOM: f64 = 0.3;

struct Candidate {
    rank: f64,
    influencer: Influencer,
}

/// The influencers of a finding, the best first.
pub fn influencers(service: &Service, bucket: &Bucket, finding: &Finding) -> Vec<Influencer> {
    let mut found = match (finding.condition, finding.measure) {
        (Condition::All | Condition::None, Measure::Lines | Measure::Silence) => of_counts(service, bucket, finding),
        _ => of_records(service, bucket, finding),
    };
    found.sort_by(|a, b| b.rank.total_cmp(&a.rank).then_with(|| a.influencer.field.cmp(&b.influencer.field)));
    // Of one field the best value, then its second best only where both explain much.
    let mut told: Vec<Influencer> = Vec::new();
    for Candidate { influencer, .. } in found {
        if told.len() < TOLD_MAX && told.iter().filter(|other| other.field == influencer.field).count() < 2 {
            told.push(influencer);
        }
    }
    told
}

/// More or fewer lines: by how much each value has more or fewer than its share of what was typical.
fn of_counts(service: &Service, bucket: &Bucket, finding: &Finding) -> Vec<Candidate> {
    let change = finding.actual - finding.typical;
    let mut found = Vec::new();
    for (place, field) in service.fields.iter().enumerate() {
        let Some(Tally::Values(counts)) = bucket.tallies.get(place) else { continue };
        let values = field.values();
        for (slot, entry) in values.entries.iter().enumerate() {
            let before = values.share(slot as u32);
            let count = f64::from(counts.of(slot as u32));
            let part = (count - before * finding.typical) / change;
            if part < INFLUENCE_MIN || before > 0.9 {
                continue;
            }
            let after = count / finding.actual.max(1.0);
            let lift = ((after + 1e-3) / (before + 1e-3)).ln().abs();
            let influencer = Influencer {
                field: field.name.to_string(),
                value: entry.shown.to_string(),
                before,
                after,
                influence: part.min(1.0),
            };
            found.push(Candidate { rank: part.min(1.0) * lift, influencer });
        }
    }
    found
}

/// Records that are out of the ordinary: what they have in common and others have not.
fn of_records(service: &Service, bucket: &Bucket, finding: &Finding) -> Vec<Candidate> {
    let meant: Vec<(&Kept, f64)> =
        bucket.sample.records().filter(|(kept, _)| holds(finding.condition, &kept.values, kept.parsed)).collect();
    let meant_weight: f64 = meant.iter().map(|(_, weight)| weight).sum();
    let all_weight: f64 = bucket.sample.records().map(|(_, weight)| weight).sum();
    // Of few records every value has a large share: one record more, with values of its own, is added to them.
    let doubt = meant_weight / meant.len().max(1) as f64;
    let mut found = Vec::new();
    for (place, field) in service.fields.iter().enumerate() {
        if place == finding.field as usize && finding.field != NO_FIELD || field.kind() == FieldKind::Number {
            continue;
        }
        let place = place as u16;
        for (hash, example, weight) in weights(&meant, place) {
            let after = weight / (meant_weight + doubt);
            let values = field.values();
            let slot = values.slot(hash);
            let before = slot.map_or(0.0, |slot| values.share(slot));
            let influence = ((after - before) / (1.0 - before).max(1e-9)).min(1.0);
            if influence < INFLUENCE_MIN {
                continue;
            }
            let text = slot.and_then(|slot| values.entries.get(slot as usize)).map(|entry| entry.shown.to_string());
            let Some(value) = text.or_else(|| shown(example, place)) else { continue };
            let all_with: f64 = bucket
                .sample
                .records()
                .filter(|(kept, _)| kept.value(place).is_some_and(|value| value.hash == hash))
                .map(|(_, weight)| weight)
                .sum();
            let now = all_with / all_weight.max(1.0);
            let symptom = if now > 3.0 * before + 0.02 { SYMPTOM } else { 1.0 };
            // How much it accounts for weighs more than how rare it was.
            let rank = influence * influence * ((after + 1e-3) / (before + 1e-3)).ln() * symptom;
            let influencer = Influencer { field: field.name.to_string(), value, before, after, influence };
            found.push(Candidate { rank, influencer });
        }
    }
    found
}

/// The values of a field among records: hash, a record with it, weight.
fn weights<'k>(records: &[(&'k Kept, f64)], place: u16) -> Vec<(u64, &'k Kept, f64)> {
    let mut weights: Vec<(u64, &Kept, f64)> = Vec::new();
    for (kept, weight) in records {
        let Some(value) = kept.value(place) else { continue };
        match weights.iter_mut().find(|(hash, ..)| *hash == value.hash) {
            Some((_, _, sum)) => *sum += weight,
            None => weights.push((value.hash, kept, *weight)),
        }
    }
    weights
}

fn shown(kept: &Kept, place: u16) -> Option<String> {
    let value: &KeptValue = kept.value(place)?;
    value.number.map(|n| n.to_string()).or_else(|| kept.text(value).map(str::to_owned))
}
