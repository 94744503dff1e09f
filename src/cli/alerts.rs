//! The configuration's `alert` keys, checked whole: rules, receivers, routes.

use super::Usage;
use crate::alert::{Raw, Settings};
use crate::config::Config;
use crate::query;

/// Who is told of what; all problems as one [`Usage`].
pub fn open(config: &Config) -> anyhow::Result<Settings> {
    let check = |text: &str| query::parse(text).map(drop).map_err(|err| err.to_string());
    Settings::read(&raw(config), &check)
        .map_err(|problems| Usage(format!("the configuration cannot be used:\n{}", problems.join("\n"))).into())
}

fn raw(config: &Config) -> Raw {
    let alert = config.alert.clone();
    Raw {
        rules: alert.rules,
        receivers: alert.receivers,
        route: alert.route,
        time_intervals: alert.time_intervals,
        external_url: alert.external_url,
        allow_addresses: alert.allow_addresses,
        join_on: alert.join_on,
        canary_receiver: alert.canary_receiver,
    }
}
