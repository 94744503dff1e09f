//! The grammars of a running process: those in use, how they are replaced, and those that older records were parsed with.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::file::{self, Read};
use super::{Grammar, Parser};
use crate::config::Route;

/// Name and version.
type Key = (String, u64);

/// The grammars a process parses with; a new set replaces the old one whole.
#[derive(Debug)]
pub struct Grammars {
    current: ArcSwap<Parser>,
    dir: Option<PathBuf>,
    rules: Vec<Route>,
    /// The directory as it was last read, be it that it was refused.
    seen: Mutex<Result<Vec<Read>, String>>,
    /// Why the last reading was refused; empty when it was not.
    problems: Mutex<Vec<String>>,
    /// Grammars of stored records that the current set has no more; `None` where one does not load.
    older: Mutex<HashMap<Key, Option<Arc<Grammar>>>>,
}

impl Grammars {
    /// A set that stays as it is.
    pub fn fixed(parser: Parser) -> Self {
        Self {
            current: ArcSwap::from_pointee(parser),
            dir: None,
            rules: Vec::new(),
            seen: Mutex::new(Ok(Vec::new())),
            problems: Mutex::default(),
            older: Mutex::default(),
        }
    }

    /// The built-in grammars, those of a directory, and the rules that send streams to them. All problems are told at
    /// once.
    pub fn open(dir: Option<PathBuf>, rules: Vec<Route>) -> Result<Self, Vec<String>> {
        let files = read(dir.as_ref()).map_err(|problem| vec![problem])?;
        let parser = Parser::with_files(&files, &rules)?;
        Ok(Self { dir, rules, seen: Mutex::new(Ok(files)), ..Self::fixed(parser) })
    }

    /// The set in use.
    pub fn current(&self) -> Arc<Parser> {
        self.current.load_full()
    }

    /// Reads the directory again. Where a file is new, gone or changed, the whole set is made and proven anew and takes
    /// the old one's place: true. On problems the old set stays, and they are told once: until a file changes again, the
    /// answer is `Ok(false)`.
    pub fn reload(&self) -> Result<bool, Vec<String>> {
        let mut seen = self.seen.lock();
        let now = read(self.dir.as_ref());
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        let files = seen.as_ref().map_err(|problem| vec![problem.clone()]);
        match files.and_then(|files| Parser::with_files(files, &self.rules)) {
            Ok(parser) => {
                self.current.store(Arc::new(parser));
                self.problems.lock().clear();
                Ok(true)
            }
            Err(problems) => {
                self.problems.lock().clone_from(&problems);
                Err(problems)
            }
        }
    }

    /// Why the files as they are now are not in use; empty when they are.
    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().clone()
    }

    /// The grammar that parsed a stored record, made from its source where the current set has it no more. `None` when
    /// that does not load.
    pub fn version(&self, name: &str, version: u64, source: &str) -> Option<Arc<Grammar>> {
        let current = self.current.load();
        if let Some(grammar) = current.grammars().iter().find(|g| g.name == name && g.version == version) {
            return Some(Arc::clone(grammar));
        }
        // The program that parsed it had another version of this parser; ours is the nearest there is.
        if source.is_empty() {
            return current.grammars().iter().find(|g| g.name == name && g.hand.is_some()).cloned();
        }
        let mut older = self.older.lock();
        let made = older.entry((name.to_owned(), version)).or_insert_with(|| match file::read(source) {
            Ok((grammar, _)) => Some(Arc::new(grammar)),
            Err(error) => {
                tracing::error!(grammar = name, %error, "a grammar of stored records does not load; they are shown without fields");
                None
            }
        });
        made.clone()
    }
}

fn read(dir: Option<&PathBuf>) -> Result<Vec<Read>, String> {
    dir.map_or_else(|| Ok(Vec::new()), |dir| file::texts(dir))
}
