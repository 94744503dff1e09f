//! Label matchers, as Alertmanager writes them: `severity="critical"`, `service!=web`, `service=~"web|api"`, `team!~ops.*`.

use std::collections::BTreeMap;
use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Label name → value. A label that is absent has the empty value.
pub type Labels = BTreeMap<String, String>;

/// Memory that one matcher's pattern may compile to: bytes.
const REGEX_BYTES_MAX: usize = 1 << 18;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Fits,
    FitsNot,
}

/// One condition on one label.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Matcher {
    name: String,
    operator: Operator,
    value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// Reads one matcher; quotes around the value may be left out. The error says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no matcher: write label=value, label!=value, label=~regex or label!~regex");
        let at = text.find(['=', '!']).ok_or_else(bad)?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let (operator, value) = if let Some(value) = rest.strip_prefix("=~") {
            (Operator::Fits, value)
        } else if let Some(value) = rest.strip_prefix("!~") {
            (Operator::FitsNot, value)
        } else if let Some(value) = rest.strip_prefix("!=") {
            (Operator::IsNot, value)
        } else if let Some(value) = rest.strip_prefix('=') {
            (Operator::Is, value)
        } else {
            return Err(bad());
        };
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if name.is_empty() || !name.chars().all(named) {
            return Err(bad());
        }
        let value = unquoted(value.trim()).ok_or_else(bad)?;
        let regex = match operator {
            Operator::Is | Operator::IsNot => None,
            // Alertmanager anchors both ends.
            Operator::Fits | Operator::FitsNot => Some(
                RegexBuilder::new(&format!("^(?:{value})$"))
                    .size_limit(REGEX_BYTES_MAX)
                    .build()
                    .map_err(|err| format!("{text:?}: {err}"))?,
            ),
        };
        Ok(Self { name: name.to_owned(), operator, value, regex })
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name).map_or("", String::as_str);
        let fits = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.operator {
            Operator::Is => value == self.value,
            Operator::IsNot => value != self.value,
            Operator::Fits => fits(),
            Operator::FitsNot => !fits(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Whether all of them hold.
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

/// The text between quotes with `\"`, `\\` and `\n` undone; a text without quotes as it is; `None` for a lone quote.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else { return (!text.contains('"')).then(|| text.to_owned()) };
    let inner = rest.strip_suffix('"')?;
    let (mut out, mut escaped) = (String::with_capacity(inner.len()), false);
    for c in inner.chars() {
        match (escaped, c) {
            (false, '\\') => {
                escaped = true;
                continue;
            }
            (false, '"') => return None,
            (true, 'n') => out.push('\n'),
            // Go's quoting would refuse others; in a regular expression people mean them as they stand.
            (true, other) if other != '"' && other != '\\' => out.extend(['\\', other]),
            (_, other) => out.push(other),
        }
        escaped = false;
    }
    (!escaped).then_some(out)
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Is => "=",
            Operator::IsNot => "!=",
            Operator::Fits => "=~",
            Operator::FitsNot => "!~",
        };
        write!(f, "{}{operator}\"{}\"", self.name, self.value.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

impl TryFrom<String> for Matcher {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Matcher> for String {
    fn from(matcher: Matcher) -> Self {
        matcher.to_string()
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.operator, &self.value) == (&other.name, other.operator, &other.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_hold_as_alertmanagers_do() {
        let labels: Labels = [("service", "web"), ("severity", "critical")].map(|(k, v)| (k.into(), v.into())).into();
        for (text, holds) in [
            ("service=web", Some(true)),
            ("service = \"web\"", Some(true)),
            ("service!=web", Some(false)),
            ("service=~\"web|api\"", Some(true)),
            ("service=~we", Some(false)),
            ("service!~we.*", Some(false)),
            ("team=", Some(true)),
            ("team!=\"\"", Some(false)),
            ("team!~.+", Some(true)),
            ("severity=~crit\\w+", Some(true)),
            ("severity=~\"crit\\\\w+\"", Some(true)),
            ("service", None),
            ("=web", None),
            ("service=\"web", None),
            ("service=~(", None),
            ("a b=c", None),
            ("service!web", None),
        ] {
            let matcher = Matcher::parse(text);
            assert_eq!(matcher.as_ref().ok().map(|m| m.matches(&labels)), holds, "{text}: {matcher:?}");
            if let Ok(matcher) = matcher {
                assert_eq!(Matcher::parse(&matcher.to_string()).unwrap(), matcher, "{text} is written as {matcher}");
            }
        }
    }
}
