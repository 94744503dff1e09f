//! One template: what its lines have in common, how many there were, and what stood where they differ.

use super::TemplateId;
use super::class::announces_name;
use super::hash::mix;
use super::token::{Kind, Token, VALUE_HASH};

/// How a variable position is written in a template's text.
pub const WILDCARD: &str = "<*>";
/// Example values kept of one position.
const EXAMPLES_MAX: usize = 3;
/// Bytes kept of one example value.
const EXAMPLE_BYTES_MAX: usize = 32;
/// Bytes of examples kept of one template.
const EXAMPLES_BYTES_MAX: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Word,
    Punct,
    /// Variable; so far every line had a value there.
    Value,
    /// Variable; some line had a plain word there.
    Any,
}

/// A token of a template. Two are equal in all lines exactly if their hashes are.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// The token's hash, folded to 32 bits: a template holds ten to twenty of them.
    pub hash: u32,
    /// Bytes of the template's text; 0 for a variable.
    pub length: u16,
    pub part: Part,
    pub glued: bool,
}

impl Piece {
    /// A line's token.
    pub fn of(token: &Token) -> Self {
        let part = match token.kind {
            Kind::Word => Part::Word,
            Kind::Punct => Part::Punct,
            Kind::Value => Part::Value,
        };
        // A line is read up to `LINE_BYTES_MAX`, far below what the length holds.
        let length = if part == Part::Value { 0 } else { (token.end - token.start) as u16 };
        Self { hash: fold(token.hash), length, part, glued: token.glued }
    }

    pub fn is_variable(&self) -> bool {
        matches!(self.part, Part::Value | Part::Any)
    }
}

/// A token's hash as templates hold it.
pub fn fold(hash: u64) -> u32 {
    (hash ^ hash >> 32) as u32
}

#[derive(Debug)]
pub struct Template {
    pub id: TemplateId,
    /// Log statement that all its lines come from, as the caller names it; then nothing else decides what belongs here.
    pub site: Option<u64>,
    pub pieces: Vec<Piece>,
    /// The texts of all words and punctuation, one after the other.
    pub text: String,
    /// Key of its first line in the table of shapes.
    pub shape: u64,
    pub count: u64,
    pub first_line: u64,
    pub last_line: u64,
    /// The earliest time of a line: Unix nanoseconds.
    pub first_seen: i64,
    /// Records of position, length and bytes.
    examples: Vec<u8>,
}

impl Template {
    pub fn new(id: TemplateId, site: Option<u64>, shape: u64, line: &str, tokens: &[Token], number: u64) -> Self {
        let words = tokens.iter().filter(|token| token.kind != Kind::Value);
        let text = words.map(|token| &line[token.start as usize..token.end as usize]).collect();
        let pieces = tokens.iter().map(Piece::of).collect();
        let first_seen = super::NO_TIME;
        let (count, first_line, last_line, examples) = (0, number, number, Vec::new());
        Self { id, site, pieces, text, shape, count, first_line, last_line, first_seen, examples }
    }

