//! What rules would have sent over the anomalies that are kept.

use super::super::Context;
use super::super::detecting::Wish;
use crate::alert::DryRun;
use crate::api::{QueryError, TimeRange};
use crate::query;
use crate::record::time::NANOS_PER_SECOND;

/// Anomalies that one run looks at: the newest.
const ANOMALIES_MAX: usize = 20_000;

pub fn dry_run(context: &Context, range: TimeRange, rules: Option<&str>) -> Result<DryRun, QueryError> {
    let off =
        || QueryError::Conflict("the detectors are turned off: there are no anomalies to try rules on".to_owned());
    let detecting = context.detecting.as_ref().ok_or_else(off)?;
    let mut settings = context.alerting.settings().clone();
    if let Some(text) = rules {
        let bad = |message: String| QueryError::BadParameter { name: "rules", message };
        let json = serde_saphyr::from_str(text).map_err(|err| bad(err.to_string()))?;
        let check = |text: &str| query::parse(text).map(drop).map_err(|err| err.to_string());
        settings = settings.with_rules(json, &check).map_err(|problems| bad(problems.join("; ")))?;
    }
    let seconds = |nanos: i64| nanos.div_euclid(NANOS_PER_SECOND);
    let wish =
        Wish { from: range.from.map(seconds), to: range.to.map(seconds), limit: ANOMALIES_MAX, ..Wish::default() };
    let internal = |message: String| QueryError::Internal(message);
    let (mut anomalies, _) = detecting.find(&wish).map_err(|err| internal(err.to_string()))?;
    anomalies.reverse();
    DryRun::of(settings, &anomalies).map_err(|err| internal(err.to_string()))
}
