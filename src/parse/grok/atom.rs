//! The smallest pieces of a pattern: characters, escapes, groups, references.

use nom::bytes::complete::{tag, take_till, take_till1, take_while_m_n, take_while1};
use nom::character::complete::{anychar, char, digit1, satisfy};
use nom::combinator::{opt, recognize};
use nom::error::{ErrorKind, ParseError};
use nom::sequence::{delimited, preceded, terminated};
use nom::{AsChar, Parser};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look};

use super::class::{self, Set};
use super::error::SyntaxFault;
use super::syntax::{Context, Fault, Parsed, alternation, fail, switches};
use super::tree::{Flags, Kind, Node, Reference};

/// One atom; the input is not empty.
pub(super) fn atom(context: Context, input: &str) -> Parsed<'_, Node> {
    let (rest, first) = anychar(input)?;
    let (rest, kind) = match first {
        '(' => return group(context, input),
        ')' => return fail(input, SyntaxFault::UnopenedGroup),
        '*' | '+' | '?' => return fail(input, SyntaxFault::NothingToRepeat),
        '[' => {
            let (rest, set) = class::bracketed(context.flags, input)?;
            (rest, Kind::Leaf(Hir::class(Class::Unicode(set))))
        }
        '\\' => escape(context, input)?,
        '.' if context.flags.dot_all => (rest, Kind::Leaf(Hir::dot(Dot::AnyChar))),
        '.' => (rest, Kind::Leaf(Hir::dot(Dot::AnyCharExceptLF))),
        '^' => (rest, Kind::Leaf(Hir::look(Look::StartLF))),
        '$' => (rest, Kind::Leaf(Hir::look(Look::EndLF))),
        '%' => match reference(context.flags, input) {
            Ok((rest, reference)) => (rest, Kind::Reference(reference)),
            Err(_) => (rest, literal(context.flags, first)),
        },
        _ => (rest, literal(context.flags, first)),
    };
    Ok((rest, context.node(kind, input, rest)))
}

/// One character that means itself.
fn literal(flags: Flags, c: char) -> Kind {
    if !flags.ignore_case {
        return Kind::Leaf(Hir::literal(c.to_string().into_bytes()));
    }
    let mut set = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    set.case_fold_simple();
    Kind::Leaf(Hir::class(Class::Unicode(set)))
}

/// What a group's content becomes.
type Wrap = fn(Node) -> Kind;

/// The groups without a name, by what opens them.
const OPENINGS: [(&str, Wrap); 6] = [
    ("(?:", |node| node.kind),
    ("(?=", |node| Kind::Look { ahead: true, negative: false, node: Box::new(node) }),
    ("(?!", |node| Kind::Look { ahead: true, negative: true, node: Box::new(node) }),
    ("(?<=", |node| Kind::Look { ahead: false, negative: false, node: Box::new(node) }),
    ("(?<!", |node| Kind::Look { ahead: false, negative: true, node: Box::new(node) }),
    ("(?>", |node| Kind::Atomic(Box::new(node))),
];

/// Everything that begins with a parenthesis.
fn group(context: Context, input: &str) -> Parsed<'_, Node> {
    let inner = context.deeper(context.flags);
    for (opening, wrap) in OPENINGS {
        if let Some(rest) = input.strip_prefix(opening) {
            return closed(context, input, alternation(inner, rest)?, wrap);
        }
    }
    if let Ok((rest, flags)) = terminated(|i| switches(context, i), char(':')).parse(input) {
        return closed(context, input, alternation(inner.deeper(flags), rest)?, |node| node.kind);
    }
    if ["(?<", "(?'", "(?P<"].iter().any(|opening| input.starts_with(opening)) {
        let Ok((rest, name)) = group_name(input) else { return fail(input, SyntaxFault::GroupName) };
        let content = alternation(inner, rest)?;
        return closed(context, input, content, |node| Kind::Named { name: name.to_owned(), node: Box::new(node) });
    }
    if input.starts_with("(?") {
        return fail(input, SyntaxFault::UnknownGroup);
    }
    closed(context, input, alternation(inner, &input[1..])?, |node| Kind::Group(Box::new(node)))
}

fn group_name(input: &str) -> Parsed<'_, &str> {
    let angled = delimited(char('<'), take_till1(|c| c == '>'), char('>'));
    let quoted = delimited(char('\''), take_till1(|c| c == '\''), char('\''));
    preceded((tag("(?"), opt(char('P'))), angled.or(quoted)).parse(input)
}

/// The closing parenthesis of the group that began at `input`.
fn closed<'a>(
    context: Context,
    input: &'a str,
    (rest, content): (&'a str, Node),
    wrap: impl Fn(Node) -> Kind,
) -> Parsed<'a, Node> {
    match rest.strip_prefix(')') {
        Some(rest) => Ok((rest, context.node(wrap(content), input, rest))),
        None => fail(input, SyntaxFault::UnclosedGroup),
    }
}

