//! Character classes: `[…]`, `\d`, `[[:alnum:]]`, `\p{…}`, as sets of characters.
//!
//! `\d \w \s \h` are ASCII, `[[:alnum:]]` and its like are Unicode, as the reference engine has them on UTF-8 text.

use nom::Parser;
use nom::bytes::complete::{tag, take_till1, take_while};
use nom::character::complete::{anychar, char};
use nom::combinator::opt;
use nom::sequence::{delimited, preceded, terminated};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use super::atom::{hex_digits, numbered, octal_digits};
use super::error::SyntaxFault;
use super::syntax::{Fault, Parsed, fail};
use super::tree::Flags;

/// Classes inside classes.
const DEPTH_MAX: u32 = 20;

/// What an escape stands for.
pub(super) enum Set {
    One(char),
    Many(ClassUnicode),
}

/// `[…]`; the input begins with the bracket.
pub(super) fn bracketed(flags: Flags, input: &str) -> Parsed<'_, ClassUnicode> {
    nested(flags, 0, input)
}

fn nested(flags: Flags, depth: u32, input: &str) -> Parsed<'_, ClassUnicode> {
    if depth > DEPTH_MAX {
        return fail(input, SyntaxFault::TooDeep { most: DEPTH_MAX });
    }
    let (mut rest, negated) = preceded(char('['), opt(char('^'))).parse(input)?;
    let (mut all, mut part) = (None::<ClassUnicode>, ClassUnicode::empty());
    let mut first = true;
    loop {
        if rest.is_empty() {
            return fail(input, SyntaxFault::UnclosedClass);
        }
        // `[]a]`: a bracket that would close an empty class is a member, if another one closes it.
        if let Some(after) = rest.strip_prefix(']').filter(|after| !first || !after.contains(']')) {
            let mut set = joined(all, part);
            if flags.ignore_case {
                set.case_fold_simple();
            }
            if negated.is_some() {
                set.negate();
            }
            return Ok((after, set));
        }
        if let Some(after) = rest.strip_prefix("&&") {
            all = Some(joined(all, std::mem::replace(&mut part, ClassUnicode::empty())));
            (rest, first) = (after, false);
            continue;
        }
        first = false;
        let (after, member) = member(flags, depth, rest)?;
        rest = match member {
            Set::Many(set) => {
                part.union(&set);
                after
            }
            Set::One(from) => {
                let (after, to) = range_end(flags, depth, rest, after, from)?;
                part.push(ClassUnicodeRange::new(from, to));
                after
            }
        };
    }
}

/// What stands after `&&` narrows what stood before it.
fn joined(all: Option<ClassUnicode>, part: ClassUnicode) -> ClassUnicode {
    match all {
        None => part,
        Some(mut all) => {
            all.intersect(&part);
            all
        }
    }
}

/// The `-z` of a range that began with `from`; `from` itself where there is none, as in `[a-]` and `[a-\d]`.
fn range_end<'a>(flags: Flags, depth: u32, at: &'a str, after: &'a str, from: char) -> Parsed<'a, char> {
    let Some(end) = after.strip_prefix('-').filter(|end| !end.is_empty() && !end.starts_with([']', '['])) else {
        return Ok((after, from));
    };
    match member(flags, depth, end)? {
        (_, Set::One(to)) if to < from => fail(at, SyntaxFault::RangeOrder),
        (rest, Set::One(to)) => Ok((rest, to)),
        (_, Set::Many(_)) => Ok((after, from)),
    }
}

/// One member of a class: a character, an escape, a class in a class.
fn member(flags: Flags, depth: u32, input: &str) -> Parsed<'_, Set> {
    if input.starts_with("[:")
        && let Ok((rest, set)) = posix(input)
    {
        return set.map_or_else(|why| fail(input, why), |set| Ok((rest, Set::Many(set))));
    }
    if input.starts_with('[') {
        return nested(flags, depth + 1, input).map(|(rest, set)| (rest, Set::Many(set)));
    }
    if input.starts_with("%{") && input[2..].starts_with(|c: char| c.is_ascii_alphanumeric()) && input.contains('}') {
        return fail(input, SyntaxFault::ReferenceInClass);
    }
    if let Some(rest) = input.strip_prefix("\\b") {
        return Ok((rest, Set::One('\x08')));
    }
    if input.starts_with('\\') {
        return escaped(input);
    }
    anychar(input).map(|(rest, c)| (rest, Set::One(c)))
}

/// `[:alpha:]`, `[:^alpha:]`. An error means that the bracket begins an ordinary class.
fn posix(input: &str) -> Parsed<'_, Result<ClassUnicode, SyntaxFault>> {
    let name = take_while(|c: char| c.is_ascii_alphabetic());
    let (rest, (negated, name)) = delimited(tag("[:"), (opt(char('^')), name), tag(":]")).parse(input)?;
    Ok((
        rest,
        posix_class(name).ok_or_else(|| SyntaxFault::UnknownPosixClass(name.to_owned())).map(|mut set| {
            if negated.is_some() {
                set.negate();
            }
            set
        }),
    ))
}

