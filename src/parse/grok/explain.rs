//! Why a text does not match: how far the pattern came, and which piece of it could go no further.
//!
//! The pattern is a sequence of pieces. The longest beginning of that sequence that matches somewhere in the text is
//! looked for by halving; where its first way through the text ends, the next piece failed. (Not the furthest of all
//! ways: a piece like `%{DATA}` can nearly always be stretched over what is wrong.) A failed piece that itself names fields is opened, and the same question asked inside it. Slow, and done
//! only when somebody asks.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use regex_automata::Input;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_syntax::hir::{Hir, HirKind, Look};
use xxhash_rust::xxh3::Xxh3;

use super::expand::Piece;
use super::library::Library;
use super::step::{Step, expand_steps};
use super::translate;
use super::tree::Kind;

/// Longer texts are explained by their beginning.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Pieces opened one inside the other.
const OPENED_MAX: usize = 20;

/// Bytes of the compiled beginning of a pattern.
const NFA_BYTES_MAX: usize = 16 << 20;

/// Beginnings kept compiled.
const COMPILED_MAX: usize = 256;

/// How far a pattern came.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// The pattern, as it was given.
    pub pattern: String,
    /// Where the piece failed: bytes from the start of the text.
    pub offset: usize,
    /// The piece, as its author wrote it: `%{INT:code}`, or the text that should have stood there.
    pub atom: String,
    /// The definition that holds the piece; `None` for the pattern itself.
    pub definition: Option<String>,
}

/// Explains one pattern's failures. What it works out of the pattern is kept, so that the second text costs
/// microseconds.
pub struct Explainer {
    library: Arc<Library>,
    pattern: String,
    steps: Option<Vec<Step>>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// By [`key`]; `None` where a beginning does not compile.
    compiled: HashMap<u128, Option<(DFA, Cache)>>,
    branches: HashMap<u128, Arc<[Vec<Step>]>>,
}

impl std::fmt::Debug for Explainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Explainer").field(&self.pattern).finish()
    }
}

impl Explainer {
    pub fn new(library: Arc<Library>, pattern: &str) -> Self {
        let steps = Step::whole(pattern).ok().map(Step::opened);
        Self { library, pattern: pattern.to_owned(), steps, memory: Mutex::default() }
    }

    /// Explains why `text` does not match. `None` where every piece matches one after the other, or where the pattern
    /// does not compile; a pattern whose look-around forbids the match is such a case.
    pub fn explain(&self, text: &str) -> Option<Explanation> {
        let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
        let memory = &mut *self.memory.lock();
        let mut steps = self.steps.clone()?;
        for _ in 0..OPENED_MAX {
            let (passed, offset) = self.passed(memory, &steps, text)?;
            let failed = steps.get(passed)?;
            let inner = memory.branches.entry(key(std::slice::from_ref(failed)));
            let inner = Arc::clone(inner.or_insert_with(|| branches(&self.library, failed).into()));
            // Of alternatives, the one that comes furthest is the one that was meant.
            let furthest = inner.iter().filter_map(|branch| {
                let mut longer = steps[..passed].to_vec();
                longer.extend_from_slice(branch);
                let (passed, offset) = self.passed(memory, &longer, text)?;
                (passed < longer.len()).then_some((offset, passed, longer))
            });
            match furthest.max_by_key(|(offset, passed, _)| (*offset, *passed)) {
                Some((_, _, longer)) => steps = longer,
                None => return Some(described(&self.pattern, &steps, passed, offset)),
            }
        }
        None
    }

    /// How many steps from the first can match one after the other, and where that ends.
    fn passed(&self, memory: &mut Memory, steps: &[Step], text: &str) -> Option<(usize, usize)> {
        let (mut least, mut most, mut end) = (0, steps.len(), 0);
        // The empty beginning always matches; it is tried at every place, the first of which counts.
        while least < most {
            let middle = least + (most - least).div_ceil(2);
            match self.first_end(memory, &steps[..middle], text)? {
                Some(at) => (least, end) = (middle, at),
                None => most = middle - 1,
            }
        }
        Some((least, end))
    }

