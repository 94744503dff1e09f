//! Words of a text, and whether they stand in it one after the other.

use super::glob::Glob;

/// The words of `text`, lower-cased, in order: maximal runs of alphanumerics and `_`.
pub fn words_of(text: &str) -> Vec<String> {
    crate::store::words::words(text).map(std::borrow::Cow::into_owned).collect()
}

/// Whether the words of `text` hold `wanted` one after the other. A `wanted` without words is looked for as it
/// stands in `verbatim`: `"=>"` finds the lines with that arrow.
pub fn has_phrase(text: &str, wanted: &[String], verbatim: &str) -> bool {
    if wanted.is_empty() {
        return text.contains(verbatim);
    }
    has_run(text, wanted.len(), |at, word| wanted[at] == word)
}

/// The same for patterns of words.
pub fn has_patterns(text: &str, wanted: &[Glob]) -> bool {
    !wanted.is_empty() && has_run(text, wanted.len(), |at, word| wanted[at].is_match(word))
}

fn has_run(text: &str, len: usize, fits: impl Fn(usize, &str) -> bool) -> bool {
    if len == 1 {
        return words_of(text).iter().any(|w| fits(0, w));
    }
    words_of(text).windows(len).any(|run| run.iter().enumerate().all(|(at, word)| fits(at, word)))
}
