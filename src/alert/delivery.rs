//! One message on its way to one target of one receiver: attempts, when it is tried again, when it is given up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::notice::{Kind, Notice};

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    Waiting,
    Delivered,
    /// Refused for good, or tried for too long: a person may send it again.
    Dead,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Attempt {
    /// Unix nanoseconds.
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub at: i64,
    pub took_ms: u64,
    /// The HTTP status, where there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong; empty when it was taken.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// The beginning of what was answered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// A message. Everything that is sent follows from it, so each attempt says the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Delivery {
    /// In the order they were decided.
    pub seq: u64,
    /// The same with each attempt: what a receiver knows a repeated message by.
    pub id: String,
    pub receiver: String,
    /// Which of the receiver's addresses.
    pub target: usize,
    pub state: DeliveryState,
    pub notice: Notice,
    /// Unix nanoseconds: when it was decided, and when it is tried next.
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub created: i64,
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub next_at: i64,
    #[serde(default, with = "crate::alert::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub done: Option<i64>,
    pub attempts_total: u32,
    /// The first attempt and the last ones.
    pub attempts: Vec<Attempt>,
}

/// Attempts of which more than a count is kept.
const ATTEMPTS_KEPT: usize = 8;
/// The first pause, what it grows by, and how long it gets.
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// A receiver that asks for a longer pause gets this one.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// A message that nobody took for so long is a dead letter.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// Bytes of an answer that are kept.
pub const BODY_BYTES_MAX: usize = 512;

/// What came of an attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    pub status: Option<u16>,
    /// Empty when it was taken.
    pub error: String,
    pub body: String,
    pub took_ms: u64,
    /// Trying again cannot help.
    pub permanent: bool,
    /// The receiver asks to be left alone for so long.
    pub retry_after: Option<Duration>,
}

impl Outcome {
    /// What an HTTP status means to a sender of messages.
    pub fn of_status(status: u16, body: &str, retry_after: Option<Duration>) -> Self {
        let body = super::finding::cut(body, BODY_BYTES_MAX).to_owned();
        let taken = (200..300).contains(&status);
        let error = match status {
            200..300 => String::new(),
            300..400 => format!("answered {status}: redirects are not followed, configure the address it leads to"),
            _ => format!("answered {status}"),
        };
        // These say that the message itself is at fault, or that the address is gone; a 401, 403 or 404 is mended by people.
        let permanent = matches!(status, 400 | 405 | 410 | 413 | 415 | 422);
        Self { status: Some(status), error, body, took_ms: 0, permanent: permanent && !taken, retry_after }
    }

    /// There was no answer.
    pub fn failed(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }

    pub fn taken(&self) -> bool {
        self.error.is_empty()
    }
}

impl Delivery {
    pub fn new(seq: u64, receiver: &str, target: usize, notice: Notice, now: i64) -> Self {
        let id = format!("{}-{}-{seq}", notice.key, notice.kind.name());
        Self {
            seq,
            id,
            receiver: receiver.to_owned(),
            target,
            state: DeliveryState::Waiting,
            created: now,
            next_at: now,
            done: None,
            attempts_total: 0,
            attempts: Vec::new(),
            notice,
        }
    }

    /// What waits behind what: messages of one alert to one target go out one after the other.
    pub fn line(&self) -> (String, usize, String) {
        (self.receiver.clone(), self.target, self.notice.key.clone())
    }

    /// Takes note of an attempt. `random` is from 0 to 1.
    pub fn attempted(&mut self, outcome: &Outcome, now: i64, random: f64) {
        self.attempts_total += 1;
        if self.attempts.len() >= ATTEMPTS_KEPT {
            self.attempts.remove(1);
        }
        self.attempts.push(Attempt {
            at: now,
            took_ms: outcome.took_ms,
            status: outcome.status,
            error: super::finding::cut(&outcome.error, BODY_BYTES_MAX).to_owned(),
            body: super::finding::cut(&outcome.body, BODY_BYTES_MAX).to_owned(),
        });
        let age = now.saturating_sub(self.created);
        if outcome.taken() {
            self.state = DeliveryState::Delivered;
            self.done = Some(now);
        } else if outcome.permanent || i128::from(age) >= GIVE_UP_AFTER.as_nanos() as i128 {
            self.state = DeliveryState::Dead;
            self.done = Some(now);
        } else {
            let pause = pause(self.attempts_total, outcome.retry_after, random);
            self.next_at = now.saturating_add(i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX));
        }
    }

    /// A dead letter is tried once more, now.
    pub fn revive(&mut self, now: i64) {
        self.state = DeliveryState::Waiting;
        self.done = None;
        self.next_at = now;
        // Another day of trying.
        self.created = now;
    }

    pub fn kind(&self) -> Kind {
        self.notice.kind
    }
}

/// The pause before the next attempt: doubled with each, half of it by chance, so that many that failed together do not come
/// together; never shorter than the receiver asked for. (A crate's backoff lives as long as its loop; this one must be the same
/// after a restart, so it follows from the number of attempts.)
fn pause(attempts: u32, retry_after: Option<Duration>, random: f64) -> Duration {
    let doubled = PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(PAUSE_MAX);
    let jittered = doubled.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0));
    match retry_after {
        // A little after the moment it named, again not all at once.
        Some(asked) => asked.min(RETRY_AFTER_MAX).max(jittered) + PAUSE.mul_f64(random.clamp(0.0, 1.0) / 4.0),
        None => jittered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn delivery() -> Delivery {
        Delivery::new(1, "r", 0, Notice::empty(Kind::Open, "k", 0), 0)
    }

    #[test]
    fn pauses_double_and_the_receiver_is_heard() {
        for (attempts, asked, random, seconds) in [
            (1, None, 1.0, 2.0),
            (1, None, 0.0, 1.0),
            (3, None, 1.0, 8.0),
            (60, None, 1.0, 600.0),
            (1, Some(30), 0.0, 30.0),
            (1, Some(30), 1.0, 30.5),
            (1, Some(86_400), 0.0, 3_600.0),
            (9, Some(1), 1.0, 512.5),
        ] {
            let pause = pause(attempts, asked.map(Duration::from_secs), random);
            assert_eq!(pause.as_secs_f64(), seconds, "{attempts} {asked:?} {random}");
        }
    }

    #[test]
    fn a_message_ends_delivered_or_dead() {
        let fails = Outcome::of_status(503, "busy", None);
        let mut tried = delivery();
        let mut now = 0;
        let mut attempts = 0;
        while tried.state == DeliveryState::Waiting {
            tried.attempted(&fails, now, 0.5);
            attempts += 1;
            now = now.max(tried.next_at);
        }
        assert_eq!((tried.state, tried.attempts_total), (DeliveryState::Dead, attempts));
        assert!(now >= 24 * 3_600 * S && (150..300).contains(&attempts), "{attempts} attempts, {now}");
        assert_eq!((tried.attempts.len(), tried.attempts[0].at), (ATTEMPTS_KEPT, 0));
        tried.revive(now);
        tried.attempted(&Outcome::of_status(202, "", None), now, 0.5);
        assert_eq!(tried.state, DeliveryState::Delivered);
    }

    #[test]
    fn statuses_mean_what_their_tools_say() {
        for (status, taken, permanent) in [
            (200, true, false),
            (204, true, false),
            (302, false, false),
            (400, false, true),
            (404, false, false),
            (410, false, true),
            (429, false, false),
            (500, false, false),
        ] {
            let outcome = Outcome::of_status(status, "", None);
            assert_eq!((outcome.taken(), outcome.permanent), (taken, permanent), "{status}");
        }
    }
}