    /// The byte at which the steps' leftmost match ends; the inner `None` where they do not match.
    fn first_end(&self, memory: &mut Memory, steps: &[Step], text: &str) -> Option<Option<usize>> {
        if memory.compiled.len() >= COMPILED_MAX {
            memory.compiled.clear();
        }
        let compiled = memory.compiled.entry(key(steps)).or_insert_with(|| compile(&self.library, steps));
        let (dfa, cache) = compiled.as_mut()?;
        let found = dfa.try_search_fwd(cache, &Input::new(text)).ok()?;
        Some(found.map(|end| end.offset()))
    }
}

/// Explains one text: see [`Explainer::explain`].
pub fn explain(library: &Library, pattern: &str, text: &str) -> Option<Explanation> {
    Explainer::new(Arc::new(library.clone()), pattern).explain(text)
}

/// Tells sequences of steps apart.
fn key(steps: &[Step]) -> u128 {
    let mut hash = Xxh3::new();
    for step in steps {
        for part in [step.definition.as_deref().unwrap_or_default(), step.text()] {
            hash.update(&part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(&step.node.at.start.to_le_bytes());
        hash.update(&step.node.at.end.to_le_bytes());
    }
    hash.digest128()
}

fn compile(library: &Library, steps: &[Step]) -> Option<(DFA, Cache)> {
    let piece = ascii_words(expand_steps(library, steps).ok()?);
    let hir = translate::relaxed(&piece, 0).hir;
    let config = thompson::Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(NFA_BYTES_MAX));
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(&hir).ok()?;
    let config = DFA::config().skip_cache_capacity_check(true);
    let dfa = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
    let cache = dfa.create_cache();
    Some((dfa, cache))
}

/// The sequences that a failed step can be opened into: its alternatives, where they name fields.
fn branches(library: &Library, step: &Step) -> Vec<Vec<Step>> {
    let Some(inside) = step.inside(library) else { return Vec::new() };
    if !inside.names_fields(library, 0) {
        return Vec::new();
    }
    match &inside.node.kind {
        Kind::Alternation(nodes) => nodes.iter().map(|node| inside.at(node).opened()).collect(),
        _ => vec![inside.opened()],
    }
}

fn described(pattern: &str, steps: &[Step], passed: usize, offset: usize) -> Explanation {
    let failed = &steps[passed];
    Explanation {
        pattern: pattern.to_owned(),
        offset,
        atom: failed.written(&steps[passed + 1..]).to_owned(),
        definition: failed.definition.clone(),
    }
}

/// Unicode's word edges are beyond the automaton used here; ASCII's are near enough for an explanation.
fn ascii_words(piece: Piece) -> Piece {
    let each = |pieces: Vec<Piece>| pieces.into_iter().map(ascii_words).collect();
    let boxed = |piece: Box<Piece>| Box::new(ascii_words(*piece));
    match piece {
        Piece::Leaf(hir) => Piece::Leaf(match hir.kind() {
            HirKind::Look(Look::WordUnicode) => Hir::look(Look::WordAscii),
            HirKind::Look(Look::WordUnicodeNegate) => Hir::look(Look::WordAsciiNegate),
            _ => hir,
        }),
        Piece::Concat(pieces) => Piece::Concat(each(pieces)),
        Piece::Alternation(pieces) => Piece::Alternation(each(pieces)),
        Piece::Repeat { piece, min, max, mode } => Piece::Repeat { piece: boxed(piece), min, max, mode },
        // Where a group is does not matter here.
        Piece::Capture { piece, .. } | Piece::Plain(piece) | Piece::Atomic(piece) => ascii_words(*piece),
        Piece::Look { .. } | Piece::Back(_) => Piece::Leaf(Hir::empty()),
    }
}
