//! Any HTTP address. Signed as Standard Webhooks have it (`webhook-id`, `webhook-timestamp`, `webhook-signature`), or as GitHub does
//! (`X-Hub-Signature-256`); the body is loghound's own JSON, or what a template makes of it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Driver, Plan, Request, check_url, shown};
use crate::alert::delivery::Delivery;
use crate::alert::guard::Addresses;
use crate::alert::notice::Kind;
use crate::alert::secret::Secret;
use crate::record::time::NANOS_PER_SECOND;

/// Standard Webhooks asks for less than 20 kB.
const BODY_BYTES_MAX: usize = 20_000;
/// Steps that a template may take.
const TEMPLATE_FUEL: u64 = 50_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    url: Secret,
    #[serde(default)]
    signature: Signature,
    /// `whsec_` and base64, for Standard Webhooks; any text for GitHub's.
    secret: Option<Secret>,
    /// The next secret, while both are in use.
    secret_next: Option<Secret>,
    /// A minijinja template of the body; `notice` is what loghound would send as `data`.
    template: Option<String>,
    content_type: Option<String>,
    /// `Authorization: Bearer …`
    bearer: Option<Secret>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Signature {
    #[default]
    Standard,
    Github,
}

impl Driver for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn targets(&self) -> Vec<String> {
        vec![self.url.read().map_or_else(|_| "…".to_owned(), |url| shown(&url))]
    }

    fn check(&self, addresses: &Addresses) -> Result<(), String> {
        check_url(&self.url.read()?, addresses)?;
        for secret in [&self.secret, &self.secret_next].into_iter().flatten() {
            self.key(secret)?;
        }
        if self.signature == Signature::Github && self.secret.is_none() {
            return Err("signature: github needs a secret".to_owned());
        }
        if let Some(bearer) = &self.bearer {
            bearer.read()?;
        }
        if let Some(template) = &self.template {
            let notice = crate::alert::notice::Notice::empty(Kind::Test, "key", 0);
            render(template, &data(&Delivery::new(0, "name", 0, notice, 0)))?;
        }
        Ok(())
    }

    fn plan(&self, delivery: &Delivery, now: i64) -> Result<Plan, String> {
        let data = data(delivery);
        let body = match &self.template {
            Some(template) => render(template, &data)?.into_bytes(),
            None => fitting(delivery, data),
        };
        let content_type = self.content_type.clone().unwrap_or_else(|| "application/json".to_owned());
        let mut headers = vec![("content-type", content_type)];
        let keys = [&self.secret, &self.secret_next].into_iter().flatten().map(|secret| self.key(secret));
        let keys: Vec<Vec<u8>> = keys.collect::<Result<_, _>>()?;
        match self.signature {
            Signature::Standard => {
                let timestamp = now.div_euclid(NANOS_PER_SECOND).to_string();
                headers.push(("webhook-id", delivery.id.clone()));
                if !keys.is_empty() {
                    let mut signed = format!("{}.{timestamp}.", delivery.id).into_bytes();
                    signed.extend_from_slice(&body);
                    let signatures: Vec<_> =
                        keys.iter().map(|key| format!("v1,{}", STANDARD.encode(mac(key, &signed)))).collect();
                    headers.push(("webhook-signature", signatures.join(" ")));
                }
                headers.push(("webhook-timestamp", timestamp));
            }
            Signature::Github => {
                let key = keys.first().map(Vec::as_slice).unwrap_or_default();
                let hex: String = mac(key, &body).iter().map(|byte| format!("{byte:02x}")).collect();
                headers.push(("x-hub-signature-256", format!("sha256={hex}")));
                headers.push(("x-loghound-delivery", delivery.id.clone()));
            }
        }
        if let Some(bearer) = &self.bearer {
            headers.push(("authorization", format!("Bearer {}", bearer.read()?)));
        }
        Ok(Plan::Http(Request { url: self.url.read()?, headers, body }))
    }
}

impl Webhook {
    /// The bytes that messages are signed with.
    fn key(&self, secret: &Secret) -> Result<Vec<u8>, String> {
        let text = secret.read()?;
        if self.signature == Signature::Github {
            return Ok(text.into_bytes());
        }
        let encoded =
            text.strip_prefix("whsec_").ok_or("secret: it begins with whsec_, followed by base64 of 24 to 64 bytes")?;
        let key = STANDARD.decode(encoded).map_err(|_| "secret: what follows whsec_ is not base64".to_owned())?;
        if (24..=64).contains(&key.len()) {
            Ok(key)
        } else {
            Err(format!("secret: it has {} bytes; Standard Webhooks asks for 24 to 64", key.len()))
        }
    }
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
}

/// The message as JSON.
fn data(delivery: &Delivery) -> Json {
    let mut data = serde_json::to_value(&delivery.notice).unwrap_or_default();
    data["receiver"] = json!(delivery.receiver);
    data
}

/// The body, with less in it where it would be too long: lines go first, then findings.
fn fitting(delivery: &Delivery, mut data: Json) -> Vec<u8> {
    let kind = match delivery.kind() {
        Kind::Open => "incident.opened",
        Kind::Update => "incident.updated",
        Kind::Resolve => "incident.resolved",
        Kind::Test => "test",
        Kind::Digest => "digest",
    };
    loop {
        let body = json!({ "type": kind, "timestamp": data["at"], "data": data }).to_string().into_bytes();
        let longest = ["lines", "findings", "incidents", "deploys"]
            .into_iter()
            .find(|name| data[name].as_array().is_some_and(|l| l.len() > 1));
        let Some(longest) = longest.filter(|_| body.len() >= BODY_BYTES_MAX) else { return body };
        // From the middle: the first and the last say most.
        if let Some(list) = data[longest].as_array_mut() {
            list.remove(list.len() / 2);
        }
    }
}

fn render(template: &str, notice: &Json) -> Result<String, String> {
    let mut environment = minijinja::Environment::new();
    environment.set_fuel(Some(TEMPLATE_FUEL));
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Lenient);
    // What stands in a JSON body is written as JSON, quotes and all.
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
        .render_str(template, minijinja::context! { notice => minijinja::Value::from(minijinja::value::Serde(notice)) })
        .map_err(|err| format!("template: {err:#}"))
}
