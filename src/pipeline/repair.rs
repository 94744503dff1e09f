//! Makes a damaged day serve what can be saved of it, in a data directory that nobody has open.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::lock::DataDirLock;
use super::restore::{RestoreError, drained};
use super::stored::{Day, Line};
use crate::parse::Grammars;
use crate::record::Record;
use crate::store::{self, Options, Saved, Store, shard_day, shard_name};

/// A day that was repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    pub name: String,
    /// Records that were as they should be.
    pub sound: u64,
    /// Records whose index was made anew.
    pub rebuilt: u64,
    /// Records that could not be trusted.
    pub lost: u64,
    /// Records that came after the day had been set aside.
    pub added: u64,
    /// Where the day is as it was before.
    pub kept_at: PathBuf,
}

/// Why a day stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error("there is no {name} in {root}: name a day such as 2026-11-22, or one that was set aside such as 2026-11-22.damaged-1", root = root.display())]
    NoSuchDay { name: String, root: PathBuf },
    #[error("{0} is sound: there is nothing to repair")]
    Sound(String),
    #[error("nothing of {0} can be trusted; it stays as it is. Put a copy in its place: loghound shards restore")]
    Hopeless(String),
    #[error("{0} cannot be read: {1}; it stays as it is. Put a copy in its place: loghound shards restore")]
    Unreadable(String, String),
}

impl From<store::Error> for RepairError {
    fn from(error: store::Error) -> Self {
        Self::Restore(error.into())
    }
}

impl From<tantivy::TantivyError> for RepairError {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Unreadable("the day".to_owned(), error.to_string())
    }
}

/// Repairs one day of `data_dir`, by the name of its directory: `2026-11-22`, or `2026-11-22.damaged-1`.
pub fn repair(data_dir: &Path, name: &str, grammars: &Grammars) -> Result<Repaired, RepairError> {
    let root = data_dir.join("shards");
    let dir = root.join(name);
    let day = shard_day(name.split_once(".damaged-").map_or(name, |(day, _)| day));
    let Some(day) = day.filter(|_| dir.is_dir()) else {
        return Err(RepairError::NoSuchDay { name: name.to_owned(), root });
    };
    let _lock = DataDirLock::acquire(data_dir).map_err(RestoreError::from)?;
    let is_in_place = name == shard_name(day);
    if is_in_place && store::verify(&root, Some(day))?.iter().all(|day| day.problems.is_empty()) {
        return Err(RepairError::Sound(name.to_owned()));
    }
    // Lines came for the day after it had been set aside.
    let in_its_place = Some(root.join(shard_name(day))).filter(|path| !is_in_place && path.is_dir());
    // Beside the store, which removes what it does not know when it is opened.
    let scratch = data_dir.join(".repair");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch).map_err(|source| store::Error::Io { path: scratch.clone(), source })?;
    }
    let saved = store::save_day(&dir, &scratch, day)
        .map_err(|error| RepairError::Unreadable(name.to_owned(), error.to_string()))?;
    let rebuilt: u64 = saved.to_rebuild.iter().map(|(_, docs)| docs).sum();
    let done = match saved.sound + rebuilt {
        0 => Err(RepairError::Hopeless(name.to_owned())),
        _ => write_anew(&scratch, day, &saved, in_its_place.as_deref(), grammars)
            .and_then(|added| Ok((added, put_back(data_dir, &scratch, day)?))),
    };
    std::fs::remove_dir_all(&scratch).map_err(|source| store::Error::Io { path: scratch, source })?;
    let (added, replaced) = done?;
    let kept_at = if is_in_place { replaced.unwrap_or(dir) } else { dir };
    Ok(Repaired { name: shard_name(day), sound: saved.sound, rebuilt, lost: saved.lost, added, kept_at })
}

/// Writes segments anew from their records, and adds those of the day that stands `in_its_place` which it does not have.
fn write_anew(
    scratch: &Path,
    day: i32,
    saved: &Saved,
    in_its_place: Option<&Path>,
    grammars: &Grammars,
) -> Result<u64, RepairError> {
    let store = Store::open(scratch, Options::default())?;
    let unreadable = |what: &str| RepairError::Unreadable(shard_name(day), what.to_owned());
    let Some(mut rewrite) = store.rewrite(day)? else { return Err(unreadable("it does not open")) };
    let view = rewrite.view().clone();
    let parser = grammars.current();
    let mut add = |line: &Line<'_>| {
        let covers = line.new.as_ref().is_some_and(|grammar| grammar.covers(line.text));
        let grammar = line.new.as_ref().map(|grammar| grammar.key());
        let record = Record { event: line.event, grammar, template: line.template, fields: line.fields };
        Ok::<(), RepairError>(rewrite.add(&record, covers)?)
    };
    let stored = Day::new(&view, grammars, &parser, None, None);
    for (id, _) in &saved.to_rebuild {
        let written = catch_unwind(AssertUnwindSafe(|| stored.each(|other| other == *id, || Ok(()), &mut add)));
        written.map_err(|_| unreadable("a record of it cannot be put together"))??;
    }
    let mut added = 0;
    if let Some(dir) = in_its_place {
        let root = scratch.join("in-its-place");
        store::save_day(dir, &root, day)?;
        let other = Store::open(&root, Options::default())?;
        let missing = missing(&other, &store)?;
        for view in other.shards() {
            Day::new(&view, grammars, &parser, None, None).each(
                |_| true,
                || Ok(()),
                |line| {
                    if !missing.get(&line.event.stream.sender).is_some_and(|ids| ids.contains(&line.event.id())) {
                        return Ok(());
                    }
                    added += 1;
                    add(line)
                },
            )?;
        }
    }
    let ids: Vec<_> = saved.to_rebuild.iter().map(|(id, _)| *id).collect();
    if added > 0 || !ids.is_empty() {
        rewrite.finish(&ids)?;
    } else {
        drop(rewrite);
    }
    store.finish_merges()?;
    Ok(added)
}

/// Identities of `from`, by sender, that `than` does not have.
fn missing(from: &Store, than: &Store) -> Result<HashMap<String, HashSet<u64>>, store::Error> {
    let mut missing: HashMap<String, HashSet<u64>> = HashMap::new();
    from.recent_ids(|sender, id| {
        match missing.get_mut(sender) {
            Some(ids) => ids.insert(id),
            None => missing.entry(sender.to_owned()).or_default().insert(id),
        };
        ControlFlow::Continue(())
    })?;
    than.recent_ids(|sender, id| {
        if let Some(ids) = missing.get_mut(sender) {
            ids.remove(&id);
        }
        ControlFlow::Continue(())
    })?;
    Ok(missing)
}

fn put_back(data_dir: &Path, scratch: &Path, day: i32) -> Result<Option<PathBuf>, RepairError> {
    let root = data_dir.join("shards");
    let position = drained(data_dir, &root)?;
    Ok(store::put_back(scratch, &root, day, position)?)
}
