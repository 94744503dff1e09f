//! What a miner learnt since it was last saved, so that a save costs what changed and not what is known.
//!
//! A change is a state, not an event: the whole template as it is now, where a shape leads now. So it does not matter how
//! often or in which order templates changed in between, and taking a change in twice is taking it in once.
//!
//! ```text
//! next_id lines joined evicted_templates evicted_lines : u64 each
//! count:u32 template…                 as in a registry, those that are new or say something else now
//! count:u32 (alias:u64 older:u64)…    templates that are no more
//! count:u32 (shape:u64 id:u64)…       new shapes, and the template each belongs to
//! ```
//!
//! Lines that are counted and change nothing else are no change; so a count that was read back may be lower than it was.

use std::collections::HashSet;

use foldhash::fast::FixedState;

use super::registry::{Body, LoadError, read_stats, read_template, write_stats, write_template};
use super::{Limits, Miner, Slot};

/// What to write so that this miner can be had back.
#[derive(Debug, PartialEq, Eq)]
pub enum Pending {
    /// All is saved.
    Nothing,
    /// For [`Miner::apply`] on a miner of the last save.
    Changes(Vec<u8>),
    /// Too much changed, or nothing was saved before: as [`Miner::save`] writes it.
    Everything(Vec<u8>),
}

#[derive(Debug, Default)]
pub struct Changes {
    templates: HashSet<u64, FixedState>,
    shapes: Vec<u64>,
    aliases: Vec<u64>,
    everything: bool,
}

impl Changes {
    pub fn template(&mut self, id: u64) {
        if !self.everything {
            self.templates.insert(id);
        }
    }

    pub fn shape(&mut self, shape: u64) {
        if !self.everything {
            self.shapes.push(shape);
        }
    }

    pub fn alias(&mut self, id: u64) {
        if !self.everything {
            self.aliases.push(id);
        }
    }

    /// What was forgotten stands in no change.
    pub fn everything(&mut self) {
        *self = Self { everything: true, ..Self::default() };
    }

    fn is_empty(&self) -> bool {
        !self.everything && self.templates.is_empty() && self.shapes.is_empty() && self.aliases.is_empty()
    }
}

impl Miner {
    /// From now on remembers what is to be saved; `everything`: nothing is saved yet.
    pub fn track(&mut self, everything: bool) {
        self.changes = Some(Changes { everything, ..Changes::default() });
    }

    pub(super) fn mark_template(&mut self, id: u64) {
        if let Some(changes) = &mut self.changes {
            changes.template(id);
        }
    }

    /// What is to be saved. The caller has it now: if it cannot save it, it calls [`Miner::track`] with `true`.
    ///
    /// Only where [`Miner::track`] was called before; else always [`Pending::Nothing`].
    pub fn take_pending(&mut self) -> Pending {
        let Some(changes) = self.changes.take_if(|changes| !changes.is_empty()) else { return Pending::Nothing };
        self.changes = Some(Changes::default());
        if changes.everything { Pending::Everything(self.saved()) } else { Pending::Changes(self.encode(changes)) }
    }

    /// [`Miner::save`] into memory.
    pub fn saved(&self) -> Vec<u8> {
        let mut saved = Vec::new();
        // Writing to memory cannot fail.
        let _ = self.save(&mut saved);
        saved
    }

    fn encode(&self, changes: Changes) -> Vec<u8> {
        let mut body = Vec::new();
        write_stats(&mut body, self);
        let mut ids: Vec<u64> = changes.templates.into_iter().filter(|id| self.ids.contains_key(id)).collect();
        ids.sort_unstable();
        body.extend((ids.len() as u32).to_le_bytes());
        for template in ids.iter().filter_map(|id| self.template_at(*self.ids.get(id)?)) {
            write_template(&mut body, template);
        }
        let pairs = |body: &mut Vec<u8>, pairs: Vec<(u64, u64)>| {
            body.extend((pairs.len() as u32).to_le_bytes());
            for (from, to) in pairs {
                body.extend(from.to_le_bytes());
                body.extend(to.to_le_bytes());
            }
        };
        let aliases = changes.aliases.iter().filter_map(|alias| Some((*alias, *self.aliases.get(alias)?)));
        pairs(&mut body, aliases.collect());
        let shapes = changes.shapes.iter().filter_map(|shape| {
            let slot = self.follow(*self.shapes.get(shape)?);
            Some((*shape, self.template_at(slot)?.id.0))
        });
        pairs(&mut body, shapes.collect());
        body
    }

