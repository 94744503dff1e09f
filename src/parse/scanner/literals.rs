//! Literals that every match of a pattern holds.

use regex_syntax::hir::{Hir, HirKind};

/// The literals that every match holds, in their order.
pub(super) fn required(hir: &Hir) -> Vec<&[u8]> {
    let mut found = Vec::new();
    collect(hir, &mut found);
    found
}

fn collect<'h>(hir: &'h Hir, found: &mut Vec<&'h [u8]>) {
    match hir.kind() {
        HirKind::Literal(literal) => found.push(&literal.0),
        HirKind::Capture(capture) => collect(&capture.sub, found),
        HirKind::Repetition(repeat) if repeat.min > 0 => collect(&repeat.sub, found),
        HirKind::Concat(subs) => subs.iter().for_each(|sub| collect(sub, found)),
        _ => {}
    }
}
