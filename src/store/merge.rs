//! Which segments become one: few levels, so that a record is rewritten rarely.
//!
//! Each worker finishes a segment about every second. Sixteen of one level become one of the next; a level spans a
//! factor of sixteen in size, so a record of a busy day is rewritten twice, one of a quiet day up to five times. Nothing larger than
//! `docs_max` comes about: a day's end is a matter for sealing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tantivy::SegmentMeta;
use tantivy::indexer::{MergeCandidate, MergePolicy};

/// Segments of one level that make a merge.
const FAN_IN: usize = 16;
/// More than `FAN_IN` may wait when merging fell behind: then one merge takes up to this many.
const FAN_IN_MAX: usize = 24;

/// Size-tiered merging with a cap.
#[derive(Debug, Clone)]
pub struct Tiered {
    pub docs_max: u64,
    /// Docs put into merges so far: divided by the docs stored it tells how often each is rewritten.
    pub rewritten: Arc<AtomicU64>,
    /// While set, segments stand as they are.
    pub held: Arc<AtomicBool>,
}

impl Tiered {
    fn candidates(&self, sizes: &[u64]) -> Vec<Vec<usize>> {
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for (index, &docs) in sizes.iter().enumerate() {
            if docs.saturating_mul(2) > self.docs_max {
                continue;
            }
            // No floor below which all are of one level: there a merge's result would meet the small ones again.
            let level = docs.max(1).ilog2() as usize / FAN_IN.ilog2() as usize;
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            levels[level].push(index);
        }
        levels.into_iter().filter_map(|level| self.candidate(level, sizes)).collect()
    }

    /// The smallest segments of a level, as many as one merge may take; `None` while it is better to wait.
    fn candidate(&self, mut level: Vec<usize>, sizes: &[u64]) -> Option<Vec<usize>> {
        level.sort_by_key(|&index| sizes[index]);
        let mut docs = 0;
        let mut fit = 0;
        while fit < level.len().min(FAN_IN_MAX) && docs + sizes[level[fit]] <= self.docs_max {
            docs += sizes[level[fit]];
            fit += 1;
        }
        // In the top level fewer than FAN_IN reach the cap: there a full merge is one that leaves no room for another.
        let full = fit >= FAN_IN || (fit < level.len() && fit >= 2);
        full.then(|| {
            level.truncate(fit);
            level
        })
    }
}

impl MergePolicy for Tiered {
    fn compute_merge_candidates(&self, segments: &[SegmentMeta]) -> Vec<MergeCandidate> {
        if self.held.load(Ordering::Acquire) {
            return Vec::new();
        }
        let sizes: Vec<u64> = segments.iter().map(|segment| u64::from(segment.num_docs())).collect();
        let candidates = self.candidates(&sizes);
        let docs: u64 = candidates.iter().flatten().map(|&index| sizes[index]).sum();
        self.rewritten.fetch_add(docs, Ordering::Relaxed);
        let ids = |candidate: Vec<usize>| candidate.into_iter().map(|index| segments[index].id()).collect();
        candidates.into_iter().map(|candidate| MergeCandidate(ids(candidate))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Tiered {
        Tiered { docs_max: 5_000_000, rewritten: Arc::default(), held: Arc::default() }
    }

    #[test]
    fn merges_wait_for_enough_of_one_size() {
        let check = |sizes: &[u64], merges: &[usize]| {
            let counts: Vec<usize> = policy().candidates(sizes).iter().map(Vec::len).collect();
            assert_eq!(counts, merges, "{sizes:?}");
        };
        check(&[], &[]);
        check(&[50_000; 15], &[]);
        check(&[50_000; 16], &[16]);
        check(&[50_000; 40], &[24]);
        check(&[10; 16], &[16]);
        check(&[&[10; 8][..], &[50_000; 8]].concat(), &[]);
        check(&[800_000; 6], &[]);
        check(&[800_000; 7], &[6]);
        check(&[2_600_000; 20], &[]);
    }

    /// Feeds equal segments and merges at once: how often is a doc rewritten, how many segments stay?
    #[test]
    fn a_record_is_rewritten_twice_or_so() {
        for (docs, rewrites_max, segments_max) in [(50_000u64, 2.1, 60), (5_000, 3.1, 60), (100, 4.1, 60), (1, 3.1, 60)]
        {
            let (mut segments, mut written, mut rewritten) = (Vec::new(), 0u64, 0u64);
            for _ in 0..3600 {
                segments.push(docs);
                written += docs;
                while let Some(candidate) = policy().candidates(&segments).pop() {
                    let sum: u64 = candidate.iter().map(|&index| segments[index]).sum();
                    rewritten += sum;
                    let mut index = 0;
                    segments.retain(|_| {
                        index += 1;
                        !candidate.contains(&(index - 1))
                    });
                    segments.push(sum);
                }
            }
            let each = rewritten as f64 / written as f64;
            assert!(each <= rewrites_max, "{docs}: {each} rewrites");
            assert!(segments.len() <= segments_max, "{docs}: {} segments", segments.len());
        }
    }
}
