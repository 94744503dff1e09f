//! Field names as numbers: given once, the same for all threads of a process, never taken back.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use parking_lot::RwLock;

use crate::record::{Field, PATH_SEPARATOR};

/// A field's name within one process. What is saved holds the name itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(pub u32);

impl Default for NameId {
    /// No name: what a loaded state has until names are given anew.
    fn default() -> Self {
        Self(u32::MAX)
    }
}

/// More different names than this are not watched: lines whose keys are values would fill memory with them.
const NAMES_MAX: usize = 20_000;

/// All names seen so far.
#[derive(Debug, Default)]
pub struct Names(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ids: HashMap<Arc<str>, NameId, FixedState>,
    names: Vec<Arc<str>>,
}

impl Names {
    /// The number of a dotted name; none when there are too many names.
    pub fn id(&self, name: &str) -> Option<NameId> {
        if let Some(id) = self.0.read().ids.get(name) {
            return Some(*id);
        }
        let mut inner = self.0.write();
        if let Some(id) = inner.ids.get(name) {
            return Some(*id);
        }
        if inner.names.len() >= NAMES_MAX {
            return None;
        }
        let (id, name) = (NameId(inner.names.len() as u32), Arc::<str>::from(name));
        inner.names.push(Arc::clone(&name));
        inner.ids.insert(name, id);
        Some(id)
    }

    /// The name of a number that [`Names::id`] gave; empty for any other.
    pub fn name(&self, id: NameId) -> Arc<str> {
        self.0.read().names.get(id.0 as usize).cloned().unwrap_or_default()
    }
}

/// One thread's memory of [`Names`]: no lock for what it has asked before.
///
/// Lines of one format have the same fields in the same order, so the name that stood at this place last time is
/// compared first.
#[derive(Debug, Default)]
pub struct NameCache {
    places: Vec<(Box<str>, Option<NameId>)>,
    known: HashMap<Box<str>, Option<NameId>, FixedState>,
}

/// Places beyond this are looked up; a record has some twenty fields.
const PLACES_MAX: usize = 64;

impl NameCache {
    /// The number of the name of the `place`th field of a record.
    #[inline]
    pub fn id(&mut self, names: &Names, place: usize, field: &Field<'_>) -> Option<NameId> {
        if let Some((name, id)) = self.places.get(place)
            && **name == *field.name
        {
            return *id;
        }
        let id = self.named(names, &field.name);
        if place < PLACES_MAX {
            if self.places.len() <= place {
                self.places.resize_with(place + 1, Default::default);
            }
            self.places[place] = (Box::from(&*field.name), id);
        }
        id
    }

    /// The number of a name that stands at no place of its own.
    pub fn named(&mut self, names: &Names, name: &str) -> Option<NameId> {
        if let Some(id) = self.known.get(name) {
            return *id;
        }
        let dotted = if name.contains(PATH_SEPARATOR) { name.replace(PATH_SEPARATOR, ".") } else { name.to_owned() };
        let id = names.id(&dotted);
        if self.known.len() < NAMES_MAX {
            self.known.insert(name.into(), id);
        }
        id
    }
}
