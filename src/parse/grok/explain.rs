//! Why a text does not match: how far the pattern came, and which piece of it could go no further.
//!
//! The pattern is a sequence of pieces. The longest beginning of that sequence that matches somewhere in the text is
//! looked for by halving; where its first way through the text ends, the next piece failed. (Not the furthest of all
//! ways: a piece like `%{DATA}` can nearly always be stretched over what is wrong.) A failed piece that itself names fields is opened, and the same question asked inside it. Slow, and done
//! only when somebody asks.

use regex_automata::Input;
use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_syntax::hir::{Hir, HirKind, Look};

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

/// Explains why `text` does not match. `None` where every piece matches one after the other, or where the pattern does
/// not compile; a pattern whose look-around forbids the match is such a case.
pub fn explain(library: &Library, pattern: &str, text: &str) -> Option<Explanation> {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let mut steps = Step::whole(pattern).ok().map(Step::opened)?;
    let mut reached = 0;
    for _ in 0..OPENED_MAX {
        let (passed, offset) = passed(library, &steps, text)?;
        reached = reached.max(offset);
        let failed = steps.get(passed)?.clone();
        let inner = branches(library, &failed);
        // Of alternatives, the one that comes furthest is the one that was meant.
        let furthest = inner.into_iter().filter_map(|branch| {
            let mut longer = steps[..passed].to_vec();
            longer.extend(branch);
            let (passed, offset) = self::passed(library, &longer, text)?;
            (passed < longer.len()).then_some((offset, passed, longer))
        });
        match furthest.max_by_key(|(offset, passed, _)| (*offset, *passed)) {
            Some((_, _, longer)) => steps = longer,
            None => return Some(described(pattern, &steps, passed, offset)),
        }
    }
    None
}

/// How many steps from the first can match one after the other, and where that ends.
fn passed(library: &Library, steps: &[Step], text: &str) -> Option<(usize, usize)> {
    let (mut least, mut most, mut end) = (0, steps.len(), 0);
    // The empty beginning always matches; it is tried at every place, the first of which counts.
    while least < most {
        let middle = least + (most - least).div_ceil(2);
        match first_end(library, &steps[..middle], text)? {
            Some(at) => (least, end) = (middle, at),
            None => most = middle - 1,
        }
    }
    Some((least, end))
}

/// The byte at which the steps' leftmost match ends; the inner `None` where they do not match.
fn first_end(library: &Library, steps: &[Step], text: &str) -> Option<Option<usize>> {
    let piece = ascii_words(expand_steps(library, steps).ok()?);
    let hir = translate::relaxed(&piece, 0).hir;
    let config = thompson::Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(NFA_BYTES_MAX));
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(&hir).ok()?;
    let config = DFA::config().skip_cache_capacity_check(true);
    let dfa = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
    let found = dfa.try_search_fwd(&mut dfa.create_cache(), &Input::new(text)).ok()?;
    Some(found.map(|end| end.offset()))
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
