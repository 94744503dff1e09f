//! Shortcuts through an automaton, which by itself must finish with one byte before it can look up the next.
//!
//! Two shapes are common enough to be worth more: a state that most bytes leave where it is (digits of a number, the
//! inside of a string), and a path of states that most texts take (a time stamp's digits and separators). In both the
//! bytes can be compared without waiting for a state: a step a byte takes a few cycles, so it takes about one.

use super::block::span;
use super::class::Class;
use super::island::AMBIGUOUS;
use super::set::Set;

/// The entry of a state that has none.
pub(super) const NO_SHORTCUT: u32 = u32::MAX;

/// The longest path, in bytes: a place is a bit of a `u32`.
const PATH_MAX: usize = 32;

/// The fewest bytes of a path worth one.
const PATH_MIN: usize = 8;

/// The fewest bytes that stay for a state to have one, and the most such states.
const STAYS_MIN: u32 = 8;
const STAYS_MAX: usize = 32;

/// The entry of the first state, if there is a path; further entries are those of states that most bytes stay in.
const ON_PATH: u32 = 0;

#[derive(Debug)]
pub(super) struct Shortcuts {
    /// For each byte, a bit for each place on the path where it leads on.
    places: Box<[u32; 256]>,
    /// The rows along the path, one more than it has places.
    path: Vec<u32>,
    stays: Vec<Class>,
}

impl Shortcuts {
    /// The shortcuts of an automaton (`rows` by their numbers), and each row's entry.
    pub(super) fn new(rows: &[&[u32]], columns: &[u8; 256]) -> (Shortcuts, Vec<u32>) {
        let mut entries = vec![NO_SHORTCUT; rows.len()];
        let mut places = Box::new([0; 256]);
        let path = path(rows, columns);
        for (place, pair) in path.windows(2).enumerate() {
            for (byte, column) in columns.iter().enumerate() {
                if rows[pair[0] as usize][usize::from(*column)] == pair[1] {
                    places[byte] |= 1 << place;
                }
            }
        }
        // Further places have none: coming back to the path in its middle, as many texts leave it again as go on.
        if path.len() > PATH_MIN {
            entries[0] = ON_PATH;
        }
        let mut stays = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            let stays_in = |byte: &u8| row[usize::from(columns[usize::from(*byte)])] == number as u32;
            let stay = (0..=u8::MAX).filter(stays_in).fold(Set::NONE, |set, byte| set.union(Set::byte(byte)));
            if stay.len() >= STAYS_MIN && stays.len() < STAYS_MAX && entries[number] == NO_SHORTCUT {
                stays.push(Class::new(stay));
                entries[number] = ON_PATH + stays.len() as u32;
            }
        }
        (Shortcuts { places, path, stays }, entries)
    }

    /// Goes on by a state's shortcut: how many bytes, and the row it led to, if another.
    #[inline]
    pub(super) fn take(&self, entry: u32, bytes: &[u8]) -> (usize, Option<u32>) {
        if entry > ON_PATH {
            return (self.stays[(entry - ON_PATH) as usize - 1].span(bytes), None);
        }
        let left = &bytes[..bytes.len().min(self.path.len() - 1)];
        let skipped = span(left, |place, byte| self.places[usize::from(byte)] >> place & 1 == 1);
        (skipped, Some(self.path[skipped]))
    }
}

/// The rows of the path that most bytes take from the first row, up to one that repeats itself.
fn path(rows: &[&[u32]], columns: &[u8; 256]) -> Vec<u32> {
    // How long a path there is from each row, up to so many steps; each round sees one step further.
    let mut lengths = vec![0_u32; rows.len()];
    for _ in 0..PATH_MAX {
        let further = |(number, row): (usize, &&[u32])| {
            let next = row.iter().filter(|next| **next < AMBIGUOUS && **next != number as u32);
            next.map(|next| lengths[*next as usize] + 1).max().unwrap_or(0)
        };
        lengths = rows.iter().enumerate().map(further).collect();
    }
    let mut widths = vec![0; rows.first().map_or(0, |row| row.len())];
    for column in columns {
        widths[usize::from(*column)] += 1;
    }
    let mut path = vec![0];
    while path.len() < PATH_MAX {
        let here = path[path.len() - 1];
        let row = rows[here as usize];
        let weight = |next: u32| -> u32 {
            row.iter().zip(&widths).filter(|(other, _)| **other == next).map(|(_, width)| *width).sum()
        };
        // A path that comes by the same row twice would be two places of one entry.
        let mut next: Vec<u32> = row.iter().copied().filter(|next| *next < AMBIGUOUS && !path.contains(next)).collect();
        next.sort_unstable();
        next.dedup();
        let Some(next) = next.into_iter().max_by_key(|next| (lengths[*next as usize], weight(*next))) else { break };
        path.push(next);
    }
    path
}
