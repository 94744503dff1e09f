//! Masks over what must not be kept: passwords and tokens, e-mail addresses, card numbers, IP addresses, and what an
//! operator's own expressions find.
//!
//! A mask is put on the line itself before anything else sees it, so fields, templates, postings and live tails are made
//! of the masked line. What it hides becomes `[redacted:NAME]`. Masking twice changes nothing more.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use regex::{Captures, Regex, RegexBuilder};
use serde_json::{Map, Value as Json};

const MARK: &str = "[redacted";

/// What is hidden can bare what stands beside it (an address glued to a card number), so lines with secrets are looked
/// over again. An own expression that fits the marks would never end.
const PASSES_MAX: usize = 8;

/// The masks that have a name.
pub const NAMES: &[&str] = &["token", "email", "card", "ip"];

/// A word that announces a secret: `db_password=`, `"apiKey": `.
const SECRET_NAME: &str =
    r"[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)";

#[derive(Debug)]
struct Mask {
    name: &'static str,
    regex: Regex,
    /// The parts of a match that are hidden.
    hidden: fn(&Captures<'_>) -> Vec<Range<usize>>,
}

/// All masks that are wanted, in order.
#[derive(Debug)]
pub struct Redactor {
    masks: Vec<Mask>,
    /// Keys of JSON objects whose values are hidden whatever they are. `None` unless tokens are masked.
    secret_key: Option<Regex>,
}

impl Redactor {
    /// Each of `wanted` is one of `NAMES` or a regular expression between slashes, of which the first group is hidden, or
    /// all where it has none. `None` when nothing is wanted.
    ///
    /// # Errors
    /// What is wrong with an entry, and how it is written.
    pub fn new(wanted: &[String]) -> Result<Option<Self>, String> {
        let mut masks = Vec::new();
        let mut secret_key = None;
        for entry in wanted {
            match entry.as_str() {
                "token" => {
                    masks.extend(tokens().map_err(|error| error.to_string())?);
                    secret_key = Some(compile(&format!("(?i)^{SECRET_NAME}$")).map_err(|error| error.to_string())?);
                }
                "email" => masks.push(mask(
                    "email",
                    r"(?i-u:\b[a-z0-9._%+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}\b)",
                    whole,
                )?),
                "card" => masks.push(mask("card", r"(?-u:\b\d(?:[ -]?\d){12,63}\b)", cards)?),
                "ip" => {
                    masks.push(mask("ip", r"(?-u:\b\d{1,3}(?:\.\d{1,3}){3}\b)", ip_v4)?);
                    masks.push(mask("ip", r"(?i-u:[0-9a-f]{0,4}:[0-9a-f:]{1,38}(?:\d{1,3}(?:\.\d{1,3}){3})?)", ip_v6)?);
                }
                other => {
                    let own = other.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
                    let own = own.filter(|own| !own.is_empty()).ok_or_else(|| {
                        format!(
                            "{other:?} is no mask: write one of {}, or a regular expression between slashes",
                            NAMES.join(", ")
                        )
                    })?;
                    let own = mask("", own, own_group)?;
                    if own.regex.is_match("") {
                        return Err(format!("{other} fits between any two characters: let it need at least one"));
                    }
                    masks.push(own);
                }
            }
        }
        Ok((!masks.is_empty()).then_some(Self { masks, secret_key }))
    }

    /// The text with what must not be kept hidden; borrowed when there is nothing to hide. A JSON object stays one.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if text.starts_with('{')
            && let Ok(object) = serde_json::from_str::<Map<String, Json>>(text)
        {
            return self.mask_object(object).map_or(Cow::Borrowed(text), Cow::Owned);
        }
        self.mask_plain(text)
    }

    fn mask_plain<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for _ in 0..PASSES_MAX {
            let mut changed = false;
            for mask in &self.masks {
                if let Some(new) = mask.apply(&masked) {
                    (masked, changed) = (Cow::Owned(new), true);
                }
            }
            if !changed {
                break;
            }
        }
        masked
    }

    fn mask_object(&self, mut object: Map<String, Json>) -> Option<String> {
        self.mask_members(&mut object).then(|| Json::Object(object).to_string())
    }

    /// Whether something was hidden.
    fn mask_members(&self, object: &mut Map<String, Json>) -> bool {
        let mut changed = false;
        for (key, value) in object {
            let secret = self.secret_key.as_ref().is_some_and(|secret| secret.is_match(key));
            let scalar = matches!(value, Json::String(_) | Json::Number(_));
            if secret && scalar && value.as_str() != Some("[redacted:token]") {
                *value = Json::String("[redacted:token]".to_owned());
                changed = true;
            } else {
                changed |= self.mask_value(value);
            }
        }
        changed
    }

    fn mask_value(&self, value: &mut Json) -> bool {
        let text = match value {
            Json::Object(object) => return self.mask_members(object),
            Json::Array(values) => {
                return values.iter_mut().fold(false, |changed, value| self.mask_value(value) | changed);
            }
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            Json::Null | Json::Bool(_) => return false,
        };
        match self.mask_plain(&text) {
            Cow::Borrowed(_) => false,
            Cow::Owned(masked) => {
                *value = Json::String(masked);
                true
            }
        }
    }
}

impl Mask {
    /// `None` when nothing is hidden.
    fn apply(&self, text: &str) -> Option<String> {
        let mut masked = String::new();
        let mut done = 0;
        for found in self.regex.captures_iter(text) {
            for part in (self.hidden)(&found) {
                // What another mask has hidden stays as it is.
                if part.is_empty() || part.start < done || text[part.clone()].starts_with(MARK) {
                    continue;
                }
                masked.push_str(&text[done..part.start]);
                masked.push_str(MARK);
                if !self.name.is_empty() {
                    masked.push(':');
                    masked.push_str(self.name);
                }
                masked.push(']');
                done = part.end;
            }
        }
        if done == 0 {
            return None;
        }
        masked.push_str(&text[done..]);
        Some(masked)
    }
}