/// Everything that begins with a backslash, outside a class.
fn escape(context: Context, input: &str) -> Parsed<'_, Kind> {
    let Ok((rest, letter)) = preceded(char('\\'), anychar::<_, Fault>).parse(input) else {
        return fail(input, SyntaxFault::UnfinishedEscape);
    };
    let look = |look| Ok((rest, Kind::Leaf(Hir::look(look))));
    match letter {
        'A' => look(Look::Start),
        'z' => look(Look::End),
        // At the end, or before a line feed that ends the text. What follows it in a pattern can match nothing else,
        // so taking the line feed in is the same.
        'Z' => {
            let feed = Hir::literal(&b"\n"[..]);
            let optional = regex_syntax::hir::Repetition { min: 0, max: Some(1), greedy: true, sub: Box::new(feed) };
            Ok((rest, Kind::Leaf(Hir::concat(vec![Hir::repetition(optional), Hir::look(Look::End)]))))
        }
        'b' => look(Look::WordUnicode),
        'B' => look(Look::WordUnicodeNegate),
        // Moves where the whole match is said to begin; no field depends on that.
        'K' => Ok((rest, Kind::Leaf(Hir::empty()))),
        'R' => {
            let single = Hir::class(Class::Unicode(ClassUnicode::new(
                [('\n', '\r'), ('\u{85}', '\u{85}'), ('\u{2028}', '\u{2029}')]
                    .map(|(a, b)| ClassUnicodeRange::new(a, b)),
            )));
            Ok((rest, Kind::Leaf(Hir::alternation(vec![Hir::literal(&b"\r\n"[..]), single]))))
        }
        'G' => fail(input, SyntaxFault::Unsupported("\\G")),
        'X' => fail(input, SyntaxFault::Unsupported("\\X")),
        'g' => fail(input, SyntaxFault::Unsupported("calling a group (\\g)")),
        'k' => {
            let angled = delimited(char('<'), take_till1(|c| c == '>'), char('>'));
            let quoted = delimited(char('\''), take_till1(|c| c == '\''), char('\''));
            match angled.or(quoted).parse(rest) {
                Ok((rest, name)) => Ok((
                    rest,
                    match name.parse() {
                        Ok(number) => Kind::BackNumber(number),
                        Err(_) => Kind::BackName(name.to_owned()),
                    },
                )),
                Err::<_, nom::Err<Fault>>(_) => fail(input, SyntaxFault::GroupName),
            }
        }
        '1'..='9' => {
            let (rest, digits) = digit1(&input[1..])?;
            match digits.parse() {
                Ok(number) => Ok((rest, Kind::BackNumber(number))),
                Err(_) => fail(input, SyntaxFault::NoSuchCharacter),
            }
        }
        _ => {
            let (rest, set) = class::escaped(input)?;
            Ok((
                rest,
                match set {
                    Set::One(c) => literal(context.flags, c),
                    Set::Many(mut set) => {
                        if context.flags.ignore_case {
                            set.case_fold_simple();
                        }
                        Kind::Leaf(Hir::class(Class::Unicode(set)))
                    }
                },
            ))
        }
    }
}

/// `%{NAME:field:type=definition anything}`; an error means that this percent sign is only a character.
fn reference(flags: Flags, input: &str) -> Parsed<'_, Reference> {
    let name = take_while1(|c: char| matches!(c, 'A'..='z' | '0'..='9'));
    let semantic = take_while1(|c: char| matches!(c, '@' | ':' | '.' | '-' | 'A'..='z' | '0'..='9'));
    let (rest, (name, semantic, definition)) =
        preceded(tag("%{"), (name, opt(preceded(char(':'), semantic)), opt(preceded(char('='), definition))))
            .parse(input)?;
    let (rest, _) = terminated(take_till(|c| c == '}'), char('}')).parse(rest)?;
    let reference = Reference {
        name: name.to_owned(),
        semantic: semantic.map(str::to_owned),
        definition: definition.map(str::to_owned),
        flags,
    };
    Ok((rest, reference))
}

/// The text of an inline definition: up to the brace that closes the reference. Braces inside it come in pairs, or
/// behind a backslash.
fn definition(input: &str) -> Parsed<'_, &str> {
    let (mut depth, mut escaped) = (0u32, false);
    let end = input.find(|c| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match c {
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' if depth == 0 => return true,
            '}' => depth -= 1,
            _ => {}
        }
        false
    });
    match end {
        Some(end) if end > 0 => Ok((&input[end..], &input[..end])),
        _ => Err(nom::Err::Error(Fault::from_error_kind(input, ErrorKind::TakeUntil))),
    }
}

/// A number in a base, as the character it stands for.
pub(super) fn numbered<'a>(at: &'a str, rest: &'a str, digits: &str, base: u32) -> Parsed<'a, char> {
    match u32::from_str_radix(digits, base).ok().and_then(char::from_u32) {
        Some(c) => Ok((rest, c)),
        None => fail(at, SyntaxFault::NoSuchCharacter),
    }
}

/// Some hexadecimal digits.
pub(super) fn hex_digits(least: usize, most: usize, input: &str) -> Parsed<'_, &str> {
    take_while_m_n(least, most, AsChar::is_hex_digit).parse(input)
}

/// Some octal digits.
pub(super) fn octal_digits(input: &str) -> Parsed<'_, &str> {
    recognize((satisfy(|c| c.is_digit(8)), opt(satisfy(|c| c.is_digit(8))), opt(satisfy(|c| c.is_digit(8)))))
        .parse(input)
}
