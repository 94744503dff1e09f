//! An expanded pattern as the engines want it: a [`Hir`] for the linear one, and text for the one that backtracks.
//!
//! The `Hir` is the pattern *without* what needs backtracking: look-around is left out, an atomic group is a plain one.
//! It matches everything that the pattern matches, and tries the ways through a text in the same order. So where it
//! finds nothing, there is nothing; and where its first way also satisfies the look-around that was left out, that is
//! the pattern's first way. Look-around at one character, the only kind upstream has, is therefore no reason to
//! backtrack: it is dropped where its neighbours in the pattern imply it, and otherwise an empty group marks its place,
//! so that it can be checked in the match that was found ([`Check`]).

use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Repetition};

use super::edges::{Beside, Side};
use super::expand::Piece;
use super::tree::Mode;

/// Look-around at one character, to be checked in a match.
#[derive(Debug)]
pub(crate) struct Check {
    /// The empty group that marks its place. Of a repetition, the last one is marked.
    pub group: u32,
    ahead: bool,
    negative: bool,
    set: ClassUnicode,
}

impl Check {
    /// Whether it holds at a place: bytes from the start of the text, on a character's edge.
    pub fn holds(&self, text: &str, at: usize) -> bool {
        let (before, after) = text.split_at(at);
        let beside = if self.ahead { after.chars().next() } else { before.chars().next_back() };
        let inside = |c| self.set.ranges().iter().any(|range| range.start() <= c && c <= range.end());
        beside.is_some_and(inside) != self.negative
    }
}

/// A pattern without what needs backtracking.
#[derive(Debug)]
pub(crate) struct Relaxed {
    /// Groups are the pattern's, then one for each check.
    pub hir: Hir,
    pub checks: Vec<Check>,
    /// Something was left out that no check makes good: a match is only a candidate.
    pub candidate: bool,
    /// Something cannot be left out (a reference back): even a text without a match may have one.
    pub unknown: bool,
}

/// Leaves out what needs backtracking. `groups` is how many groups the pattern has.
pub(crate) fn relaxed(piece: &Piece, groups: u32) -> Relaxed {
    let mut relaxer = Relaxer { groups, checks: Vec::new(), candidate: false, unknown: false };
    let hir = relaxer.hir(piece, &Beside::ANYTHING, &Beside::ANYTHING);
    let Relaxer { checks, candidate, unknown, .. } = relaxer;
    Relaxed { hir, checks, candidate, unknown }
}

struct Relaxer {
    groups: u32,
    checks: Vec<Check>,
    candidate: bool,
    unknown: bool,
}

impl Relaxer {
    fn hir(&mut self, piece: &Piece, before: &Beside<'_>, after: &Beside<'_>) -> Hir {
        match piece {
            Piece::Leaf(hir) => hir.clone(),
            Piece::Concat(pieces) => {
                let each = (0..pieces.len()).map(|at| {
                    let before = Beside { pieces: &pieces[..at], again: None, beyond: Some(before) };
                    let after = Beside { pieces: &pieces[at + 1..], again: None, beyond: Some(after) };
                    self.hir(&pieces[at], &before, &after)
                });
                Hir::concat(each.collect())
            }
            Piece::Alternation(pieces) => {
                Hir::alternation(pieces.iter().map(|piece| self.hir(piece, before, after)).collect())
            }
            Piece::Repeat { piece, min, max, mode } => {
                self.candidate |= *mode == Mode::Possessive;
                let again = (*max != Some(1)).then_some(&**piece);
                let before = Beside { pieces: &[], again, beyond: Some(before) };
                let after = Beside { pieces: &[], again, beyond: Some(after) };
                let sub = Box::new(self.hir(piece, &before, &after));
                Hir::repetition(Repetition { min: *min, max: *max, greedy: *mode != Mode::Lazy, sub })
            }
            Piece::Capture { index, piece } => capture(*index, self.hir(piece, before, after)),
            Piece::Plain(piece) => self.hir(piece, before, after),
            Piece::Atomic(piece) => {
                self.candidate = true;
                self.hir(piece, before, after)
            }
            Piece::Look { ahead, negative, piece } => match one_character(piece) {
                Some(set) => self.look(*ahead, *negative, set, before, after),
                None => {
                    self.candidate = true;
                    Hir::empty()
                }
            },
            Piece::Back(_) => {
                self.unknown = true;
                Hir::empty()
            }
        }
    }

