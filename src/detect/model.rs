//! A trained version of the detectors: what it was made of, and how it does by what people labelled.

use serde::{Deserialize, Serialize};

/// How a model does on what people labelled in the days it was made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Quality {
    /// Anomalies of those days that people called useful, and false alarms: what the model in use then told.
    pub useful: u64,
    pub false_alarms: u64,
    /// Of these, those that this model tells too.
    pub useful_found: u64,
    pub false_alarms_found: u64,
}

impl Quality {
    /// Whether it does better than the model that told all of them. Without labels there is nothing to compare by.
    pub fn beats(&self) -> Option<bool> {
        if self.useful + self.false_alarms == 0 {
            return None;
        }
        let worth = |useful: u64, wrong: u64| useful as i64 - wrong as i64;
        Some(worth(self.useful_found, self.false_alarms_found) > worth(self.useful, self.false_alarms))
    }
}

/// A trained version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Model {
    pub version: String,
    /// RFC 3339, as the range of the records it was made of.
    pub created: String,
    pub from: String,
    pub to: String,
    pub records: u64,
    pub series: u64,
    pub bytes: u64,
    /// Anomalies from major on that it told in that range.
    pub anomalies: u64,
    pub quality: Quality,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_is_more_that_was_useful_or_less_that_was_not() {
        let beats = |useful, false_alarms, useful_found, false_alarms_found| {
            Quality { useful, false_alarms, useful_found, false_alarms_found }.beats()
        };
        assert_eq!(beats(0, 0, 0, 0), None);
        assert_eq!(beats(3, 2, 3, 0), Some(true));
        assert_eq!(beats(3, 2, 1, 0), Some(false));
        assert_eq!(beats(3, 2, 3, 2), Some(false));
    }
}
