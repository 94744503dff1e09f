//! From what was found to the person on call: rules, incidents, and messages that arrive.
//!
//! ```text
//! anomalies ─┐
//! queries   ─┼─> rule ─> finding ─> incident ─> alert ─> outbox ─> receiver
//! own state ─┘                        (what      (one a     (one
//!                                      belongs    receiver)  transaction with the decision)
//!                                      together)
//! ```
//!
//! A decision and the messages it leads to are one transaction. A message is tried until its receiver takes it, under the same id
//! each time, and messages of one alert go out one after the other: so a receiver sees one opening and one end for each key,
//! whatever crashes in between. The room knows nothing of how a score comes about, nor of HTTP servers; time and chance
//! are arguments.

mod book;
mod delivery;
mod dry_run;
mod engine;
mod finding;
mod guard;
mod incident;
mod interval;
mod ledger;
mod matcher;
mod notice;
mod outbox;
mod own;
mod receivers;
mod rfc3339;
mod route;
mod rule;
mod rule_info;
mod secret;
mod sender;
mod service;
mod settings;
mod silence;
mod tell;
#[cfg(test)]
mod tests;
mod threshold;

pub use book::Alert;
pub use delivery::{Attempt, Delivery, DeliveryState};
pub use dry_run::{DryRun, DryRunMessage};
pub use engine::Reading;
pub use finding::{Finding, Line};
pub use incident::{Deploy, Event, Incident, State};
pub use ledger::Error;
pub use matcher::{Labels, Matcher};
pub use notice::{FindingNote, Kind, Notice, after};
pub use own::{Own, Vitals};
pub use rule::{Condition, Query, Rule, Test};
pub use rule_info::RuleInfo;
pub use sender::{Clock, Observer, Sender};
pub use service::{Alerting, Counts, DeliveryWish, IncidentWish, ReceiverInfo, Refusal};
pub use settings::{Raw, Settings, severity};
pub use silence::Silence;
