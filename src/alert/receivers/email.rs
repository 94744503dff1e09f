//! E-mail by SMTP. Messages of one alert are one thread: all refer to its first.

use lettre::Message;
use lettre::message::{Mailbox, header};
use serde::Deserialize;

use super::{Driver, Plan, text};
use crate::alert::delivery::Delivery;
use crate::alert::guard::Addresses;
use crate::alert::notice::Kind;
use crate::alert::secret::Secret;

/// Characters of a subject, without `Re:` and the like.
const SUBJECT_MAX: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    host: String,
    port: Option<u16>,
    #[serde(default)]
    tls: Tls,
    username: Option<String>,
    password: Option<Secret>,
    from: String,
    to: Vec<String>,
}

/// How the connection is kept private.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// STARTTLS, or nothing is sent (port 587).
    #[default]
    Starttls,
    /// TLS from the first byte (port 465).
    Implicit,
    /// None (port 25): for a relay on this machine.
    None,
}

/// A message with its way.
#[derive(Debug)]
pub struct Mail {
    pub message: Message,
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub username: Option<String>,
    pub password: Option<String>,
}

impl Driver for Email {
    fn kind(&self) -> &'static str {
        "email"
    }

    fn targets(&self) -> Vec<String> {
        vec![format!("{} by {}", self.to.join(", "), self.host)]
    }

    fn check(&self, addresses: &Addresses) -> Result<(), String> {
        addresses.check_host(&self.host).map_err(|err| err.to_string())?;
        if self.to.is_empty() {
            return Err("to: nobody is named".to_owned());
        }
        for address in self.to.iter().chain([&self.from]) {
            mailbox(address)?;
        }
        if self.username.is_some() != self.password.is_some() {
            return Err("username and password belong together: give both or none".to_owned());
        }
        if self.password.is_some() && self.tls == Tls::None {
            return Err(
                "a password does not go over a connection without TLS: set tls to starttls or implicit".to_owned()
            );
        }
        self.password.as_ref().map_or(Ok(()), |password| password.read().map(drop))
    }

    fn plan(&self, delivery: &Delivery, _now: i64) -> Result<Plan, String> {
        let notice = &delivery.notice;
        let domain = self.from.rsplit('@').next().unwrap_or("loghound").trim_end_matches('>');
        let thread = format!("<{}-{}@{domain}>", notice.key, delivery.receiver);
        // The same with each attempt, so that mail programs know a repeated message.
        let id = format!("<{}@{domain}>", delivery.id);
        let subject = text::chars(&text::headline(notice), SUBJECT_MAX).replace(['\r', '\n'], " ");
        let mut builder = Message::builder()
            .from(mailbox(&self.from)?)
            .subject(subject)
            .message_id(Some(id))
            .references(thread.clone())
            .in_reply_to(thread)
            .header(header::ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(mailbox(to)?);
        }
        let mut body = text::headline(notice);
        body.push_str("\n\n");
        body.push_str(&text::body(notice));
        let lines = text::lines(notice, 900);
        if !lines.is_empty() {
            body.push_str("\n\n");
            for line in lines.lines() {
                body.push_str(&format!("> {line}\n"));
            }
        }
        if notice.kind != Kind::Resolve {
            body.push_str(&format!("\nincident {}, since {}\n", notice.key, text::since(notice)));
        }
        let message = builder.body(body).map_err(|err| err.to_string())?;
        let port = self.port.unwrap_or(match self.tls {
            Tls::Starttls => 587,
            Tls::Implicit => 465,
            Tls::None => 25,
        });
        Ok(Plan::Mail(Box::new(Mail {
            message,
            host: self.host.clone(),
            port,
            tls: self.tls,
            username: self.username.clone(),
            password: self.password.as_ref().map(Secret::read).transpose()?,
        })))
    }
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|err| format!("{text:?} is no address of a mailbox: {err}"))
}
