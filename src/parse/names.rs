//! Names that live as long as the program: of grammars and of their fields.
//!
//! A record's fields name themselves by borrowing. Grammar files come and go while the program runs, records of a day
//! do not, so what a file names is kept. Each name is kept once, so that reading the same files again adds nothing.

use std::collections::HashSet;

use parking_lot::Mutex;

static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// The name, for ever.
pub(super) fn intern(name: &str) -> &'static str {
    let mut names = NAMES.lock();
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name) {
        return known;
    }
    let kept: &'static str = Box::leak(name.into());
    names.insert(kept);
    kept
}