    /// Bytes it takes, itself included.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.pieces.capacity() * size_of::<Piece>()
            + self.text.capacity()
            + self.examples.capacity()
    }

    /// Where lines with equal punctuation around equally many words go.
    pub fn leaf(&self) -> u64 {
        leaf_of(self.pieces.iter().map(|p| (p.part == Part::Punct).then_some(p.hash)))
    }

    /// Each piece with its text.
    pub fn parts(&self) -> impl Iterator<Item = (&Piece, &str)> {
        let mut at = 0;
        self.pieces.iter().map(move |piece| {
            let start = at;
            at += usize::from(piece.length);
            (piece, &self.text[start..at])
        })
    }

    /// Whether the word before `position` says that a name follows, with nothing between them.
    pub fn is_announced(&self, position: usize) -> bool {
        position > 0
            && self.pieces[position - 1].part == Part::Word
            && self.parts().nth(position - 1).is_some_and(|(_, text)| announces_name(text.as_bytes()))
    }

    /// Takes up a line that belongs here though it differs: positions where it does become variable.
    pub fn absorb(&mut self, line: &str, tokens: &[Token]) {
        if tokens.len() != self.pieces.len() {
            self.shorten(tokens);
            return;
        }
        let open: Vec<(usize, Part)> = self
            .pieces
            .iter()
            .zip(tokens)
            .enumerate()
            .filter(|(_, (piece, token))| piece.part != Part::Any && piece.hash != fold(token.hash))
            .map(|(position, _)| (position, Part::Any))
            .collect();
        self.open(&open);
        self.add_examples(line, tokens);
    }

    /// Makes positions variable. The words that stood there become examples.
    pub fn open(&mut self, positions: &[(usize, Part)]) {
        if positions.is_empty() {
            return;
        }
        let old: Vec<(Piece, String)> = self.parts().map(|(piece, text)| (*piece, text.to_owned())).collect();
        self.text.clear();
        for (at, (piece, text)) in old.into_iter().enumerate() {
            match positions.iter().find(|(position, _)| *position == at) {
                Some((_, part)) => {
                    self.pieces[at] = Piece { hash: fold(VALUE_HASH), length: 0, part: *part, glued: piece.glued };
                    if !piece.is_variable() {
                        self.add_example(at, &text);
                    }
                }
                None => self.text.push_str(&text),
            }
        }
    }

    /// A line of another length from the same log statement: what both begin with and what both end with stays, the rest
    /// becomes one variable.
    fn shorten(&mut self, tokens: &[Token]) {
        let same = |(piece, token): &(&Piece, &Token)| piece.hash == fold(token.hash);
        let head = self.pieces.iter().zip(tokens).take_while(same).count();
        let tail_max = self.pieces.len().min(tokens.len()) - head;
        let tail = self.pieces.iter().rev().zip(tokens.iter().rev()).take(tail_max).take_while(same).count();
        let last = self.pieces.len() - tail;
        let mut text = String::new();
        for (at, (_, part)) in self.parts().enumerate() {
            if at < head || at >= last {
                text.push_str(part);
            }
        }
        let glued = self.pieces.get(head).is_some_and(|piece| piece.glued);
        let any = Piece { hash: fold(VALUE_HASH), length: 0, part: Part::Any, glued };
        self.pieces.splice(head..last, [any]);
        self.text = text;
        // Positions have moved: examples of the old ones would lie.
        self.examples.clear();
    }

    /// Keeps the values of a line at the variable positions, as far as there is room.
    pub fn add_examples(&mut self, line: &str, tokens: &[Token]) {
        if tokens.len() != self.pieces.len() {
            return;
        }
        for (at, token) in tokens.iter().enumerate() {
            if self.pieces[at].is_variable() {
                self.add_example(at, &line[token.start as usize..token.end as usize]);
            }
        }
    }

    fn add_example(&mut self, position: usize, value: &str) {
        let mut end = value.len().min(EXAMPLE_BYTES_MAX);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        let value = &value[..end];
        let known = self.examples_of(position);
        let room = self.examples.len() + end + 2 <= EXAMPLES_BYTES_MAX;
        let fresh = known.len() < EXAMPLES_MAX && !known.contains(&value);
        if let (true, true, Ok(position)) = (room, fresh, u8::try_from(position)) {
            self.examples.reserve_exact(end + 2);
            self.examples.extend([position, end as u8]);
            self.examples.extend_from_slice(value.as_bytes());
        }
    }

    /// Up to three values seen at a position.
    pub fn examples_of(&self, position: usize) -> Vec<&str> {
        self.examples().filter(|(at, _)| *at == position).map(|(_, value)| value).collect()
    }

    fn examples(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut rest = &self.examples[..];
        std::iter::from_fn(move || {
            let [position, length, after @ ..] = rest else { return None };
            let (value, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            // Written from a string, so it is one.
            Some((usize::from(*position), std::str::from_utf8(value).unwrap_or_default()))
        })
    }

    /// Takes over what another template of the same pieces counted.
    pub fn take_over(&mut self, other: &Self) {
        self.count += other.count;
        self.first_line = self.first_line.min(other.first_line);
        self.last_line = self.last_line.max(other.last_line);
        self.first_seen = self.first_seen.min(other.first_seen);
        for (position, value) in other.examples() {
            if self.pieces.get(position).is_some_and(Piece::is_variable) {
                self.add_example(position, value);
            }
        }
        for (position, (piece, text)) in other.parts().enumerate() {
            if !piece.is_variable() && self.pieces[position].is_variable() {
                self.add_example(position, text);
            }
        }
    }

    /// The text, variables as `<*>`, blanks where the first line had them.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(self.text.len() + self.pieces.len() * 2);
        for (at, (piece, text)) in self.parts().enumerate() {
            if at > 0 && !piece.glued {
                out.push(' ');
            }
            out.push_str(if piece.is_variable() { WILDCARD } else { text });
        }
        out
    }

    /// What [`super::registry`] writes of the examples.
    pub fn raw_examples(&self) -> &[u8] {
        &self.examples
    }

    /// A template as [`super::registry`] read it, counted already.
    pub fn set_raw_examples(&mut self, examples: Vec<u8>) {
        self.examples = examples;
    }
}

/// The key of a leaf, from each token's punctuation, or none.
pub fn leaf_of(tokens: impl Iterator<Item = Option<u32>>) -> u64 {
    tokens.fold(0, |leaf, punct| mix(leaf, punct.map_or(1 << 40, u64::from)))
}