/// The sets behind the POSIX names.
fn posix_class(name: &str) -> Option<ClassUnicode> {
    unicode(match name {
        "alnum" => r"[\p{L}\p{M}\p{Nd}]",
        "alpha" => r"[\p{L}\p{M}]",
        "ascii" => r"[\x00-\x7f]",
        "blank" => r"[\p{Zs}\t]",
        "cntrl" => r"\p{Cc}",
        "digit" => r"\p{Nd}",
        "graph" => r"[^\p{White_Space}\p{Cc}\p{Cn}\p{Cs}]",
        "lower" => r"\p{Lowercase}",
        "print" => r"[[^\p{White_Space}\p{Cc}\p{Cn}\p{Cs}]\p{Zs}]",
        "punct" => r"[\p{P}$+<=>^`|~]",
        "space" => r"\p{White_Space}",
        "upper" => r"\p{Uppercase}",
        "word" => r"[\p{L}\p{M}\p{Nd}\p{Pc}]",
        "xdigit" => r"[0-9A-Fa-f]",
        _ => return None,
    })
}

/// A class in the words of regex-syntax.
fn unicode(text: &str) -> Option<ClassUnicode> {
    match regex_syntax::parse(text).ok()?.into_kind() {
        HirKind::Class(Class::Unicode(set)) => Some(set),
        // A set of one is folded into a literal.
        HirKind::Literal(one) => {
            let c = std::str::from_utf8(&one.0).ok()?.chars().next()?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
        }
        _ => None,
    }
}

fn ranges<const N: usize>(pairs: [(char, char); N], negated: bool) -> Set {
    let mut set = ClassUnicode::new(pairs.map(|(from, to)| ClassUnicodeRange::new(from, to)));
    if negated {
        set.negate();
    }
    Set::Many(set)
}

/// The escapes that mean the same inside a class and outside; the input begins with the backslash.
pub(super) fn escaped(input: &str) -> Parsed<'_, Set> {
    let Ok((rest, letter)) = preceded(char('\\'), anychar::<_, Fault>).parse(input) else {
        return fail(input, SyntaxFault::UnfinishedEscape);
    };
    let one = |c| Ok((rest, Set::One(c)));
    match letter {
        'd' | 'D' => Ok((rest, ranges([('0', '9')], letter == 'D'))),
        'w' | 'W' => Ok((rest, ranges([('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')], letter == 'W'))),
        's' | 'S' => Ok((rest, ranges([('\t', '\r'), (' ', ' ')], letter == 'S'))),
        'h' | 'H' => Ok((rest, ranges([('0', '9'), ('A', 'F'), ('a', 'f')], letter == 'H'))),
        't' => one('\t'),
        'n' => one('\n'),
        'r' => one('\r'),
        'f' => one('\x0c'),
        'v' => one('\x0b'),
        'a' => one('\x07'),
        'e' => one('\x1b'),
        'x' => hexadecimal(input, rest),
        'u' => match hex_digits(4, 4, rest) {
            Ok((rest, digits)) => numbered(input, rest, digits, 16).map(|(rest, c)| (rest, Set::One(c))),
            Err(_) => fail(input, SyntaxFault::UnfinishedEscape),
        },
        '0' => {
            let (rest, digits) = octal_digits(&input[1..])?;
            numbered(input, rest, digits, 8).map(|(rest, c)| (rest, Set::One(c)))
        }
        'c' => match anychar::<_, Fault>(rest) {
            Ok((rest, c)) if c.is_ascii() => Ok((rest, Set::One(char::from(c as u8 & 0x1f)))),
            _ => fail(input, SyntaxFault::UnfinishedEscape),
        },
        'p' | 'P' => property(input, rest, letter == 'P'),
        other => one(other),
    }
}

/// `\x4a`, `\x{1f600}`; the digits begin at `rest`.
fn hexadecimal<'a>(input: &'a str, rest: &'a str) -> Parsed<'a, Set> {
    let braced = delimited(char('{'), |i| hex_digits(1, 8, i), char('}'));
    match braced.or(|i| hex_digits(1, 2, i)).parse(rest) {
        Ok((rest, digits)) => numbered(input, rest, digits, 16).map(|(rest, c)| (rest, Set::One(c))),
        Err(_) => fail(input, SyntaxFault::UnfinishedEscape),
    }
}

/// `\p{Alpha}`, `\p{^Greek}`; the brace begins at `rest`.
fn property<'a>(input: &'a str, rest: &'a str, negated: bool) -> Parsed<'a, Set> {
    let name = (opt(char('^')), take_till1(|c| c == '}'));
    let Ok((rest, (caret, name))) = preceded(char('{'), terminated(name, char::<_, Fault>('}'))).parse(rest) else {
        return fail(input, SyntaxFault::UnfinishedEscape);
    };
    let known = posix_class(&name.to_ascii_lowercase()).or_else(|| unicode(&format!(r"\p{{{name}}}")));
    let Some(mut set) = known else { return fail(input, SyntaxFault::UnknownProperty(name.to_owned())) };
    if negated != caret.is_some() {
        set.negate();
    }
    Ok((rest, Set::Many(set)))
}
