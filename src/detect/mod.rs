//! Watches every field of every service, with no configuration: rates, sizes, mixes, news and silence.
//!
//! Batches of records come in ([`Observations`]), anomalies go out ([`Anomaly`]). The room knows neither clock nor disk nor
//! store: the same batches in the same order give the same scores.

mod anomaly;
mod category;
mod common;
mod detector;
mod distinct;
mod entity;
mod episode;
mod feedback;
mod field;
mod finding;
mod influence;
mod job;
mod judge;
mod model;
mod names;
mod number;
mod observe;
mod sample;
mod scalars;
mod score;
mod series;
mod service;
mod snapshot;
pub mod stats;
mod values;
mod watched;
mod watermark;

pub use anomaly::{Anomaly, Example, Influencer, STREAMING, State, TemplateNote};
pub use detector::{CLUSTER, Detector, NEVER_SEEN, Settings, Stats, Weighed, WeighedValue};
pub use feedback::{Feedback, Label, Precision, Preview, Rule, precision};
pub use field::{FieldKind, Usual};
pub use finding::{Direction, Measure};
pub use job::{Job, JobStats, Row as JobRow, Spec as JobSpec};
pub use model::{Model, Quality};
pub use names::Names;
pub use observe::{Observations, Observer};
pub use score::Severity;
pub use series::Single;
pub use service::Watch;
pub use snapshot::LoadError;
