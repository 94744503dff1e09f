//! One record by itself, against what its service is known for: how rarely does it write a line like this? Nothing is
//! learned of it.
//!
//! Each of its values has a probability: of a category the share of lines with a value as rare or rarer (of one never seen,
//! Good and Turing's probability of news), of a number the tail of a log-normal through the usual median and 95th percentile.
//! The least of them, times how many there were to choose from (Bonferroni), is how often such a line comes; with the
//! service's usual lines an hour that is a return period, and the score says that as all scores do.

use super::Detector;
use crate::detect::anomaly::{number, percent};
use crate::detect::field::{FieldState, Usual};
use crate::detect::names::NameId;
use crate::detect::observe::{Datum, Observation, Observations};
use crate::detect::score;
use crate::detect::service::TEMPLATE_PLACE;
use crate::record::time::NANOS_PER_SECOND;

/// What one record is, by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weighed {
    pub service: String,
    /// The service is known well enough to say anything.
    pub known: bool,
    /// 0 to 100, as an anomaly's.
    pub score: f64,
    /// Of a line of this service to be as unusual.
    pub probability: f64,
    /// What was judged of it, the most unusual first.
    pub values: Vec<WeighedValue>,
}

/// One value of it.
#[derive(Debug, Clone, PartialEq)]
pub struct WeighedValue {
    pub field: String,
    pub value: String,
    /// Of a line of this service to have a value as unusual in this field.
    pub probability: f64,
    /// Of this value alone, as if nothing else had been looked at.
    pub score: f64,
    pub usual: Usual,
}

impl WeighedValue {
    /// What is unusual about it, its value shown as `shown`.
    pub fn sentence(&self, shown: &str) -> String {
        let field = &self.field;
        match self.usual {
            Usual::Never(seen) => format!("{field} {shown} was never seen in {seen} lines"),
            Usual::Share(share) => format!("{field} {shown} has {} of the lines", percent(share)),
            Usual::Quantiles { median, p95 } => {
                format!("{field} is {shown}, usually {} and seldom above {}", number(median), number(p95))
            }
        }
    }
}

/// Lines an hour of a service that is quiet.
const LINES_PER_HOUR_MIN: f64 = 1.0;
/// A template that no line had before.
pub const NEVER_SEEN: u64 = 0;

impl Detector {
    /// Weighs one record of a batch.
    pub fn weigh(&self, batch: &Observations, record: &Observation) -> Weighed {
        let entity = crate::detect::entity::Entity::of(&batch.streams[record.stream as usize]);
        let at = self.by_name.get(&entity.service).and_then(|number| self.services.get(*number as usize));
        let mut weighed =
            Weighed { service: entity.service, known: false, score: 0.0, probability: 1.0, values: Vec::new() };
        let Some(service) = at.filter(|service| service.lines.is_warm()) else { return weighed };
        weighed.known = true;
        let time = record.time.div_euclid(NANOS_PER_SECOND);
        let per_hour = (60.0 * service.lines.typical(time).typical).max(LINES_PER_HOUR_MIN);
        let mut judge = |field: &FieldState, value: Datum, shown: String| {
            if let Some((probability, usual)) = field.weigh(value, time) {
                let (field, score) = (field.name.to_string(), score::of_lines(probability, per_hour));
                weighed.values.push(WeighedValue { field, value: shown, probability, score, usual });
            }
        };
        if let Some(template) = record.template {
            let field = &service.fields[TEMPLATE_PLACE as usize];
            judge(field, Datum::Number(template as f64), template.to_string());
        }
        for datapoint in batch.fields(record) {
            let by_id = |field: &&FieldState| field.id == datapoint.name && field.id != NameId::default();
            if let Some(field) = service.fields.iter().find(by_id) {
                let shown = match datapoint.value {
                    Datum::Number(n) => n.to_string(),
                    Datum::Text { .. } => batch.text(datapoint.value).to_owned(),
                };
                judge(field, datapoint.value, shown);
            }
        }
        weighed.values.sort_by(|a, b| a.probability.total_cmp(&b.probability));
        if let Some(least) = weighed.values.first() {
            weighed.probability = (least.probability * weighed.values.len() as f64).min(1.0);
            weighed.score = score::of_lines(weighed.probability, per_hour);
        }
        weighed
    }
}
