//! Which characters can stand beside a place in a pattern.
//!
//! Upstream's `(?<![0-9])` in front of an address is true by itself where the pattern has a blank there. Asked here, once
//! and at compile time, it costs nothing at run time.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look};

use super::expand::Piece;

/// What stands on one side of a place: first `pieces`, the nearest first as seen from the place; then what is beyond.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    pub pieces: &'a [Piece],
    /// The place is inside a repetition: its body may stand here again.
    pub again: Option<&'a Piece>,
    /// `None`: anything may stand there.
    pub beyond: Option<&'a Beside<'a>>,
}

/// Which way to look from the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

/// The characters that can stand there.
struct Reach {
    set: ClassUnicode,
    /// Any character can.
    open: bool,
}

impl Beside<'_> {
    /// The start or the end of the whole pattern, which is searched for anywhere in a text.
    pub const ANYTHING: Beside<'static> = Beside { pieces: &[], again: None, beyond: None };

    /// Whether no character of `set` can stand on that side.
    pub fn excludes(&self, side: Side, set: &ClassUnicode) -> bool {
        let mut reach = Reach { set: ClassUnicode::empty(), open: false };
        if !reach.beside(side, self) {
            reach.set.intersect(set);
        }
        !reach.open && reach.set.ranges().is_empty()
    }
}

impl Reach {
    /// True where it became open.
    fn beside(&mut self, side: Side, beside: &Beside<'_>) -> bool {
        let mut beside = Some(beside);
        while let Some(here) = beside {
            if let Some(again) = here.again {
                self.piece(side, again);
            }
            if !self.pieces(side, here.pieces) {
                return self.open;
            }
            beside = here.beyond;
        }
        self.open = true;
        true
    }

    /// Adds what can stand nearest in these pieces; whether what is beyond them can, too.
    fn pieces(&mut self, side: Side, pieces: &[Piece]) -> bool {
        match side {
            Side::Before => pieces.iter().rev().all(|piece| self.piece(side, piece)),
            Side::After => pieces.iter().all(|piece| self.piece(side, piece)),
        }
    }

    fn piece(&mut self, side: Side, piece: &Piece) -> bool {
        match piece {
            Piece::Leaf(hir) => self.leaf(side, hir),
            Piece::Concat(pieces) => self.pieces(side, pieces),
            Piece::Alternation(pieces) => {
                // Each of them adds its own: no short cut.
                pieces.iter().map(|piece| self.piece(side, piece)).filter(|through| *through).count() > 0
            }
            Piece::Repeat { piece, min, max, .. } => *max == Some(0) || self.piece(side, piece) || *min == 0,
            Piece::Capture { piece, .. } | Piece::Plain(piece) | Piece::Atomic(piece) => self.piece(side, piece),
            // It may forbid some; what stands there is at most what would stand there without it.
            Piece::Look { .. } => true,
            Piece::Back(_) => {
                self.open = true;
                false
            }
        }
    }

    fn leaf(&mut self, side: Side, hir: &Hir) -> bool {
        match (hir.kind(), side) {
            (HirKind::Empty, _) => return true,
            (HirKind::Literal(literal), _) => {
                let mut chars = std::str::from_utf8(&literal.0).unwrap_or_default().chars();
                let nearest = if side == Side::Before { chars.next_back() } else { chars.next() };
                match nearest {
                    Some(c) => self.set.push(ClassUnicodeRange::new(c, c)),
                    None => self.open = true,
                }
            }
            (HirKind::Class(Class::Unicode(set)), _) => self.set.union(set),
            (HirKind::Look(Look::Start), Side::Before) | (HirKind::Look(Look::End), Side::After) => {}
            (HirKind::Look(Look::StartLF), Side::Before) | (HirKind::Look(Look::EndLF), Side::After) => {
                self.set.push(ClassUnicodeRange::new('\n', '\n'));
            }
            (HirKind::Look(_), _) => return true,
            _ => self.open = true,
        }
        false
    }
}