fn compile(regex: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(regex).size_limit(1 << 20).build()
}

fn mask(name: &'static str, regex: &str, hidden: fn(&Captures<'_>) -> Vec<Range<usize>>) -> Result<Mask, String> {
    let regex = compile(regex).map_err(|error| error.to_string())?;
    Ok(Mask { name, regex, hidden })
}

fn tokens() -> Result<[Mask; 3], String> {
    Ok([
        // Shapes that nothing else has: JSON web tokens, AWS, GitHub, GitLab, Slack, Stripe, Google, private keys.
        mask(
            "token",
            r"(?x-u:\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?
              |\b(?:AKIA|ASIA)[0-9A-Z]{16}\b
              |\bgh[pousr]_[A-Za-z0-9]{36,}
              |\bgithub_pat_[A-Za-z0-9_]{22,}
              |\bglpat-[A-Za-z0-9_-]{20,}
              |\bxox[abeoprs]-[A-Za-z0-9-]{10,}
              |\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}
              |\bAIza[0-9A-Za-z_-]{35}
              |-----BEGIN\x20[A-Z\x20]{0,20}PRIVATE\x20KEY-----[A-Za-z0-9+/=\\\s]*(?:-----END\x20[A-Z\x20]{0,20}PRIVATE\x20KEY-----)?)",
            whole,
        )?,
        mask(
            "token",
            r#"(?i)\bbearer\s+([a-z0-9._~+/=-]{16,})|\bauthorization["']?\s*[:=]\s*["']?(?:basic|bearer|digest|token)?\s*([^\s"',;\[]+)"#,
            credentials,
        )?,
        mask("token", &format!(r#"(?i){SECRET_NAME}["']?\s*[:=]\s*(?:"([^"]+)"|'([^']+)'|([^\s"',;&}}\]]+))"#), group)?,
    ])
}

fn whole(found: &Captures<'_>) -> Vec<Range<usize>> {
    found.get(0).map(|all| all.range()).into_iter().collect()
}

/// What stands behind the scheme; the scheme alone is no secret.
fn credentials(found: &Captures<'_>) -> Vec<Range<usize>> {
    let is_scheme = |text: &str| ["basic", "bearer", "digest", "token"].iter().any(|s| text.eq_ignore_ascii_case(s));
    let secrets = found.iter().skip(1).flatten().filter(|group| !is_scheme(group.as_str()));
    secrets.map(|group| group.range()).collect()
}

/// The group that took part.
fn group(found: &Captures<'_>) -> Vec<Range<usize>> {
    found.iter().skip(1).flatten().map(|group| group.range()).collect()
}

fn own_group(found: &Captures<'_>) -> Vec<Range<usize>> {
    found.get(1).or_else(|| found.get(0)).map(|hidden| hidden.range()).into_iter().collect()
}

fn ip_v4(found: &Captures<'_>) -> Vec<Range<usize>> {
    found.get(0).filter(|all| all.as_str().parse::<Ipv4Addr>().is_ok()).map(|all| all.range()).into_iter().collect()
}

/// An address, without a colon that belongs to the text beside it.
fn ip_v6(found: &Captures<'_>) -> Vec<Range<usize>> {
    let Some(all) = found.get(0) else { return Vec::new() };
    let Range { start, end } = all.range();
    let text = all.as_str();
    [(0, 0), (0, 1), (1, 0), (1, 1)]
        .into_iter()
        .filter(|(before, after)| before + after < text.len())
        .map(|(before, after)| (before, after, &text[before..text.len() - after]))
        .find(|(.., address)| address.len() > 2 && address.parse::<Ipv6Addr>().is_ok())
        .map(|(before, after, _)| start + before..end - after)
        .into_iter()
        .collect()
}

/// The card numbers in a run of digits and separators: 13 to 19 digits, the first 2 to 6, Luhn's sum right. The run may
/// begin with other numbers, so every group of it may begin a card.
fn cards(found: &Captures<'_>) -> Vec<Range<usize>> {
    let Some(all) = found.get(0) else { return Vec::new() };
    let text = all.as_str().as_bytes();
    let separator = |at: usize| text.get(at).is_none_or(|byte| !byte.is_ascii_digit());
    let (mut hidden, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let begins = text[at].is_ascii_digit() && (at == 0 || separator(at - 1));
        match begins.then(|| card_end(&text[at..])).flatten().filter(|end| separator(at + end)) {
            Some(end) => {
                hidden.push(all.start() + at..all.start() + at + end);
                at += end;
            }
            None => at += 1,
        }
    }
    hidden
}

/// Where the longest card number that `text` begins with ends, at a separator or the end.
fn card_end(text: &[u8]) -> Option<usize> {
    if !(b'2'..=b'6').contains(text.first()?) {
        return None;
    }
    let (mut digits, mut longest) = (Vec::with_capacity(19), None);
    for (at, byte) in text.iter().enumerate() {
        if !byte.is_ascii_digit() {
            continue;
        }
        if digits.len() == 19 {
            break;
        }
        digits.push(byte - b'0');
        let ends = text.get(at + 1).is_none_or(|next| !next.is_ascii_digit());
        if ends && digits.len() >= 13 && luhn(&digits) {
            longest = Some(at + 1);
        }
    }
    longest
}

/// Luhn's check (ISO/IEC 7812-1): every second digit from the right doubled, the digits' sum a multiple of ten.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = (digits.iter().rev().enumerate())
        .map(|(at, digit)| match u32::from(*digit) << (at % 2) {
            doubled @ 10.. => doubled - 9,
            digit => digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
