//! The grammar: Lucene's and KQL's common ground, as people type it into Kibana.
//!
//! ```text
//! query   := or
//! or      := and (("OR" | "or" | "||") and)*
//! and     := unary (("AND" | "and" | "&&")? unary)*          side by side means AND
//! unary   := ("NOT" | "not" | "!" | "-" | "+")* primary
//! primary := "(" or? ")" | [field ":"] value | field (">=" | ">" | "<=" | "<") bound
//! value   := "(" or ")" | "\"" … "\"" | "/" … "/" | ("[" | "{") bound "TO" bound ("]" | "}")
//!          | (">=" | ">" | "<=" | "<") bound | word
//! ```
//!
//! Inside `field:( … )` every word is a value of that field. Operators in lower case are operators, as in KQL: quote
//! `"not"` to search the word. A "field" that begins with a digit is a word (`10.0.0.1:8080`, `17:50:57`), and so is a
//! URL. `*`, `*:*` and nothing at all are every record; `field:*` and `_exists_:field` ask for any value.

use regex::{Regex, RegexBuilder};

use super::ast::{Bound, Expr, Range, RegexTest, Test};
use super::error::SyntaxError;
use super::lexer::{Lexer, Word};

/// A longer query is a program's mistake.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;
/// Brackets and negations within each other: each costs stack.
pub const DEPTH_MAX: usize = 64;
/// Tests in one query: each costs a look into every segment.
pub const TERMS_MAX: usize = 1_000;
/// Compiled size of one regular expression.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Reads a query without pipes. Times relative to now stay as written: [`Expr::resolve`] or [`parse_at`] makes instants
/// of them.
pub fn parse(text: &str) -> Result<Expr, SyntaxError> {
    let mut grammar = Grammar::new(text)?;
    let expr = grammar.until_pipe()?;
    match grammar.lexer.peek() {
        None => Ok(expr),
        Some('|') => Err(SyntaxError::new(grammar.lexer.at, 1, "a query without pipes is asked for here")
            .hint("search, aggregate and export take pipes; quote \"|\" to search the character")),
        Some(_) => Err(grammar.unexpected()),
    }
}

/// [`parse`], with `now` (Unix nanoseconds) put in for relative times.
pub fn parse_at(text: &str, now: i64) -> Result<Expr, SyntaxError> {
    let mut expr = parse(text)?;
    expr.resolve(now);
    Ok(expr)
}

/// [`parse_at`] with words side by side meaning OR, as Lucene has it unless told otherwise: what stands beside AND, or after
/// `+`, has to match, what NOT or `-` says must not, and of the others, where nothing has to, one must.
pub fn parse_any_at(text: &str, now: i64) -> Result<Expr, SyntaxError> {
    let mut grammar = Grammar::new(text)?;
    grammar.beside_is_or = true;
    let mut expr = grammar.until_pipe()?;
    if grammar.lexer.peek().is_some() {
        return Err(grammar.unexpected());
    }
    expr.resolve(now);
    Ok(expr)
}

pub(super) struct Grammar<'q> {
    pub(super) lexer: Lexer<'q>,
    terms: usize,
    depth: usize,
    beside_is_or: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
    Not,
}

impl<'q> Grammar<'q> {
    pub(super) fn new(text: &'q str) -> Result<Self, SyntaxError> {
        if text.len() > QUERY_BYTES_MAX {
            let at = text.char_indices().map(|(i, _)| i).take_while(|i| *i <= QUERY_BYTES_MAX).last().unwrap_or(0);
            return Err(SyntaxError::new(at, 0, format!("the query is longer than {QUERY_BYTES_MAX} bytes"))
                .hint("several short queries find the same"));
        }
        Ok(Self { lexer: Lexer::new(text), terms: 0, depth: 0, beside_is_or: false })
    }

    /// A query up to the next `|` outside brackets, or the end; nothing at all is every record.
    pub(super) fn until_pipe(&mut self) -> Result<Expr, SyntaxError> {
        self.lexer.skip_blanks();
        if matches!(self.lexer.peek(), None | Some('|')) && !self.lexer.rest().starts_with("||") {
            return Ok(Expr::All);
        }
        self.or(None)
    }
}

