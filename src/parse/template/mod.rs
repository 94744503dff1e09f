//! Templates: which log statement a line came from, found from the lines alone, one pass, as they come.
//!
//! A line is cut into tokens ([`token`]); what is a value at first sight is masked there. Lines with the same tokens
//! have the same *shape*, and a known shape is one look-up in a table: no allocation, no comparison. A new shape is
//! compared with the templates of its *leaf* (lines with as many words and the same punctuation), where [`group`] says
//! what belongs together. Templates are only ever joined, never split: when two turn out to be one, the older id stays
//! and the other becomes its alias, so counts stay exact and an id once shown can always be resolved.
//!
//! ```text
//! line ─ header ─> tokens ─> shape ──known──> template, counted
//!                              └─new─> leaf ─> belongs to one? ─> absorbed
//!                                        └──> new template ─> joined with others?
//! ```
//!
//! The miner knows no clock, no file and no stream; the same lines in the same order give the same ids. Its state is
//! bounded by [`Limits::bytes`]; what it forgets is counted ([`Stats`]).

mod budget;
mod changes;
mod class;
mod group;
mod hash;
mod header;
mod ids;
mod nearest;
mod one;
mod registry;
mod text;
mod token;

use std::collections::HashMap;
use std::fmt;

use foldhash::fast::FixedState;

use changes::Changes;
use group::positions_to_open;
use hash::mix;
use one::{Part, Piece, Template, leaf_of};
use token::{Kind, Tokens};

pub use changes::Pending;
pub use ids::Ids;
pub use nearest::Change;
pub use one::WILDCARD;
pub use registry::LoadError;
pub use text::{Site, Text};

/// A template's number: given in the order of first sight from 1 on, never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(u64);

impl TemplateId {
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for TemplateId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl fmt::Display for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many different words make a position variable. They were set on labelled logs of eight systems; a quarter more or
/// less of any of them changes grouping accuracy by less than two hundredths (`tests/templates.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// At any position but these:
    pub words: usize,
    /// the first word of a message;
    pub words_first: usize,
    /// after a noun that announces a name (`user`, `host`).
    pub words_announced: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { words: 5, words_first: 12, words_announced: 2 }
    }
}

/// What a miner may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory for everything it remembers. The least useful templates are forgotten when it is reached.
    pub bytes: usize,
    pub rules: Rules,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, rules: Rules::default() }
    }
}

/// What a line turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// Its template's id now. It may become an alias later: see [`Miner::resolve`].
    pub id: TemplateId,
    /// This line is the template's first.
    pub new: bool,
}

/// What a miner counted since it began, restarts included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub lines: u64,
    /// Ids that became an alias of an older one.
    pub joined: u64,
    /// Templates forgotten to stay within the limit, and the lines that had been counted on them.
    pub evicted_templates: u64,
    pub evicted_lines: u64,
}

/// One template, as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub id: TemplateId,
    /// Variables are `<*>`.
    pub text: String,
    /// Lines, exactly.
    pub count: u64,
    /// The first and the last line, by their number in the order of observation, from 1.
    pub first_line: u64,
    pub last_line: u64,
    /// The earliest time a line of it was logged at: Unix nanoseconds. `None` where the caller gave no times.
    pub first_seen: Option<i64>,
    /// Up to three values of each `<*>`, in the order of the text.
    pub examples: Vec<Vec<String>>,
}

/// A line's time where the caller gives none: later than any.
const NO_TIME: i64 = i64::MAX;

#[derive(Debug)]
enum Slot {
    Live(Box<Template>),
    /// Joined with the template there.
    Moved(u32),
    /// Forgotten.
    Free,
}

/// Candidates of a leaf that a new shape is compared with, those of the last use first. It bounds the time a line can
/// take; only among so many templates of the very same punctuation could one be missed.
const CANDIDATES_MAX: usize = 256;