    fn look(&mut self, ahead: bool, negative: bool, set: ClassUnicode, before: &Beside<'_>, after: &Beside<'_>) -> Hir {
        let (beside, side) = if ahead { (after, Side::After) } else { (before, Side::Before) };
        if negative && beside.excludes(side, &set) {
            return Hir::empty();
        }
        self.groups += 1;
        self.checks.push(Check { group: self.groups, ahead, negative, set });
        capture(self.groups, Hir::empty())
    }
}

fn capture(index: u32, sub: Hir) -> Hir {
    Hir::capture(Capture { index, name: None, sub: Box::new(sub) })
}

/// The characters that a piece of exactly one character can be.
fn one_character(piece: &Piece) -> Option<ClassUnicode> {
    let Piece::Leaf(hir) = piece else { return None };
    match hir.kind() {
        HirKind::Class(Class::Unicode(set)) => Some(set.clone()),
        HirKind::Literal(literal) => {
            let mut chars = std::str::from_utf8(&literal.0).ok()?.chars();
            let only = chars.next().filter(|_| chars.next().is_none())?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(only, only)]))
        }
        _ => None,
    }
}

/// The pattern, look-around and all, in the syntax of the engine that backtracks. Groups keep their numbers.
pub(crate) fn text(piece: &Piece, numbered: bool) -> String {
    let mut out = String::new();
    write(&mut out, piece, numbered);
    out
}

fn write(out: &mut String, piece: &Piece, numbered: bool) {
    let mut wrapped = |opening: &str, piece: &Piece| {
        out.push_str(opening);
        write(out, piece, numbered);
        out.push(')');
    };
    match piece {
        // The printer's own syntax; the group keeps a repetition from binding to its last character.
        Piece::Leaf(hir) => {
            out.push_str("(?:");
            // Writing to a string cannot fail.
            regex_syntax::hir::print::Printer::new().print(hir, &mut *out).ok();
            out.push(')');
        }
        Piece::Concat(pieces) => pieces.iter().for_each(|piece| wrapped("(?:", piece)),
        Piece::Alternation(pieces) => {
            out.push_str("(?:");
            for (at, piece) in pieces.iter().enumerate() {
                if at > 0 {
                    out.push('|');
                }
                write(out, piece, numbered);
            }
            out.push(')');
        }
        // That engine repeats no look-around by itself. Once is as good as often, and none at all is tried in its turn.
        Piece::Repeat { piece, min, mode, .. } if matches!(**piece, Piece::Look { .. }) => match (min, mode) {
            (0, Mode::Lazy) => wrapped("(?:|", piece),
            (0, _) => {
                wrapped("(?:(?:", piece);
                out.push_str("|)");
            }
            _ => write(out, piece, numbered),
        },
        Piece::Repeat { piece, min, max, mode } => {
            out.push_str(if *mode == Mode::Possessive { "(?>(?:" } else { "(?:" });
            write(out, piece, numbered);
            out.push_str(&match max {
                Some(max) => format!("){{{min},{max}}}"),
                None => format!("){{{min},}}"),
            });
            match mode {
                Mode::Greedy => {}
                Mode::Lazy => out.push('?'),
                Mode::Possessive => out.push(')'),
            }
        }
        Piece::Capture { piece, .. } => wrapped("(", piece),
        Piece::Plain(piece) => wrapped(if numbered { "(" } else { "(?:" }, piece),
        Piece::Look { ahead, negative, piece } => wrapped(
            match (ahead, negative) {
                (true, false) => "(?=",
                (true, true) => "(?!",
                (false, false) => "(?<=",
                (false, true) => "(?<!",
            },
            piece,
        ),
        Piece::Atomic(piece) => wrapped("(?>", piece),
        // The group that comes last is asked first, as the reference engine does.
        Piece::Back(groups) => {
            let each: Vec<String> = groups.iter().rev().map(|group| format!("\\{group}")).collect();
            out.push_str(&format!("(?:{})", each.join("|")));
        }
    }
}