impl Grammar<'_> {
    fn or(&mut self, field: Option<&str>) -> Result<Expr, SyntaxError> {
        let mut parts = vec![self.and(field)?];
        while self.eat_operator(Operator::Or) {
            parts.push(self.and(field)?);
        }
        Ok(Expr::or(parts))
    }

    fn and(&mut self, field: Option<&str>) -> Result<Expr, SyntaxError> {
        if self.beside_is_or {
            return self.clauses(field);
        }
        let mut parts = vec![self.unary(field)?];
        loop {
            let joined = self.eat_operator(Operator::And);
            self.lexer.skip_blanks();
            let ends = matches!(self.lexer.peek(), None | Some(')' | '|')) || self.operator() == Some(Operator::Or);
            if ends && !joined {
                return Ok(Expr::and(parts));
            }
            parts.push(self.unary(field)?);
        }
    }

    /// A run of clauses up to OR, a bracket, or the end.
    fn clauses(&mut self, field: Option<&str>) -> Result<Expr, SyntaxError> {
        // Each with whether it has to match.
        let mut clauses: Vec<(bool, Expr)> = Vec::new();
        let mut joined = false;
        loop {
            self.lexer.skip_blanks();
            let required = self.lexer.peek() == Some('+');
            let expr = self.unary(field)?;
            if joined && let Some((before, _)) = clauses.last_mut() {
                *before = true;
            }
            clauses.push((joined || required || matches!(expr, Expr::Not(_)), expr));
            joined = self.eat_operator(Operator::And);
            self.lexer.skip_blanks();
            let ends = matches!(self.lexer.peek(), None | Some(')' | '|')) || self.operator() == Some(Operator::Or);
            if ends && !joined {
                break;
            }
        }
        let (must, mut may): (Vec<_>, Vec<_>) = clauses.into_iter().partition(|(required, _)| *required);
        let mut must: Vec<Expr> = must.into_iter().map(|(_, expr)| expr).collect();
        let only_not = must.iter().all(|expr| matches!(expr, Expr::Not(_)));
        if only_not && !may.is_empty() {
            must.push(Expr::or(may.drain(..).map(|(_, expr)| expr).collect()));
        }
        Ok(Expr::and(must))
    }

    fn unary(&mut self, field: Option<&str>) -> Result<Expr, SyntaxError> {
        let offset = {
            self.lexer.skip_blanks();
            self.lexer.at
        };
        if self.eat_operator(Operator::Not) {
            return self.deeper(offset, |g| Ok(Expr::Not(Box::new(g.unary(field)?))));
        }
        match self.lexer.peek() {
            Some(sign @ ('-' | '+')) => {
                self.lexer.at += 1;
                if self.lexer.peek().is_none_or(char::is_whitespace) {
                    return Err(SyntaxError::new(offset, 1, format!("nothing stands right after {sign}"))
                        .hint(format!("write {sign}word without a blank, or \"{sign}\" to search the sign")));
                }
                self.deeper(offset, |g| {
                    let inner = g.unary(field)?;
                    Ok(if sign == '-' { Expr::Not(Box::new(inner)) } else { inner })
                })
            }
            _ => self.primary(field),
        }
    }

    fn deeper(
        &mut self,
        offset: usize,
        inner: impl FnOnce(&mut Self) -> Result<Expr, SyntaxError>,
    ) -> Result<Expr, SyntaxError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(SyntaxError::new(offset, 1, format!("nested deeper than {DEPTH_MAX}")));
        }
        let expr = inner(self);
        self.depth -= 1;
        expr
    }

    fn primary(&mut self, field: Option<&str>) -> Result<Expr, SyntaxError> {
        let offset = self.lexer.at;
        match self.lexer.peek() {
            None => Err(SyntaxError::new(offset, 0, "the query ends where a word was expected")),
            Some('(') => self.group(field),
            Some(')' | '|') => Err(self.unexpected()),
            _ if field.is_some() || matches!(self.lexer.peek(), Some('"' | '/' | '[' | '{')) => self.value(field),
            _ if self.operator().is_some() => Err(self.unexpected()),
            _ => self.word_or_field(),
        }
    }

    fn group(&mut self, field: Option<&str>) -> Result<Expr, SyntaxError> {
        let offset = self.lexer.at;
        self.lexer.at += 1;
        self.lexer.skip_blanks();
        if self.lexer.peek() == Some(')') {
            return Err(SyntaxError::new(offset, self.lexer.at + 1 - offset, "nothing stands between these brackets"));
        }
        let inner = self.deeper(offset, |g| g.or(field))?;
        self.lexer.skip_blanks();
        if self.lexer.eat(")") {
            return Ok(inner);
        }
        match self.lexer.peek() {
            None => {
                Err(SyntaxError::new(offset, 1, "this bracket is never closed").hint("add a ) where the group ends"))
            }
            Some(_) => Err(self.unexpected()),
        }
    }

    /// Something that begins with a word: the word itself, or `field:value`, or `field >= value`.
    fn word_or_field(&mut self) -> Result<Expr, SyntaxError> {
        let start = self.lexer.at;
        let name = self.lexer.word(true, &['<', '>'])?;
        if name.len > 0 && self.lexer.peek() == Some(':') && !is_line_text(&name, self.lexer.rest()) {
            self.lexer.at += 1;
            return self.field_value(&name);
        }
        // `status >= 500`, as KQL has it. An arrow inside a word (`a->b`) is none.
        let after_name = self.lexer.at;
        self.lexer.skip_blanks();
        let compares = matches!(self.lexer.peek(), Some('<' | '>')) && !name.glob.has_wildcard() && name.len > 0;
        if compares && !name.glob.to_text().ends_with('-') {
            return self.comparison(&name.glob.to_text());
        }
        self.lexer.at = after_name;
        self.lexer.at = start;
        let word = self.lexer.word(false, &[])?;
        if word.len == 0 {
            return Err(self.unexpected());
        }
        self.term(start)?;
        if word.glob.is_anything() {
            return Ok(Expr::All);
        }
        Ok(Expr::leaf(None, word_test(&word)))
    }

    fn field_value(&mut self, name: &Word) -> Result<Expr, SyntaxError> {
        let after_colon = self.lexer.at;
        self.lexer.skip_blanks();
        let field = name.glob.to_text();
        // `level: AND msg:x` is a value forgotten, not a search for the word.
        if self.lexer.at > after_colon && self.operator().is_some() {
            return Err(no_value(&field, after_colon, 0));
        }
        if name.glob.is_anything() {
            // `*:*` is everything; `*:word` is the word anywhere.
            let expr = self.value(None)?;
            return Ok(expr);
        }
        if name.glob.has_wildcard() {
            return Err(SyntaxError::new(name.offset, name.len, "a field's name cannot hold a wildcard")
                .hint("name the fields one by one: (a:x OR b:x), or leave the name out"));
        }
        match self.lexer.peek() {
            None => Err(no_value(&field, self.lexer.at, 0)),
            Some(')') => Err(no_value(&field, self.lexer.at, 1)),
            Some('(') => self.group(Some(&field)),
            _ if field == "_exists_" => {
                let offset = self.lexer.at;
                let word = self.lexer.word(false, &[])?;
                self.term(offset)?;
                if word.len == 0 || word.glob.has_wildcard() {
                    return Err(SyntaxError::new(offset, word.len, "_exists_: needs the name of a field"));
                }
                Ok(Expr::leaf(Some(word.glob.to_text()), Test::Exists))
            }
            _ => self.value(Some(&field)),
        }
    }

    /// A value of `field`, or of the line.
    fn value(&mut self, field: Option<&str>) -> Result<Expr, SyntaxError> {
        let offset = self.lexer.at;
        self.term(offset)?;
        let owned = field.map(str::to_owned);
        match self.lexer.peek() {
            Some('"') => {
                let text = self.lexer.quoted()?;
                if self.lexer.peek() == Some('~') {
                    return Err(SyntaxError::new(self.lexer.at, 1, "near searches are not supported")
                        .hint("search the words one by one, without quotes"));
                }
                Ok(Expr::leaf(owned, Test::value(text)))
            }
            Some('[' | '{') => self.range(field),
            Some('<' | '>') if field.is_some() => self.comparison(field.unwrap_or_default()),
            Some('/') => match self.lexer.regex() {
                Some(source) => Ok(Expr::leaf(owned, Test::Regex(compile(source, offset)?))),
                None => self.word_value(owned),
            },
            _ => self.word_value(owned),
        }
    }

    fn word_value(&mut self, field: Option<String>) -> Result<Expr, SyntaxError> {
        let word = self.lexer.word(false, &[])?;
        if word.len == 0 {
            return Err(self.unexpected());
        }
        if word.glob.is_anything() {
            return Ok(if field.is_some() { Expr::leaf(field, Test::Exists) } else { Expr::All });
        }
        Ok(Expr::leaf(field, word_test(&word)))
    }

    /// `[a TO b]`, `{a TO b}`, and the two mixed; `*` is open.
    fn range(&mut self, field: Option<&str>) -> Result<Expr, SyntaxError> {
        let offset = self.lexer.at;
        let Some(field) = field else {
            return Err(SyntaxError::new(offset, 1, "a range needs a field")
                .hint("write field:[from TO to]; quote the text to search a bracket"));
        };
        let low_inclusive = self.lexer.peek() == Some('[');
        self.lexer.at += 1;
        self.lexer.skip_blanks();
        let low = self.bound(low_inclusive, &[']', '}'])?;
        self.lexer.skip_blanks();
        let to = self.lexer.at;
        let word = self.lexer.word(false, &[']', '}'])?;
        if !word.glob.to_text().eq_ignore_ascii_case("to") {
            return Err(SyntaxError::new(to, word.len, "expected TO between the two ends of a range")
                .hint(format!("write {field}:[100 TO 500], {field}:>=100, or {field}:[100 TO *]")));
        }
        self.lexer.skip_blanks();
        // Whether the upper end is included is known only after it.
        let mut high = self.bound(true, &[']', '}'])?;
        self.lexer.skip_blanks();
        let high_inclusive = match self.lexer.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(SyntaxError::new(offset, 1, "this range is never closed").hint("add a ] at its end")),
        };
        self.lexer.at += 1;
        if let Some(high) = &mut high {
            high.inclusive = high_inclusive;
        }
        if low.is_none() && high.is_none() {
            return Ok(Expr::leaf(Some(field.to_owned()), Test::Exists));
        }
        Ok(Expr::leaf(Some(field.to_owned()), Test::Range(Range { low, high })))
    }

    fn comparison(&mut self, field: &str) -> Result<Expr, SyntaxError> {
        let offset = self.lexer.at;
        self.term(offset)?;
        let is_low = self.lexer.peek() == Some('>');
        self.lexer.at += 1;
        let inclusive = self.lexer.eat("=");
        self.lexer.skip_blanks();
        let at = self.lexer.at;
        let Some(bound) = self.bound(inclusive, &[])? else {
            return Err(SyntaxError::new(at, 1, "a comparison needs a value to compare with"));
        };
        let range = match is_low {
            true => Range { low: Some(bound), high: None },
            false => Range { low: None, high: Some(bound) },
        };
        Ok(Expr::leaf(Some(field.to_owned()), Test::Range(range)))
    }

    fn bound(&mut self, inclusive: bool, stop: &[char]) -> Result<Option<Bound>, SyntaxError> {
        let offset = self.lexer.at;
        if self.lexer.peek() == Some('"') {
            return Ok(Some(Bound { text: self.lexer.quoted()?, inclusive }));
        }
        let word = self.lexer.word(false, stop)?;
        if word.len == 0 {
            return Err(SyntaxError::new(offset, 0, "a value is missing here"));
        }
        if word.glob.is_anything() {
            return Ok(None);
        }
        if word.glob.has_wildcard() {
            return Err(SyntaxError::new(offset, word.len, "the end of a range cannot hold a wildcard")
                .hint("a lone * leaves the end open"));
        }
        Ok(Some(Bound { text: word.glob.to_text(), inclusive }))
    }

    fn term(&mut self, offset: usize) -> Result<(), SyntaxError> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(SyntaxError::new(offset, 0, format!("more than {TERMS_MAX} terms in one query")));
        }
        Ok(())
    }

    /// The operator that is next, if one is.
    fn operator(&self) -> Option<Operator> {
        self.operator_and_len().map(|(operator, _)| operator)
    }

    fn operator_and_len(&self) -> Option<(Operator, usize)> {
        let rest = self.lexer.rest();
        for (symbol, operator) in [("&&", Operator::And), ("||", Operator::Or), ("!", Operator::Not)] {
            if rest.starts_with(symbol) {
                return Some((operator, symbol.len()));
            }
        }
        for (name, operator) in [("AND", Operator::And), ("OR", Operator::Or), ("NOT", Operator::Not)] {
            let is_it = rest.get(..name.len()).is_some_and(|head| head == name || head == name.to_ascii_lowercase());
            let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"');
            if is_it && rest[name.len()..].chars().next().is_none_or(ends) {
                return Some((operator, name.len()));
            }
        }
        None
    }

    fn eat_operator(&mut self, wanted: Operator) -> bool {
        self.lexer.skip_blanks();
        match self.operator_and_len() {
            Some((operator, len)) if operator == wanted => {
                self.lexer.at += len;
                true
            }
            _ => false,
        }
    }

    pub(super) fn unexpected(&self) -> SyntaxError {
        let at = self.lexer.at;
        if let Some((_, len)) = self.operator_and_len() {
            let word = &self.lexer.text[at..at + len];
            return SyntaxError::new(at, len, format!("{word} has nothing to join"))
                .hint(format!("quote \"{word}\" to search the word"));
        }
        match self.lexer.peek() {
            None => SyntaxError::new(at, 0, "the query ends where a word was expected"),
            Some(')') => {
                SyntaxError::new(at, 1, "this bracket closes nothing").hint("quote \")\" to search the character")
            }
            Some('|') => {
                SyntaxError::new(at, 1, "a pipe cannot stand here").hint("quote \"|\" to search the character")
            }
            Some(c) => SyntaxError::new(at, c.len_utf8(), format!("{c} was not expected here")),
        }
    }
}

