//! Records of days that no server serves: a copy, a snapshot, a day that was kept beside.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Clock;
use crate::parse::Grammars;
use crate::query::pipes::{ROWS_MAX, Run, parse_pipeline_at};
use crate::query::{self, Between, Engine};
use crate::store::{self, Link, Options, Store, shard_name};

/// As long as it takes.
const TIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{}", .0.render(.1))]
    Query(query::SyntaxError, String),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("there is no day {0} in it")]
    NoSuchDay(String),
    #[error("cannot read the records: {0}")]
    Read(query::Stop),
    #[error("cannot write: {0}; what was written is not all")]
    Write(#[from] std::io::Error),
}

/// Writes the records of a day's directory, a snapshot, or a data directory that match, oldest first, one JSON object a line;
/// `only` of these days, of all where there are none. Returns how many. What is read is not changed.
pub fn export(
    from: &Path,
    only: &[i32],
    query: &str,
    grammars: Grammars,
    out: &mut dyn Write,
) -> Result<u64, ExportError> {
    let pipeline =
        parse_pipeline_at(query, Clock.now()).map_err(|error| ExportError::Query(error, query.to_owned()))?;
    let (root, mut days) = store::days_under(from)?;
    if let Some(day) = only.iter().find(|day| !days.contains(day)) {
        return Err(ExportError::NoSuchDay(shard_name(*day)));
    }
    days.retain(|day| only.is_empty() || only.contains(day));
    let scratch = tempfile::Builder::new().prefix("loghound-export-").tempdir()?;
    let shards = scratch.path().join("shards");
    store::link_days(&root, &days, &shards, Link::Symbolic)?;
    let engine = Engine::new(Arc::new(Store::open(shards, Options::default())?), Arc::new(grammars));
    let run = Run {
        between: Between { from: None, to: None },
        limit: ROWS_MAX,
        newest_first: false,
        after: None,
        deadline: Instant::now() + TIME_MAX,
        limits: crate::query::aggregate::Limits::default(),
    };
    let (mut count, mut failed) = (0, None);
    let done = engine.run_all(&pipeline, &run, &mut |_, record| {
        let written = serde_json::to_writer(&mut *out, &record).map_err(Into::into);
        match written.and_then(|()| out.write_all(b"\n")) {
            Ok(()) => count += 1,
            Err(error) => failed = Some(error),
        }
        failed.is_none()
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    done.map_err(ExportError::Read)?;
    out.flush()?;
    Ok(count)
}
