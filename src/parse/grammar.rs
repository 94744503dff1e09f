//! What the rest of the program may know of a grammar: its fields, their roles, the names queries may use for them.

use crate::record::Role;

use super::detect::Id;
use super::formats::{cri, docker, envoy, klog, logfmt, syslog};

/// A field a grammar can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// Dotted, as a query writes it; `kv.*` stands for every field below.
    pub name: &'static str,
    pub role: Role,
    /// Whether the value is a number (its role then means nothing).
    pub number: bool,
}

impl FieldSpec {
    pub(super) const fn text(name: &'static str, role: Role) -> Self {
        Self { name, role, number: false }
    }

    pub(super) const fn number(name: &'static str) -> Self {
        Self { name, role: Role::Keyword, number: true }
    }
}

/// A grammar, described.
#[derive(Debug, Clone)]
pub struct Grammar {
    pub name: &'static str,
    /// Other names for fields, ECS first: (alias, field), both dotted.
    pub aliases: &'static [(&'static str, &'static str)],
    /// The fields it can give; empty where they are the line's own, as for `json`.
    pub fields: &'static [FieldSpec],
    /// Whether every word of a line written as text stands in one of its fields. See [`Grammar::covers`].
    pub covers_line: bool,
}

impl Grammar {
    /// Whether every word of this line, which this grammar parsed, stands in one of its fields. Not so for JSON
    /// forms: their key names, and Envoy's keys that are none of its operators, stand in none.
    pub fn covers(&self, line: &str) -> bool {
        if !self.covers_line {
            return false;
        }
        let content = cri::split(line).map_or(line, |wrapper| wrapper.message);
        matches!(content.as_bytes().first(), Some(b'I' | b'W' | b'E' | b'F' | b'['))
    }

    /// The field that an alias stands for.
    pub fn resolve(&self, alias: &str) -> Option<&'static str> {
        self.aliases.iter().find(|(name, _)| *name == alias).map(|(_, field)| *field)
    }
}

pub(super) fn builtin() -> Vec<Grammar> {
    vec![
        Grammar { name: Id::Klog.name(), aliases: klog::ALIASES, fields: klog::FIELDS, covers_line: true },
        Grammar { name: Id::Envoy.name(), aliases: envoy::ALIASES, fields: envoy::FIELDS, covers_line: true },
        Grammar { name: Id::Json.name(), aliases: &[], fields: &[], covers_line: false },
        Grammar { name: Id::Cri.name(), aliases: &[], fields: cri::FIELDS, covers_line: false },
        Grammar { name: Id::Docker.name(), aliases: &[], fields: docker::FIELDS, covers_line: false },
        Grammar {
            name: Id::Syslog3164.name(),
            aliases: syslog::ALIASES_3164,
            fields: syslog::FIELDS_3164,
            covers_line: false,
        },
        Grammar {
            name: Id::Syslog5424.name(),
            aliases: syslog::ALIASES_5424,
            fields: syslog::FIELDS_5424,
            covers_line: false,
        },
        Grammar { name: Id::Logfmt.name(), aliases: logfmt::ALIASES, fields: logfmt::FIELDS, covers_line: false },
    ]
}
