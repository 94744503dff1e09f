//! The text of a pattern, as its author wrote it, into a tree.
//!
//! The language is Oniguruma's Ruby syntax, as far as patterns for logs use it, with grok's `%{NAME:field:type}` in it.
//! Upstream replaces references as text before it compiles; here each definition is parsed by itself and put together
//! as trees, so an error can point at its place in the text that holds it. What only text could do, a group opened in
//! one definition and closed in another, is an error.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, digit0, digit1};
use nom::combinator::{opt, value, verify};
use nom::error::{ErrorKind, ParseError};
use nom::sequence::{delimited, preceded, separated_pair, terminated};
use nom::{IResult, Parser};

use super::atom::atom;
use super::error::SyntaxFault;
use super::tree::{Flags, Kind, Mode, Node};

/// Groups inside groups; deeper ones would be a danger to the stack.
const DEPTH_MAX: u32 = 32;

/// How often a repetition may be asked for, as in Oniguruma.
const REPEAT_MAX: u32 = 100_000;

/// Where it went wrong, counted from the end of the text, and why.
#[derive(Debug)]
pub(super) struct Fault {
    remaining: usize,
    why: SyntaxFault,
}

impl ParseError<&str> for Fault {
    fn from_error_kind(input: &str, _: ErrorKind) -> Self {
        Self { remaining: input.len(), why: SyntaxFault::Unexpected }
    }

    fn append(_: &str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

pub(super) type Parsed<'a, T> = IResult<&'a str, T, Fault>;

/// The error that ends parsing: nothing else is tried at this place.
pub(super) fn fail<T>(input: &str, why: SyntaxFault) -> Parsed<'_, T> {
    Err(nom::Err::Failure(Fault { remaining: input.len(), why }))
}

/// What the parser carries down.
#[derive(Clone, Copy)]
pub(super) struct Context {
    /// Bytes of the whole text.
    len: usize,
    depth: u32,
    pub flags: Flags,
}

impl Context {
    /// The node for what was read between two positions.
    pub fn node(self, kind: Kind, from: &str, to: &str) -> Node {
        Node { kind, at: self.len - from.len()..self.len - to.len() }
    }

    /// Inside a group.
    pub fn deeper(self, flags: Flags) -> Self {
        Self { depth: self.depth + 1, flags, ..self }
    }
}

/// Parses one definition or pattern. An error is the offset in bytes and the reason.
pub(crate) fn parse(text: &str, flags: Flags) -> Result<Node, (usize, SyntaxFault)> {
    let context = Context { len: text.len(), depth: 0, flags };
    match alternation(context, text) {
        Ok(("", node)) => Ok(node),
        Ok((rest, _)) => Err((text.len() - rest.len(), SyntaxFault::UnopenedGroup)),
        Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => Err((text.len() - fault.remaining, fault.why)),
        Err(nom::Err::Incomplete(_)) => Err((text.len(), SyntaxFault::Unexpected)),
    }
}

/// `branch | branch …`, up to a closing parenthesis or the end.
pub(super) fn alternation(context: Context, input: &str) -> Parsed<'_, Node> {
    if context.depth > DEPTH_MAX {
        return fail(input, SyntaxFault::TooDeep { most: DEPTH_MAX });
    }
    let (mut rest, first) = branch(context, input)?;
    let mut branches = vec![first];
    while let Some(after) = rest.strip_prefix('|') {
        let (after, next) = branch(context, after)?;
        branches.push(next);
        rest = after;
    }
    Ok((rest, context.only_or(branches, Kind::Alternation, input, rest)))
}

/// Pieces one after the other.
fn branch(context: Context, input: &str) -> Parsed<'_, Node> {
    let mut pieces = Vec::new();
    let mut rest = input;
    loop {
        rest = nothing(context, rest)?.0;
        if rest.is_empty() || rest.starts_with(['|', ')']) {
            break;
        }
        // `(?i)` holds to the end of its group, alternatives included: `a(?i)b|c` is `a(?i:b|c)` in Oniguruma.
        if let Ok((after, flags)) = terminated(|i| switches(context, i), char(')')).parse(rest) {
            let (after, node) = alternation(context.deeper(flags), after)?;
            pieces.push(node);
            rest = after;
            break;
        }
        let (after, node) = piece(context, rest)?;
        pieces.push(node);
        rest = after;
    }
    Ok((rest, context.only_or(pieces, Kind::Concat, input, rest)))
}

