//! Which templates are one: the rules.
//!
//! Lines are compared only where they have equally many words with the same punctuation between them (a *leaf*). There,
//! a line belongs to a template when all constant words agree. Two templates are joined, and stay joined, when
//! - a position holds a value in one and a word in the other, and more words agree than differ so; or
//! - they differ at one position, and enough different words were seen there; or
//! - the same at two positions, with twice as many.
//!
//! How many words are enough depends on where they stand. The first words of a message tell what happened, so there it
//! takes more; after a noun that announces a name (`user alice`) two words are enough.

use super::Rules;
use super::one::{Part, Piece, Template};

/// How two token lists of one leaf differ.
#[derive(Debug, Default)]
struct Difference {
    /// Constant words that agree.
    agree: usize,
    /// Positions where one has a value that was always one, the other a word.
    value_word: usize,
    /// Positions where both have words: the first two, and how many there are.
    words: [usize; 2],
    words_count: usize,
}

fn compare(a: &[Piece], b: &[Piece]) -> Difference {
    let mut found = Difference::default();
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        if a.hash == b.hash {
            found.agree += usize::from(a.part == Part::Word);
        } else if a.part == Part::Any || b.part == Part::Any {
        } else if a.part == Part::Value || b.part == Part::Value {
            found.value_word += 1;
        } else {
            if let Some(position) = found.words.get_mut(found.words_count) {
                *position = at;
            }
            found.words_count += 1;
            // Too far apart for any rule: most templates of a leaf are, and the first words show it.
            if found.words_count > found.words.len() {
                break;
            }
        }
    }
    found
}

impl Difference {
    /// Whether the two are the same but for values.
    fn is_same(&self) -> bool {
        self.words_count == 0 && self.agree > self.value_word
    }
}

/// Whether a line, given as the pieces of a template made of it alone, belongs to `template`.
pub fn belongs(template: &Template, line: &[Piece]) -> bool {
    let found = compare(&template.pieces, line);
    found.is_same()
}

/// What should be joined with a template that is new or has just become more general.
#[derive(Debug, Default)]
pub struct Join {
    /// Which of the candidates, by index.
    pub with: Vec<usize>,
}

/// Looks for templates to join with `template` among others of its leaf.
pub fn find_join(rules: &Rules, template: &Template, others: &[&Template]) -> Option<Join> {
    let differences: Vec<Difference> = others.iter().map(|other| compare(&template.pieces, &other.pieces)).collect();
    let same: Vec<usize> = (0..others.len()).filter(|at| differences[*at].is_same()).collect();
    if !same.is_empty() {
        return Some(Join { with: same });
    }
    find_variable(rules, template, &differences).or_else(|| find_pair(rules, template, others, &differences))
}

/// Constant words of a template, and where the first one is.
fn words(template: &Template) -> (usize, usize) {
    let is_word = |piece: &&Piece| piece.part == Part::Word;
    let first = template.pieces.iter().position(|piece| is_word(&piece)).unwrap_or_default();
    (template.pieces.iter().filter(is_word).count(), first)
}

/// One position at which enough words were seen.
fn find_variable(rules: &Rules, template: &Template, differences: &[Difference]) -> Option<Join> {
    let (count, first) = words(template);
    let single = |found: &Difference| found.words_count == 1 && found.value_word == 0;
    let mut positions: Vec<usize> = differences.iter().filter(|d| single(d)).map(|d| d.words[0]).collect();
    positions.sort_unstable();
    positions.dedup();
    positions.into_iter().find_map(|position| {
        let with: Vec<usize> = (0..differences.len())
            .filter(|at| single(&differences[*at]) && differences[*at].words[0] == position)
            .collect();
        let enough = if template.is_announced(position) {
            rules.words_announced
        } else if position == first {
            rules.words_first
        } else {
            rules.words
        };
        (count >= 2 && with.len() + 1 >= enough).then_some(Join { with })
    })
}

/// Two positions that vary together.
fn find_pair(rules: &Rules, template: &Template, others: &[&Template], differences: &[Difference]) -> Option<Join> {
    let (count, first) = words(template);
    let mut pairs: Vec<[usize; 2]> =
        differences.iter().filter(|d| d.words_count == 2 && d.value_word == 0).map(|d| d.words).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs.into_iter().filter(|pair| pair[0] != first && count >= 4).find_map(|pair| {
        let within = |d: &Difference| {
            d.value_word == 0
                && (1..=2).contains(&d.words_count)
                && d.words[..d.words_count].iter().all(|p| pair.contains(p))
        };
        let with: Vec<usize> = (0..differences.len()).filter(|at| within(&differences[*at])).collect();
        let varied = pair.iter().all(|position| {
            let mut seen: Vec<u32> = with.iter().map(|at| others[*at].pieces[*position].hash).collect();
            seen.push(template.pieces[*position].hash);
            seen.sort_unstable();
            seen.dedup();
            seen.len() >= 2 * rules.words
        });
        varied.then_some(Join { with })
    })
}

/// Where `template` must become variable so that all of `others` belong to it.
pub fn positions_to_open(template: &Template, others: &[&Template]) -> Vec<(usize, Part)> {
    let mut open = Vec::new();
    for (at, piece) in template.pieces.iter().enumerate() {
        let differs = |other: &Template| other.pieces[at].hash != piece.hash || other.pieces[at].part == Part::Any;
        if piece.part != Part::Any && others.iter().any(|other| differs(other)) {
            open.push((at, Part::Any));
        }
    }
    open
}
