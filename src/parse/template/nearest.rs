//! What a new template resembles: the nearest known one, and where the two differ.

use super::one::{Part, Piece, Template, WILDCARD};

/// A step from an older template's text to a newer one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// In both.
    Same(String),
    /// Only in the older one.
    Gone(String),
    /// Only in the newer one.
    New(String),
}

/// How alike other templates are to one. Made once, because it is asked of every template there is.
pub struct Likeness {
    /// The pieces by hash: how many there are, and whether they are words.
    wanted: Vec<(u32, u16, bool)>,
    length: usize,
    /// How many of each were met in the template being compared.
    met: Vec<u16>,
}

impl Likeness {
    pub fn with(pieces: &[Piece]) -> Self {
        let mut hashes: Vec<(u32, bool)> = pieces.iter().map(|p| (p.hash, p.part == Part::Word)).collect();
        hashes.sort_unstable();
        let mut wanted: Vec<(u32, u16, bool)> = Vec::with_capacity(hashes.len());
        for (hash, word) in hashes {
            match wanted.last_mut() {
                Some(last) if last.0 == hash => (last.1, last.2) = (last.1 + 1, last.2 || word),
                _ => wanted.push((hash, 1, word)),
            }
        }
        Self { met: vec![0; wanted.len()], wanted, length: pieces.len() }
    }

    /// From 0 to 1: the share of the longer one's pieces that the shorter one has too, in whatever order. Variables say
    /// little, so they count for nothing unless words agree.
    pub fn of(&mut self, other: &[Piece]) -> f64 {
        self.met.fill(0);
        let (mut shared, mut words_agree) = (0usize, false);
        for piece in other {
            let Ok(at) = self.wanted.binary_search_by_key(&piece.hash, |wanted| wanted.0) else { continue };
            let (_, count, word) = self.wanted[at];
            words_agree |= word && piece.part == Part::Word;
            if self.met[at] < count {
                self.met[at] += 1;
                shared += 1;
            }
        }
        if words_agree { shared as f64 / self.length.max(other.len()) as f64 } else { 0.0 }
    }
}

/// The steps from `old` to `new` by their longest common run of pieces; neighbours of a kind are one step.
///
/// Takes time and memory in proportion to the product of their lengths, which `TOKENS_MAX` bounds.
pub fn diff(old: &Template, new: &Template) -> Vec<Change> {
    let (a, b): (Vec<_>, Vec<_>) = (old.parts().collect(), new.parts().collect());
    // common[i][j]: pieces that a[i..] and b[j..] have in common, in order.
    let width = b.len() + 1;
    let mut common = vec![0u16; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i * width + j] = if a[i].0.hash == b[j].0.hash {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let mut steps = Steps::default();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i].0.hash == b[j].0.hash {
            steps.add(Change::Same, b[j]);
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || i < a.len() && common[(i + 1) * width + j] >= common[i * width + j + 1] {
            steps.add(Change::Gone, a[i]);
            i += 1;
        } else {
            steps.add(Change::New, b[j]);
            j += 1;
        }
    }
    steps.0
}

#[derive(Default)]
struct Steps(Vec<Change>);

impl Steps {
    fn add(&mut self, kind: fn(String) -> Change, (piece, text): (&Piece, &str)) {
        let text = if piece.is_variable() { WILDCARD } else { text };
        let step = kind(text.to_owned());
        match (self.0.last_mut(), step) {
            (Some(Change::Same(before)), Change::Same(text))
            | (Some(Change::Gone(before)), Change::Gone(text))
            | (Some(Change::New(before)), Change::New(text)) => {
                if !piece.glued {
                    before.push(' ');
                }
                before.push_str(&text);
            }
            (_, step) => self.0.push(step),
        }
    }
}