fn no_value(field: &str, at: usize, len: usize) -> SyntaxError {
    SyntaxError::new(at, len, format!("{field}: has no value"))
        .hint(format!("{field}:* finds the records that have the field"))
}

/// Whether `name:` is text rather than a field: an address with its port, a time of day, a URL.
fn is_line_text(name: &Word, colon: &str) -> bool {
    let digit_first = matches!(name.glob.0.first(), Some(super::glob::Step::Char(c)) if c.is_ascii_digit());
    !name.escaped && (digit_first || colon.starts_with("://"))
}

fn word_test(word: &Word) -> Test {
    if word.glob.has_wildcard() { Test::wildcard(word.glob.clone()) } else { Test::value(word.glob.to_text()) }
}

pub(super) fn compile(source: &str, offset: usize) -> Result<RegexTest, SyntaxError> {
    // As it was written, with its slashes.
    let written_bytes = source.len() + 2;
    let source = source.replace("\\/", "/");
    let build = |text: String| -> Result<Regex, SyntaxError> {
        RegexBuilder::new(&text).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build().map_err(|err| {
            let why = match &err {
                regex::Error::CompiledTooBig(_) => "it is too big when compiled".to_owned(),
                other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
            };
            SyntaxError::new(offset, written_bytes, format!("not a regular expression: {why}"))
                .hint("quote the text to search it as it stands; look-around and back-references are not supported")
        })
    };
    // Unwrapped first: an error must not mention brackets that nobody wrote.
    let within = build(source.clone())?;
    let whole = build(format!(r"\A(?:{source})\z"))?;
    Ok(RegexTest { source, whole, within })
}

#[cfg(test)]
#[path = "grammar_tests.rs"]
mod tests;