#[derive(Debug)]
pub struct Miner {
    limits: Limits,
    stats: Stats,
    next_id: u64,
    tokens: Tokens,
    slots: Vec<Slot>,
    /// Of all live templates.
    template_bytes: usize,
    /// Slot by shape.
    shapes: HashMap<u64, u32, FixedState>,
    /// Slots by leaf, the most recently used last.
    leaves: HashMap<u64, Vec<u32>, FixedState>,
    /// Slot by log statement.
    sites: HashMap<u64, u32, FixedState>,
    /// Slot by id.
    ids: HashMap<u64, u32, FixedState>,
    /// The older id, by the id that became its alias.
    aliases: HashMap<u64, u64, FixedState>,
    /// What is not saved yet; `None` where nobody saves it.
    changes: Option<Changes>,
}

impl Miner {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            stats: Stats::default(),
            next_id: 1,
            tokens: Tokens::default(),
            slots: Vec::new(),
            template_bytes: 0,
            shapes: HashMap::default(),
            leaves: HashMap::default(),
            sites: HashMap::default(),
            ids: HashMap::default(),
            aliases: HashMap::default(),
            changes: None,
        }
    }

    /// Takes in a line, or a message whose header was parsed already.
    pub fn observe(&mut self, text: &str) -> Observed {
        self.observe_in(None, text, header::end(text), NO_TIME)
    }

    /// Takes in a message whose log statement is known (klog's `file:line`): all messages of one site are one template,
    /// whatever they look like.
    pub fn observe_at(&mut self, site: &str, text: &str) -> Observed {
        self.observe_in(Some(hash::hash_word(site.as_bytes())), text, 0, NO_TIME)
    }

    /// Takes in what is mined of a record, logged at `at` (Unix nanoseconds).
    pub fn observe_text(&mut self, text: &Text<'_>, at: i64) -> Observed {
        match text.site {
            Some(Site(site)) => self.observe_in(Some(site), text.text, 0, at),
            None => self.observe_in(None, text.text, header::end(text.text), at),
        }
    }

    /// The template that a record's text has, without taking it in; `None` where it would be a new one.
    pub fn known(&self, text: &Text<'_>) -> Option<TemplateId> {
        let (site, from) = match text.site {
            Some(Site(site)) => (Some(site), 0),
            None => (None, header::end(text.text)),
        };
        let mut tokens = Tokens::default();
        tokens.read(text.text, from);
        let shape = site.map_or(tokens.shape(), |site| mix(site, tokens.shape()));
        let slot = match (self.shapes.get(&shape), site) {
            (Some(slot), _) => *slot,
            (None, Some(site)) => *self.sites.get(&site)?,
            (None, None) => {
                let (leaf, at) = self.place_of(&tokens)?;
                self.leaves.get(&leaf)?[at]
            }
        };
        self.template_at(self.follow(slot)).map(|template| template.id)
    }

    fn observe_in(&mut self, site: Option<u64>, text: &str, from: usize, at: i64) -> Observed {
        self.stats.lines += 1;
        let mut tokens = std::mem::take(&mut self.tokens);
        tokens.read(text, from);
        let shape = site.map_or(tokens.shape(), |site| mix(site, tokens.shape()));
        let known = self.known_shape(shape);
        let (slot, new) = match known {
            Some(slot) => (slot, false),
            None => self.learn(site, shape, text, &tokens),
        };
        let id = self.count(slot, text, &tokens, at);
        if known.is_none() {
            self.keep_within_limit();
        }
        self.tokens = tokens;
        Observed { id, new }
    }

    /// Counts a line on the template in `slot`.
    fn count(&mut self, slot: u32, text: &str, tokens: &Tokens, at: i64) -> TemplateId {
        let line = self.stats.lines;
        // A slot that was found holds a template.
        let Some(Slot::Live(template)) = self.slots.get_mut(slot as usize) else { return TemplateId(0) };
        template.count += 1;
        template.last_line = line;
        let id = template.id;
        let earlier = at < template.first_seen;
        template.first_seen = template.first_seen.min(at);
        // Examples come from the lines 1, 2, 4 … 64, so that most lines need not look for any.
        if template.count.is_power_of_two() && template.count <= 64 {
            self.change(slot, |template| template.add_examples(text, tokens.list()));
        } else if earlier {
            self.mark_template(id.0);
        }
        id
    }

    /// Changes a template, and keeps the books of its memory.
    fn change(&mut self, slot: u32, change: impl FnOnce(&mut Template)) {
        if let Some(Slot::Live(template)) = self.slots.get_mut(slot as usize) {
            self.template_bytes -= template.bytes();
            change(template);
            self.template_bytes += template.bytes();
            let id = template.id.0;
            self.mark_template(id);
        }
    }

    /// The slot that a template has moved to.
    fn follow(&self, mut slot: u32) -> u32 {
        while let Some(Slot::Moved(to)) = self.slots.get(slot as usize) {
            slot = *to;
        }
        slot
    }

    fn known_shape(&mut self, shape: u64) -> Option<u32> {
        let slot = self.shapes.get_mut(&shape)?;
        while let Some(Slot::Moved(to)) = self.slots.get(*slot as usize) {
            *slot = *to;
        }
        Some(*slot)
    }

    /// Finds or makes the template of a shape not seen before.
    fn learn(&mut self, site: Option<u64>, shape: u64, line: &str, tokens: &Tokens) -> (u32, bool) {
        let found = match site {
            Some(site) => self.sites.get(&site).copied(),
            None => self.find(tokens),
        };
        let (slot, new) = match found {
            Some(slot) => {
                self.change(slot, |template| template.absorb(line, tokens.list()));
                (slot, false)
            }
            None => {
                let id = TemplateId(self.next_id);
                self.next_id += 1;
                let slot = self.add(Template::new(id, site, shape, line, tokens.list(), self.stats.lines));
                (slot, true)
            }
        };
        let slot = if site.is_none() { self.join(slot) } else { slot };
        self.shapes.insert(shape, slot);
        if let Some(changes) = &mut self.changes {
            changes.shape(shape);
        }
        // What was joined with an older template is not new.
        let new = new && self.template_at(slot).is_some_and(|template| template.count == 0);
        (slot, new)
    }

    /// The template a new shape belongs to; it becomes the most recently used of its leaf.
    fn find(&mut self, tokens: &Tokens) -> Option<u32> {
        let (leaf, at) = self.place_of(tokens)?;
        let slots = self.leaves.get_mut(&leaf)?;
        let last = slots.len() - 1;
        slots.swap(at, last);
        slots.last().copied()
    }

    /// The leaf and the place in it of the template a new shape belongs to.
    fn place_of(&self, tokens: &Tokens) -> Option<(u64, usize)> {
        let list = tokens.list();
        let leaf = leaf_of(list.iter().map(|token| (token.kind == Kind::Punct).then_some(one::fold(token.hash))));
        let slots = self.leaves.get(&leaf)?;
        let line: Vec<Piece> = list.iter().map(Piece::of).collect();
        let belongs = |slot: &u32| match &self.slots[*slot as usize] {
            Slot::Live(template) => group::belongs(template, &line),
            Slot::Moved(_) | Slot::Free => false,
        };
        Some((leaf, slots.len() - 1 - slots.iter().rev().take(CANDIDATES_MAX).position(belongs)?))
    }

    fn add(&mut self, template: Template) -> u32 {
        let slot = self.slots.len() as u32;
        self.ids.insert(template.id.0, slot);
        self.template_bytes += template.bytes();
        self.mark_template(template.id.0);
        match template.site {
            Some(site) => drop(self.sites.insert(site, slot)),
            None => self.leaves.entry(template.leaf()).or_default().push(slot),
        }
        self.slots.push(Slot::Live(Box::new(template)));
        slot
    }

    fn template_at(&self, slot: u32) -> Option<&Template> {
        match self.slots.get(slot as usize)? {
            Slot::Live(template) => Some(template),
            Slot::Moved(_) | Slot::Free => None,
        }
    }

    /// Joins what belongs together since `slot` was made or changed; gives the slot that is left.
    fn join(&mut self, mut slot: u32) -> u32 {
        // Each round leaves at least one template less.
        while let Some(next) = self.join_once(slot) {
            slot = next;
        }
        slot
    }

    fn join_once(&mut self, slot: u32) -> Option<u32> {
        let template = self.template_at(slot)?;
        let leaf = template.leaf();
        let candidates: Vec<u32> =
            self.leaves.get(&leaf)?.iter().rev().filter(|s| **s != slot).take(CANDIDATES_MAX).copied().collect();
        let others: Vec<&Template> = candidates.iter().filter_map(|s| self.template_at(*s)).collect();
        let join = group::find_join(&self.limits.rules, template, &others)?;
        let mut group: Vec<u32> = join.with.iter().map(|at| candidates[*at]).collect();
        group.push(slot);
        group.sort_unstable_by_key(|slot| self.template_at(*slot).map(|template| template.id));
        let (kept, rest) = group.split_first()?;
        let members: Vec<&Template> = rest.iter().filter_map(|slot| self.template_at(*slot)).collect();
        let open = positions_to_open(self.template_at(*kept)?, &members);
        for slot in rest {
            self.absorb_slot(*kept, *slot, leaf, &open);
        }
        Some(*kept)
    }

    /// Makes the template in `slot` an alias of the older one in `kept`.
    fn absorb_slot(&mut self, kept: u32, slot: u32, leaf: u64, open: &[(usize, Part)]) {
        let Slot::Live(gone) = std::mem::replace(&mut self.slots[slot as usize], Slot::Moved(kept)) else { return };
        if let Some(slots) = self.leaves.get_mut(&leaf) {
            slots.retain(|s| *s != slot);
        }
        self.ids.remove(&gone.id.0);
        self.template_bytes -= gone.bytes();
        if let Some(template) = self.template_at(kept) {
            let older = template.id.0;
            self.aliases.insert(gone.id.0, older);
            self.stats.joined += 1;
            if let Some(changes) = &mut self.changes {
                changes.alias(gone.id.0);
            }
        }
        self.change(kept, |template| {
            template.open(open);
            template.take_over(&gone);
        });
    }

    /// The id that stands for `id` now: itself, or the older one it was joined with.
    pub fn resolve(&self, id: TemplateId) -> TemplateId {
        TemplateId(self.resolve_id(id.0))
    }

    fn resolve_id(&self, mut id: u64) -> u64 {
        while let Some(older) = self.aliases.get(&id) {
            id = *older;
        }
        id
    }

    /// The template most like this one among those that were known before it, and the steps from its text to this one's;
    /// none where none shares a word. Looks at all templates: for what is shown to a person, not for every line.
    pub fn nearest(&self, id: TemplateId) -> Option<(TemplateId, Vec<Change>)> {
        let template = self.template_at(*self.ids.get(&self.resolve(id).0)?)?;
        let older = self.slots.iter().filter_map(|slot| match slot {
            Slot::Live(other) if other.id < template.id => Some(&**other),
            _ => None,
        });
        let mut likeness = nearest::Likeness::with(&template.pieces);
        let (_, nearest) = older
            .map(|other| (likeness.of(&other.pieces), other))
            .filter(|(likeness, _)| *likeness > 0.0)
            .max_by(|(a, x), (b, y)| a.total_cmp(b).then(y.id.cmp(&x.id)))?;
        Some((nearest.id, nearest::diff(nearest, template)))
    }

    /// The template of an id or of an alias; none if it was forgotten or never given.
    pub fn template(&self, id: TemplateId) -> Option<View> {
        let template = self.template_at(*self.ids.get(&self.resolve(id).0)?)?;
        let variables = template.pieces.iter().enumerate().filter(|(_, piece)| piece.is_variable());
        Some(View {
            id: template.id,
            text: template.render(),
            count: template.count,
            first_line: template.first_line,
            last_line: template.last_line,
            first_seen: (template.first_seen != NO_TIME).then_some(template.first_seen),
            examples: variables
                .map(|(at, _)| template.examples_of(at).into_iter().map(str::to_owned).collect())
                .collect(),
        })
    }

    /// Ids of all templates, in the order of their first lines.
    pub fn ids(&self) -> Vec<TemplateId> {
        let mut ids: Vec<TemplateId> = self.ids.keys().copied().map(TemplateId).collect();
        ids.sort_unstable();
        ids
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }
}

#[cfg(test)]
mod tests;