    /// Takes in the changes of [`Pending::Changes`], in the order they were taken. After an error the miner is half changed: drop it.
    pub fn apply(&mut self, changes: &[u8]) -> Result<(), LoadError> {
        let mut body = Body { bytes: changes, at: 0 };
        let body = &mut body;
        read_stats(body, self)?;
        for _ in 0..body.u32()? {
            let template = read_template(body)?;
            let id = template.id.0;
            if id >= self.next_id || self.aliases.contains_key(&id) {
                return Err(body.damaged());
            }
            match self.ids.get(&id).copied() {
                None => _ = self.add(template),
                Some(slot) => {
                    let same = |old: &super::Template| {
                        old.site == template.site && (old.site.is_some() || old.leaf() == template.leaf())
                    };
                    if !self.template_at(slot).is_some_and(same) {
                        return Err(body.damaged());
                    }
                    self.change(slot, |old| *old = template);
                }
            }
        }
        let mut gone = Vec::new();
        for _ in 0..body.u32()? {
            let (alias, older) = (body.u64()?, body.u64()?);
            // Older, or resolving could go in circles.
            if older >= alias {
                return Err(body.damaged());
            }
            self.aliases.insert(alias, older);
            gone.push(alias);
        }
        for alias in gone {
            let kept = self.ids.get(&self.resolve_id(alias)).copied().ok_or(body.damaged())?;
            // One that came and went between two saves was never there.
            if let Some(slot) = self.ids.remove(&alias) {
                self.move_slot(slot, kept);
            }
        }
        for _ in 0..body.u32()? {
            let (shape, id) = (body.u64()?, body.u64()?);
            let slot = *self.ids.get(&self.resolve_id(id)).ok_or(body.damaged())?;
            self.shapes.insert(shape, slot);
        }
        if body.at == body.bytes.len() { Ok(()) } else { Err(body.damaged()) }
    }

    fn move_slot(&mut self, slot: u32, kept: u32) {
        if slot == kept {
            return;
        }
        if let Slot::Live(gone) = std::mem::replace(&mut self.slots[slot as usize], Slot::Moved(kept)) {
            self.template_bytes -= gone.bytes();
            if let Some(slots) = self.leaves.get_mut(&gone.leaf()) {
                slots.retain(|s| *s != slot);
            }
        }
    }

