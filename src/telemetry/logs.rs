//! loghound's own log: lower case, no full stop, facts as fields, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum LogSettingsError {
    #[error(
        "log level {given:?} is not understood ({reason}): use error, warn, info, debug, trace or off, or target=level pairs joined by commas"
    )]
    Level { given: String, reason: String },
    #[error("a log was set up already in this process")]
    Twice,
}

/// Sets up the process's log. `level` is a level or a filter such as `info,loghound::ingest=debug`.
pub fn init(level: &str, format: LogFormat) -> Result<(), LogSettingsError> {
    let filter = EnvFilter::try_new(level)
        .map_err(|err| LogSettingsError::Level { given: level.to_owned(), reason: err.to_string() })?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).try_init(),
    };
    done.map_err(|_| LogSettingsError::Twice)
}
