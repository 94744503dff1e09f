//! Cuts a query into tokens. What a character means depends on where it stands (`/` opens a pattern only where a value
//! may start and one closes it), so the grammar asks for the token it can use.

use super::error::SyntaxError;
use super::glob::{Glob, Step};

/// A run of characters without blanks, escapes undone.
#[derive(Debug, Clone)]
pub struct Word {
    pub glob: Glob,
    /// Whether a backslash stood in it: `\AND` is a word.
    pub escaped: bool,
    pub offset: usize,
    pub len: usize,
}

pub struct Lexer<'q> {
    pub text: &'q str,
    pub at: usize,
}

impl<'q> Lexer<'q> {
    pub fn new(text: &'q str) -> Self {
        Self { text, at: 0 }
    }

    pub fn rest(&self) -> &'q str {
        &self.text[self.at..]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes `symbol` if it is next.
    pub fn eat(&mut self, symbol: &str) -> bool {
        let there = self.rest().starts_with(symbol);
        if there {
            self.at += symbol.len();
        }
        there
    }

    /// Whether what follows ends a value: a blank, a bracket, or nothing more.
    fn at_edge(rest: &str) -> bool {
        rest.chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '|'))
    }

    /// A word up to a blank, a bracket, a quote or a logical operator. With `stop_at_colon` it ends at the first
    /// bare colon: a field's name.
    pub fn word(&mut self, stop_at_colon: bool, stop: &[char]) -> Result<Word, SyntaxError> {
        let offset = self.at;
        let mut steps = vec![];
        let mut escaped = false;
        while let Some(c) = self.peek() {
            let rest = self.rest();
            let ends = c.is_whitespace() || matches!(c, '(' | ')' | '"' | '|') || stop.contains(&c);
            if ends || rest.starts_with("&&") || (stop_at_colon && c == ':') {
                break;
            }
            self.at += c.len_utf8();
            steps.push(match c {
                '*' => Step::Many,
                '?' => Step::One,
                '\\' => {
                    escaped = true;
                    let Some(next) = self.peek() else {
                        return Err(SyntaxError::new(self.at - 1, 1, "a backslash with nothing to escape")
                            .hint("write \\\\ for a backslash"));
                    };
                    self.at += next.len_utf8();
                    Step::Char(next)
                }
                c => Step::Char(c),
            });
        }
        Ok(Word { glob: Glob(steps), escaped, offset, len: self.at - offset })
    }

    /// A quoted text, the opening quote being next. `\"` and `\\` are the only escapes that change anything.
    pub fn quoted(&mut self) -> Result<String, SyntaxError> {
        let offset = self.at;
        self.at += 1;
        let mut out = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' if matches!(self.peek(), Some('"' | '\\')) => {
                    out.extend(self.peek());
                    self.at += 1;
                }
                c => out.push(c),
            }
        }
        Err(SyntaxError::new(offset, 1, "this quote is never closed").hint("add a \" at the end of the phrase"))
    }

    /// The body of `/…/` if one stands here. The next bare `/` must close it: it is followed by a blank, a bracket or
    /// the end. So `/api/v1` and `path:/a AND path:/b` are paths.
    pub fn regex(&mut self) -> Option<&'q str> {
        let body = self.rest().strip_prefix('/')?;
        let mut escaped = false;
        let end = body.char_indices().find_map(|(i, c)| {
            let closes = c == '/' && !escaped;
            escaped = c == '\\' && !escaped;
            closes.then_some(i)
        })?;
        // `path:/healthz path:/` has its second slash after a colon: it opens a value, it closes none.
        let opens_another = body[..end].ends_with(':');
        if end == 0 || opens_another || !Self::at_edge(&body[end + 1..]) {
            return None;
        }
        self.at += end + 2;
        Some(&body[..end])
    }
}