    /// Sets other limits; what is beyond them is forgotten at once.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
        self.keep_within_limit();
    }

    /// Gives no id up to `id` any more: some record has it, though this miner may not know.
    pub fn never_below(&mut self, id: u64) {
        if self.next_id <= id {
            self.next_id = id + 1;
            // The next save says so.
            if let Some(changes) = &mut self.changes {
                changes.everything();
            }
        }
    }

    /// The ids that became aliases, with the one that stands for each.
    pub fn settled(&self) -> impl Iterator<Item = (u64, u64)> {
        self.aliases.keys().map(|id| (*id, self.resolve_id(*id)))
    }

    /// Ids given so far.
    pub fn given(&self) -> u64 {
        self.next_id - 1
    }

    /// Templates it knows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::template::{Observed, TemplateId};

    /// Words without digits, so that nothing but the rules of joining makes them variable.
    fn word(number: u64) -> String {
        format!("q{number}").bytes().map(|b| if b.is_ascii_digit() { (b - b'0' + b'a') as char } else { 'q' }).collect()
    }

    /// Statements of which some are joined over time.
    fn lines(from: u64, to: u64) -> impl Iterator<Item = String> {
        (from..to).map(|n| match n % 5 {
            0 => format!("opened volume {} of {} in {n} ms", word(n % 31), word(n * n % 17)),
            1 => format!("bye user {}", word(n)),
            2 => format!("{}: cannot reach 10.0.0.{} ({})", word(n % 7), n % 250, word(n % 3)),
            3 => format!("pool is {}", if n % 2 == 0 { "5".to_owned() } else { word(n) }),
            _ => format!("beat of the leader {n}"),
        })
    }

    fn tracked(limits: Limits) -> (Miner, Miner) {
        let mut miner = Miner::new(limits);
        miner.track(true);
        (miner, Miner::new(limits))
    }

    /// Brings `copy` up to date, as a disk would.
    fn save(miner: &mut Miner, copy: &mut Miner, limits: Limits) -> usize {
        match miner.take_pending() {
            Pending::Nothing => 0,
            Pending::Changes(body) => {
                copy.apply(&body).unwrap();
                body.len()
            }
            Pending::Everything(saved) => {
                *copy = Miner::load(&saved[..], limits).unwrap();
                saved.len()
            }
        }
    }

    fn same(miner: &mut Miner, copy: &mut Miner, until: u64, limits: Limits) {
        assert_eq!(copy.ids(), miner.ids());
        for id in miner.ids() {
            let (a, b) = (miner.template(id).unwrap(), copy.template(id).unwrap());
            assert_eq!((&a.text, a.first_seen, &a.examples), (&b.text, b.first_seen, &b.examples));
        }
        for id in 1..=miner.given() {
            assert_eq!(copy.resolve(TemplateId::from(id)), miner.resolve(TemplateId::from(id)));
        }
        // Every line so far finds its template again, in a miner that was read back.
        let mut back = Miner::load(&copy.saved()[..], limits).unwrap();
        let mut original = Miner::load(&miner.saved()[..], limits).unwrap();
        for line in lines(0, until) {
            let (found, expected) = (back.observe(&line), original.observe(&line));
            assert_eq!(found, Observed { new: false, ..expected }, "{line}");
        }
    }

    #[test]
    fn what_changed_is_enough_to_follow() {
        let limits = Limits::default();
        let (mut miner, mut copy) = tracked(limits);
        for step in 0..20 {
            lines(step * 40, step * 40 + 40).for_each(|line| _ = miner.observe(&line));
            miner.observe_at("lease.go:223", &format!("reset {step} {}", word(step)));
            assert!(save(&mut miner, &mut copy, limits) > 0);
            same(&mut miner, &mut copy, step * 40 + 40, limits);
        }
        assert!(miner.stats().joined > 20, "{:?}", miner.stats());
    }

    #[test]
    fn lines_that_teach_nothing_change_nothing() {
        let limits = Limits::default();
        let (mut miner, mut copy) = tracked(limits);
        for _ in 0..64 {
            lines(0, 200).for_each(|line| _ = miner.observe(&line));
        }
        save(&mut miner, &mut copy, limits);
        lines(0, 200).for_each(|line| _ = miner.observe(&line));
        assert_eq!(miner.take_pending(), Pending::Nothing);
        miner.observe("brand new");
        assert!(matches!(miner.take_pending(), Pending::Changes(body) if body.len() < 300));
        // Nobody saves this one.
        let mut untracked = Miner::new(limits);
        untracked.observe("brand new");
        assert_eq!(untracked.take_pending(), Pending::Nothing);
    }

    #[test]
    fn what_was_forgotten_is_saved_as_everything() {
        let limits = Limits { bytes: 128 << 10, ..Limits::default() };
        let (mut miner, mut copy) = tracked(limits);
        for step in 0..30u64 {
            for n in 0..40 {
                let n = step * 40 + n;
                miner.observe(&format!("{} {} {} {}", word(n), word(n * 7), word(n * 31), " :".repeat(n as usize % 5)));
            }
            save(&mut miner, &mut copy, limits);
            assert_eq!(copy.ids(), miner.ids());
        }
        assert!(miner.stats().evicted_templates > 100, "{:?}", miner.stats());
    }

    #[test]
    fn an_earlier_line_moves_the_first_time() {
        let limits = Limits::default();
        let (mut miner, mut copy) = tracked(limits);
        let at = |miner: &mut Miner, at| {
            miner.observe_text(&crate::parse::template::Text { text: "hello there", site: None }, at).id
        };
        let id = at(&mut miner, 500);
        save(&mut miner, &mut copy, limits);
        for (time, first) in [(900, 500), (300, 300), (400, 300)] {
            assert_eq!(at(&mut miner, time), id);
            save(&mut miner, &mut copy, limits);
            assert_eq!(copy.template(id).unwrap().first_seen, Some(first));
        }
    }

    #[test]
    fn ids_are_never_given_below_what_records_hold() {
        let mut miner = Miner::new(Limits::default());
        miner.never_below(41);
        assert_eq!(miner.observe("a").id.get(), 42);
        miner.never_below(7);
        assert_eq!(miner.observe("b c").id.get(), 43);
    }

    #[test]
    fn senseless_changes_are_refused() {
        let limits = Limits::default();
        let mut miner = Miner::new(limits);
        miner.track(false);
        lines(0, 60).for_each(|line| _ = miner.observe(&line));
        let Pending::Changes(body) = miner.take_pending() else { panic!() };
        for cut in 0..body.len() {
            assert!(Miner::new(limits).apply(&body[..cut]).is_err(), "cut at {cut}");
        }
        let mut refused = 0;
        for at in 0..body.len() {
            let mut damaged = body.clone();
            damaged[at] ^= 0x81;
            let mut copy = Miner::new(limits);
            // Whatever gets in must not break anything later.
            match copy.apply(&damaged) {
                Err(_) => refused += 1,
                Ok(()) => lines(0, 60).for_each(|line| _ = copy.observe(&line)),
            }
        }
        assert!(refused > 100, "{refused}");
    }
}
