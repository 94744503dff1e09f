//! What the miner's memory is, and what goes when it is full.

use super::one::Template;
use super::{Miner, Slot};

/// Bytes of the tables' entries for one template: its slot, its id, its place in a leaf, the leaf; measured with 100,000
/// templates, and rounded up.
const ENTRY_BYTES: usize = 176;
/// Bytes of an entry of the tables of shapes and of aliases.
const PAIR_BYTES: usize = 20;

impl Miner {
    /// Bytes of memory in use, counted from what is stored (the allocator's own waste is not in it).
    pub fn bytes(&self) -> usize {
        self.template_bytes
            + self.ids.len() * ENTRY_BYTES
            + self.slots.len() * size_of::<Slot>()
            + self.shapes.capacity() * PAIR_BYTES
            + self.aliases.capacity() * PAIR_BYTES
    }

    /// Forgets what is least useful, if the limit is passed: first the shapes that templates can find again without,
    /// then old aliases, then templates.
    pub(super) fn keep_within_limit(&mut self) {
        if self.bytes() <= self.limits.bytes {
            return;
        }
        if let Some(changes) = &mut self.changes {
            changes.everything();
        }
        self.forget_shapes();
        self.forget_aliases();
        // An eighth more than needed, so that it is not needed for each new template.
        let target = self.limits.bytes - self.limits.bytes / 8;
        if self.bytes() > target {
            self.forget_templates(target);
        }
        self.compact();
    }

    /// Keeps one shape a template, its first line's. Other lines find their way by comparison.
    fn forget_shapes(&mut self) {
        self.shapes.clear();
        for (slot, entry) in self.slots.iter().enumerate() {
            if let Slot::Live(template) = entry {
                self.shapes.insert(template.shape, slot as u32);
            }
        }
        self.shapes.shrink_to_fit();
    }

    /// Aliases may take an eighth of the memory; the oldest half goes when they take more.
    fn forget_aliases(&mut self) {
        if self.aliases.len() * PAIR_BYTES > self.limits.bytes / 8 {
            let mut ids: Vec<u64> = self.aliases.keys().copied().collect();
            let middle = ids.len() / 2;
            let (_, median, _) = ids.select_nth_unstable(middle);
            let oldest_kept = *median;
            self.aliases.retain(|alias, _| *alias >= oldest_kept);
            self.aliases.shrink_to_fit();
        }
    }

    /// Forgets templates until `target` bytes are left, those with the fewest lines for the time since the last one
    /// first; the younger one of two that are equal.
    fn forget_templates(&mut self, target: usize) {
        let now = self.stats.lines;
        let usefulness = |template: &Template| template.count as f64 / (now - template.last_line + 1) as f64;
        let mut order: Vec<(f64, u64, u32)> = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(slot, entry)| match entry {
                Slot::Live(template) => Some((usefulness(template), u64::MAX - template.id.0, slot as u32)),
                Slot::Moved(_) | Slot::Free => None,
            })
            .collect();
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, _, slot) in order {
            if self.bytes() <= target {
                break;
            }
            if let Slot::Live(template) = std::mem::replace(&mut self.slots[slot as usize], Slot::Free) {
                self.stats.evicted_templates += 1;
                self.stats.evicted_lines += template.count;
                self.template_bytes -= template.bytes();
                self.ids.remove(&template.id.0);
                self.shapes.remove(&template.shape);
            }
        }
    }

    /// Drops slots without a template, and all that points to a template that is gone.
    fn compact(&mut self) {
        let mut moved = vec![None; self.slots.len()];
        let mut next = 0u32;
        for (slot, entry) in self.slots.iter().enumerate() {
            if let Slot::Live(_) = entry {
                moved[slot] = Some(next);
                next += 1;
            }
        }
        let targets: Vec<u32> = (0..self.slots.len() as u32).map(|slot| self.follow(slot)).collect();
        let place = |slot: &mut u32| {
            let to = targets.get(*slot as usize).and_then(|target| moved[*target as usize]);
            *slot = to.unwrap_or_default();
            to.is_some()
        };
        self.shapes.retain(|_, slot| place(slot));
        self.sites.retain(|_, slot| place(slot));
        self.ids.retain(|_, slot| place(slot));
        self.leaves.retain(|_, slots| {
            slots.retain_mut(place);
            !slots.is_empty()
        });
        self.slots.retain(|entry| matches!(entry, Slot::Live(_)));
        self.slots.shrink_to_fit();
        let gone: Vec<u64> =
            self.aliases.keys().filter(|id| !self.ids.contains_key(&self.resolve_id(**id))).copied().collect();
        for id in gone {
            self.aliases.remove(&id);
        }
    }
}
