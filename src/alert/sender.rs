//! Takes messages out of the outbox and brings them to their receivers, a bounded number at once, each with a time limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls as SmtpTls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::delivery::{BODY_BYTES_MAX, Delivery, DeliveryState, Outcome};
use super::guard::{Addresses, Guarded};
use super::outbox::Job;
use super::receivers::{Mail, Plan, RESEND, Request, alertmanager_batch};
use super::service::Alerting;
use crate::alert::receivers::MailTls;

/// Attempts under way at once, of all receivers.
const AT_ONCE_MAX: usize = 32;
/// One attempt, from its first byte to its last.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(20);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Without news, the outbox is looked at this often.
const LOOK: Duration = Duration::from_secs(5);
/// Alerts in one message to an Alertmanager.
const RESEND_BATCH: usize = 100;

/// Told of each message as it ends: its final state on disk, after how many attempts.
pub type Observer = Arc<dyn Fn(&Delivery) + Send + Sync>;
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Brings messages to their receivers.
pub struct Sender {
    alerting: Arc<Alerting>,
    http: reqwest::Client,
    addresses: Arc<Addresses>,
    clock: Clock,
    observer: Observer,
}

impl Sender {
    pub fn new(alerting: Arc<Alerting>, clock: Clock, observer: Observer) -> Result<Self, String> {
        let addresses = Arc::new(alerting.settings().addresses.clone());
        // Where nobody is told anything, an image without authorities will do.
        let builder = match alerting.settings().receivers.as_slice() {
            [] => reqwest::Client::builder().tls_certs_only([]),
            _ => reqwest::Client::builder(),
        };
        let http = builder
            .user_agent(concat!("loghound/", env!("CARGO_PKG_VERSION")))
            // A redirect or a proxy would lead past the guard.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Guarded(Arc::clone(&addresses))))
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(ATTEMPT_TIME_MAX)
            .pool_max_idle_per_host(2)
            .build()
            .map_err(|err| format!("cannot set up the HTTP client: {err}"))?;
        Ok(Self { alerting, http, addresses, clock, observer })
    }