impl Context {
    /// The only node of the list, or all of them as one.
    fn only_or(self, mut nodes: Vec<Node>, join: fn(Vec<Node>) -> Kind, from: &str, to: &str) -> Node {
        match nodes.pop() {
            Some(only) if nodes.is_empty() => only,
            last => {
                nodes.extend(last);
                self.node(join(nodes), from, to)
            }
        }
    }
}

/// What stands in a pattern and means nothing: comments, and white space under `x`.
fn nothing(context: Context, input: &str) -> Parsed<'_, ()> {
    let mut rest = input;
    loop {
        let start = rest;
        if rest.starts_with("(?#") {
            match rest.find(')') {
                Some(end) => rest = &rest[end + 1..],
                None => return fail(start, SyntaxFault::UnclosedGroup),
            }
        }
        if context.flags.extended {
            rest = rest.trim_start();
            if rest.starts_with('#') {
                rest = rest.find('\n').map_or("", |at| &rest[at..]);
            }
        }
        if rest.len() == start.len() {
            return Ok((rest, ()));
        }
    }
}

/// `(?im-x`, without what ends it: the flags that then hold.
pub(super) fn switches(context: Context, input: &str) -> Parsed<'_, Flags> {
    let names = (take_while(is_switch), opt(preceded(char('-'), take_while1(is_switch))));
    let some = |(on, off): &(&str, Option<&str>)| !on.is_empty() || off.is_some();
    let (rest, (on, off)) = preceded(tag("(?"), verify(names, some)).parse(input)?;
    let mut flags = context.flags;
    for (names, to) in [(on, true), (off.unwrap_or(""), false)] {
        for name in names.chars() {
            match name {
                'i' => flags.ignore_case = to,
                'm' => flags.dot_all = to,
                _ => flags.extended = to,
            }
        }
    }
    Ok((rest, flags))
}

fn is_switch(c: char) -> bool {
    matches!(c, 'i' | 'm' | 'x')
}

/// An atom and the repetitions after it.
fn piece(context: Context, input: &str) -> Parsed<'_, Node> {
    let (mut rest, mut node) = atom(context, input)?;
    let mut repeated = 0;
    loop {
        let Ok((after, (min, max, mode))) = quantifier(nothing(context, rest)?.0) else { return Ok((rest, node)) };
        repeated += 1;
        if repeated > DEPTH_MAX {
            return fail(rest, SyntaxFault::TooDeep { most: DEPTH_MAX });
        }
        if max.is_some_and(|max| max < min) {
            return fail(rest, SyntaxFault::RepeatOrder);
        }
        if min.max(max.unwrap_or(0)) > REPEAT_MAX {
            return fail(rest, SyntaxFault::RepeatTooOften { most: REPEAT_MAX });
        }
        node = context.node(Kind::Repeat { node: Box::new(node), min, max, mode }, input, after);
        rest = after;
    }
}

type Quantifier = (u32, Option<u32>, Mode);

/// `*`, `+?`, `{2,5}` …; any other brace is no repetition but text.
fn quantifier(input: &str) -> Parsed<'_, Quantifier> {
    let bounds = alt((value((0, None), char('*')), value((1, None), char('+')), value((0, Some(1)), char('?'))));
    let suffix = alt((value(Mode::Lazy, char('?')), value(Mode::Possessive, char('+'))));
    let short = (bounds, opt(suffix)).map(|((min, max), mode)| (min, max, mode.unwrap_or(Mode::Greedy)));
    // In Ruby's syntax nothing in braces is possessive, `a{2}+` repeats `a{2}`; and `a{2}?` makes it optional.
    let pair =
        verify(separated_pair(digit0, char(','), digit0), |(min, max): &(&str, &str)| *min != *max || !min.is_empty());
    let range = (delimited(char('{'), pair, char('}')), opt(char('?'))).map(|((min, max), lazy)| {
        (number(min).unwrap_or(0), number(max), if lazy.is_some() { Mode::Lazy } else { Mode::Greedy })
    });
    let exact = delimited(char('{'), digit1, char('}')).map(|n| (number(n).unwrap_or(0), number(n), Mode::Greedy));
    alt((short, range, exact)).parse(input)
}

/// `None` for no digits; too many are a very large number, which the caller refuses.
fn number(digits: &str) -> Option<u32> {
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u32::MAX))
}
