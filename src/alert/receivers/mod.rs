//! Receivers: the tools that call people. One file each; each makes of a [`Notice`] what its tool documents, within its limits.

mod alertmanager;
mod email;
mod opsgenie;
mod pagerduty;
mod slack;
mod teams;
mod text;
mod webhook;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

pub use alertmanager::{RESEND, batch as alertmanager_batch};
pub use email::{Mail, Tls as MailTls};

use super::delivery::{Delivery, Outcome};
use super::guard::Addresses;
use crate::config::duration;

/// One tool.
pub trait Driver: Send + Sync + fmt::Debug {
    /// What it is called in the configuration.
    fn kind(&self) -> &'static str;
    /// Where messages go, without what is secret. Each target gets each message.
    fn targets(&self) -> Vec<String>;
    /// Whether what it needs is there: secrets, templates.
    fn check(&self, addresses: &Addresses) -> Result<(), String>;
    /// The message as this tool takes it. `now` in Unix nanoseconds. An error is one that trying again does not mend.
    fn plan(&self, delivery: &Delivery, now: i64) -> Result<Plan, String>;
    /// What an answer means.
    fn judge(&self, status: u16, body: &str, retry_after: Option<Duration>) -> Outcome {
        Outcome::of_status(status, body, retry_after)
    }
    /// The least time between two messages.
    fn pace(&self) -> Duration {
        Duration::ZERO
    }
    /// Alertmanager forgets what is not told again: its targets, with the rest of the way.
    fn resends(&self) -> Option<&alertmanager::Alertmanager> {
        None
    }
}

/// What is to be sent.
#[derive(Debug)]
pub enum Plan {
    Http(Request),
    Mail(Box<Mail>),
}

/// An HTTP POST.
#[derive(Clone)]
pub struct Request {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn json(url: String, body: &serde_json::Value) -> Self {
        Self {
            url,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Addresses and headers of these tools are secrets.
        write!(f, "Request({} bytes)", self.body.len())
    }
}

/// What a receiver may be told a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub per_day: u32,
    /// The least time between two digests.
    pub digest: Duration,
}

#[derive(Debug, Clone)]
pub struct Receiver {
    pub name: String,
    pub send_resolved: bool,
    pub budget: Option<Budget>,
    pub driver: Arc<dyn Driver>,
}

/// A receiver as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawReceiver {
    name: String,
    send_resolved: Option<bool>,
    budget: Option<RawBudget>,
    webhook: Option<webhook::Webhook>,
    alertmanager: Option<alertmanager::Alertmanager>,
    pagerduty: Option<pagerduty::PagerDuty>,
    slack: Option<slack::Slack>,
    teams: Option<teams::Teams>,
    opsgenie: Option<opsgenie::Opsgenie>,
    email: Option<email::Email>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBudget {
    per_day: u32,
    digest: Option<String>,
}

/// The least time between two digests, where it is not written.
const DIGEST: Duration = Duration::from_secs(3_600);

impl Receiver {
    /// Checks what was written; all problems at once.
    pub fn read(raw: RawReceiver, addresses: &Addresses) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        if raw.name.is_empty() || raw.name.contains('/') {
            problems.push("a receiver needs a name, without a slash".to_owned());
        }
        let mut budget = None;
        if let Some(written) = raw.budget {
            let digest = written.digest.as_deref().map_or(Ok(DIGEST), duration);
            match digest {
                Err(problem) => problems.push(format!("budget.digest: {problem}")),
                Ok(digest) => budget = Some(Budget { per_day: written.per_day, digest }),
            }
        }
        fn boxed<D: Driver + 'static>(driver: Option<D>) -> Option<Arc<dyn Driver>> {
            driver.map(|driver| Arc::new(driver) as Arc<dyn Driver>)
        }
        let drivers = [
            boxed(raw.webhook),
            boxed(raw.alertmanager),
            boxed(raw.pagerduty),
            boxed(raw.slack),
            boxed(raw.teams),
            boxed(raw.opsgenie),
            boxed(raw.email),
        ];
        let mut drivers: Vec<Arc<dyn Driver>> = drivers.into_iter().flatten().collect();
        let driver = match (drivers.pop(), drivers.is_empty()) {
            (Some(driver), true) => driver,
            _ => {
                let kinds = "webhook, alertmanager, pagerduty, slack, teams, opsgenie, email";
                problems.push(format!("give one of {kinds}"));
                return Err(problems);
            }
        };
        if let Err(problem) = driver.check(addresses) {
            problems.push(format!("{}: {problem}", driver.kind()));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { name: raw.name, send_resolved: raw.send_resolved.unwrap_or(true), budget, driver })
    }
}

/// An address of the configuration: http or https, with a host, not a forbidden one.
fn check_url(text: &str, addresses: &Addresses) -> Result<reqwest::Url, String> {
    // The address may be a secret: it is not repeated.
    let url = reqwest::Url::parse(text).map_err(|err| format!("the address cannot be read: {err}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("an address begins with https:// or http://, not {}:", url.scheme()));
    }
    let host = url.host_str().ok_or("the address has no host")?;
    addresses.check_host(host).map_err(|err| err.to_string())?;
    Ok(url)
}

/// An address without what may be secret in it.
fn shown(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(url) => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}://{}{port}/…", url.scheme(), url.host_str().unwrap_or_default())
        }
        Err(_) => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests;