    /// Sends until `closing`; what is under way then is finished or tried again after the next start.
    pub async fn run(self: Arc<Self>, closing: CancellationToken) {
        let mut under_way = JoinSet::new();
        let mut resend = tokio::time::interval(RESEND);
        resend.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let jobs = self.alerting.outbox.take((self.clock)(), AT_ONCE_MAX.saturating_sub(under_way.len()));
            match jobs {
                Ok(jobs) => {
                    for job in jobs {
                        let sender = Arc::clone(&self);
                        under_way.spawn(async move { sender.attempt(job).await });
                    }
                }
                Err(error) => error!(%error, "cannot read what is to be sent"),
            }
            let due = self.alerting.outbox.next_due().filter(|_| under_way.len() < AT_ONCE_MAX);
            let wait = due.map_or(LOOK, |due| {
                Duration::from_nanos(due.saturating_sub((self.clock)()).max(1_000_000) as u64).min(LOOK)
            });
            tokio::select! {
                () = self.alerting.outbox.news.notified() => {}
                Some(_) = under_way.join_next() => {}
                () = tokio::time::sleep(wait) => {}
                _ = resend.tick() => self.resend().await,
                () = closing.cancelled() => break,
            }
        }
        let _ = tokio::time::timeout(Duration::from_secs(2), async { while under_way.join_next().await.is_some() {} })
            .await;
    }

    /// One attempt at one message, and what came of it on disk.
    async fn attempt(&self, job: Job) {
        let started = Instant::now();
        let mut outcome = match tokio::time::timeout(ATTEMPT_TIME_MAX, self.deliver(&job.delivery)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::failed(format!("no answer within {} s", ATTEMPT_TIME_MAX.as_secs())),
        };
        outcome.took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let random = random();
        let alerting = Arc::clone(&self.alerting);
        let now = (self.clock)();
        let written = tokio::task::spawn_blocking(move || alerting.outbox.finish(job, &outcome, now, random)).await;
        match written {
            Ok(Ok(delivery)) => self.tell(&delivery),
            Ok(Err(error)) => {
                error!(%error, "a message was sent, but that could not be written down: it is sent again under the same id")
            }
            Err(error) => error!(%error, "writing down what became of a message failed"),
        }
    }

    fn tell(&self, delivery: &Delivery) {
        let (receiver, kind, id) = (&delivery.receiver, delivery.kind().name(), &delivery.id);
        let last = delivery.attempts.last();
        let error = last.map(|attempt| attempt.error.as_str()).unwrap_or_default();
        let attempts = delivery.attempts_total;
        match delivery.state {
            DeliveryState::Delivered => info!(receiver, kind, id, attempts, "message delivered"),
            DeliveryState::Dead => {
                error!(
                    receiver,
                    kind, id, attempts, error, "message given up; `loghound deliveries` shows it, and sends it again"
                );
            }
            DeliveryState::Waiting => {
                warn!(receiver, kind, id, attempts, error, "message not taken; it is tried again")
            }
        }
        (self.observer)(delivery);
    }

    async fn deliver(&self, delivery: &Delivery) -> Outcome {
        let Some(receiver) = self.alerting.settings().receiver(&delivery.receiver) else {
            let error = format!("there is no receiver {:?} in the configuration any more", delivery.receiver);
            return Outcome { permanent: true, ..Outcome::failed(error) };
        };
        match receiver.driver.plan(delivery, (self.clock)()) {
            // A secret's file may be missing for a moment while it is rotated.
            Err(error) => Outcome::failed(error),
            Ok(Plan::Http(request)) => match self.post(request).await {
                Ok(answer) => receiver.driver.judge(answer.status, &answer.body, answer.retry_after),
                Err(error) => Outcome::failed(error),
            },
            Ok(Plan::Mail(mail)) => self.mail(*mail).await,
        }
    }

    async fn post(&self, request: Request) -> Result<Answer, String> {
        let url = reqwest::Url::parse(&request.url).map_err(|err| format!("the address cannot be read: {err}"))?;
        // The resolver is not asked for a host that is written as an address.
        self.addresses.check_host(url.host_str().unwrap_or_default()).map_err(|err| err.to_string())?;
        let mut builder = self.http.post(url).body(request.body);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let mut response = builder.send().await.map_err(|err| reason(&err.without_url()))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| seconds(text, (self.clock)()));
        let mut body = Vec::new();
        while body.len() < BODY_BYTES_MAX {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(BODY_BYTES_MAX)]),
                // The status is what counts.
                Ok(None) | Err(_) => break,
            }
        }
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), retry_after })
    }

    async fn mail(&self, mail: Mail) -> Outcome {
        match self.try_mail(mail).await {
            Ok(answer) => Outcome::of_status(250, &answer, None),
            Err((error, permanent, status)) => Outcome { permanent, status, ..Outcome::failed(error) },
        }
    }

    async fn try_mail(&self, mail: Mail) -> Result<String, (String, bool, Option<u16>)> {
        let soft = |error: String| (error, false, None);
        let found = self.addresses.resolve(&mail.host, mail.port).await.map_err(soft)?;
        let address = found.first().ok_or_else(|| soft(format!("{} has no address", mail.host)))?;
        let tls = || TlsParameters::new(mail.host.clone()).map_err(|err| soft(reason(&err)));
        let tls = match mail.tls {
            MailTls::None => SmtpTls::None,
            MailTls::Starttls => SmtpTls::Required(tls()?),
            MailTls::Implicit => SmtpTls::Wrapper(tls()?),
        };
        // To the address that was checked, with the certificate of the name.
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
            .port(mail.port)
            .tls(tls)
            .timeout(Some(ATTEMPT_TIME_MAX));
        if let (Some(user), Some(password)) = (mail.username, mail.password) {
            builder = builder.credentials(Credentials::new(user, password));
        }
        let sent = builder.build().send(mail.message).await;
        sent.map(|response| response.message().collect::<Vec<_>>().join(" ")).map_err(|err| {
            let status = err.status().map(u16::from);
            // 535 is a wrong password, which people mend.
            (reason(&err), err.is_permanent() && status != Some(535), status)
        })
    }

    /// Tells Alertmanagers again what is open. Nothing follows from it, so nothing is written.
    async fn resend(&self) {
        for receiver in &self.alerting.settings().receivers {
            let Some(alertmanager) = receiver.driver.resends() else { continue };
            let now = (self.clock)();
            let alerts = alertmanager_batch(&self.alerting.open_notices(&receiver.name, now), now);
            for target in 0..alertmanager.members() {
                for batch in alerts.chunks(RESEND_BATCH) {
                    let sent = match alertmanager.request(target, batch) {
                        Ok(request) => self.post(request).await,
                        Err(error) => Err(error),
                    };
                    let error = match sent {
                        Ok(answer) if answer.status < 300 => continue,
                        Ok(answer) => format!("answered {}", answer.status),
                        Err(error) => error,
                    };
                    warn!(
                        receiver = receiver.name,
                        target, error, "open alerts were not taken; they are told again in a minute"
                    );
                    break;
                }
            }
        }
    }
}

struct Answer {
    status: u16,
    body: String,
    retry_after: Option<Duration>,
}

/// An error's own words and those of its causes.
fn reason(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(deeper) = cause {
        let words = deeper.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = deeper.source();
    }
    text
}

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
fn seconds(text: &str, now: i64) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().as_second();
    let wait = at.saturating_sub(now.div_euclid(1_000_000_000));
    u64::try_from(wait).ok().map(Duration::from_secs)
}

/// From 0 to 1, for jitter.
fn random() -> f64 {
    let mut bytes = [0; 8];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64,
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 1_780_000_000 * 1_000_000_000;
        for (text, expected) in [
            ("120", Some(120)),
            ("Thu, 28 May 2026 20:27:40 GMT", Some(60)),
            ("Thu, 28 May 2026 20:00:00 GMT", None),
            ("soon", None),
        ] {
            assert_eq!(seconds(text, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}
