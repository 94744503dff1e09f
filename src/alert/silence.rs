//! Silences: for a time, incidents with certain labels are not told. One whose beginning lies ahead is a maintenance window.

use serde::{Deserialize, Serialize};

use super::matcher::{Labels, Matcher, all_match};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Silence {
    pub id: String,
    /// All of them must hold: `service="web"`.
    #[schema(value_type = Vec<String>)]
    pub matchers: Vec<Matcher>,
    /// Unix nanoseconds.
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub starts: i64,
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub ends: i64,
    pub author: String,
    pub reason: String,
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub created: i64,
    /// Alerts it kept from being told.
    #[serde(default)]
    pub muted_alerts: u64,
}

/// Silences that are kept, those that are over included.
pub const SILENCES_MAX: usize = 1_000;

impl Silence {
    pub fn is_active(&self, now: i64) -> bool {
        (self.starts..self.ends).contains(&now)
    }

    pub fn state(&self, now: i64) -> &'static str {
        match now {
            now if now < self.starts => "pending",
            now if now < self.ends => "active",
            _ => "expired",
        }
    }

    pub fn mutes(&self, labels: &Labels, now: i64) -> bool {
        self.is_active(now) && all_match(&self.matchers, labels)
    }
}
