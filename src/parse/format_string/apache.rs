//! Apache's `LogFormat`: text with directives behind percent signs, `%!200,304>{ARGUMENT}LETTER`.
//!
//! Source: the documentation of mod_log_config, mod_logio and mod_ssl. Accepted are the bare text and the whole line of a
//! configuration (`LogFormat "…" name`, `CustomLog path "…"`). Values are escaped (`\"`, `\x22`). Names are those of the
//! `apache` grammar; a header is called as it is, `%{X}e`, `%{X}n` and `%{X}C` are `env_x`, `note_x` and `cookie_x`. Of a
//! duration the name ends in its unit: `%D` is `duration_us`, `%T` `duration_s`.

use crate::parse::patterns::Kind;
use crate::record::Role;

use super::names::plain;
use super::quoted::{self, Char};
use super::{
    CLF_TIME, FormatError, FormatFault, Piece, Placed, Shape, Value, error, header, push_char, strftime, trim_end,
};

/// The pieces of a format.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, FormatError> {
    let chars = unquote(text).map_err(|(offset, fault)| error(text, offset, fault))?;
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(&(_, c)) = chars.get(at) {
        if c == '%' {
            let (directive, end) = directive(text, &chars, at)?;
            put(&mut pieces, text, directive)?;
            at = end;
        } else {
            push_char(&mut pieces, c);
            at += 1;
        }
    }
    Ok(trim_end(pieces))
}

/// The characters of the format, out of the line of a configuration or as they are, escapes undone.
fn unquote(text: &str) -> Placed<Vec<Char>> {
    let trimmed = text.trim_start();
    let start = text.len() - trimmed.len();
    let word = trimmed.split(char::is_whitespace).next().unwrap_or_default();
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    let mut chars = Vec::new();
    if is("LogFormat") || is("CustomLog") || is("TransferLog") {
        // CustomLog's path comes first, and may be in quotes itself.
        let mut at = start + word.len();
        let mut strings = 0;
        let wanted = 1 + usize::from(!is("LogFormat") && trimmed[word.len()..].trim_start().starts_with('"'));
        while strings < wanted {
            let Some(quote) = text[at..].find('"') else { return Err((at, FormatFault::Directive)) };
            chars.clear();
            at = quoted::string(text, at + quote, &mut chars)?;
            strings += 1;
        }
        return Ok(chars);
    }
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some((_, next)) => quoted::push_unescaped(&mut chars, at, next),
                None => chars.push((at, c)),
            },
            _ => chars.push((at, c)),
        }
    }
    Ok(chars)
}

struct Directive {
    offset: usize,
    written: String,
    /// `<` the original request of a redirected one, `>` the final.
    which: Option<char>,
    argument: Option<String>,
    letter: char,
    /// `^ti`, `^to`, `^FB`.
    caret: Option<&'static str>,
}

/// The directive whose percent sign is at `start`, and where it ends.
fn directive(text: &str, chars: &[Char], start: usize) -> Result<(Directive, usize), FormatError> {
    let offset = chars[start].0;
    let mut directive =
        Directive { offset, written: String::new(), which: None, argument: None, letter: '%', caret: None };
    let mut at = start + 1;
    let mut letters = None;
    while let Some(&(place, c)) = chars.get(at) {
        at += 1;
        match c {
            '!' | ',' | '0'..='9' => {}
            '<' | '>' => directive.which = Some(c),
            '{' => {
                let Some(len) = chars[at..].iter().position(|(_, c)| *c == '}') else {
                    return Err(error(text, place, FormatFault::Unclosed("}")));
                };
                directive.argument = Some(chars[at..at + len].iter().map(|(_, c)| c).collect());
                at += len + 1;
            }
            '^' => {
                let two: String = chars[at..].iter().take(2).map(|(_, c)| c).collect();
                let Some(known) = ["ti", "to", "FB"].into_iter().find(|known| *known == two) else {
                    return Err(error(text, place, FormatFault::UnknownDirective(format!("^{two}"))));
                };
                directive.caret = Some(known);
                at += 2;
                letters = Some(c);
                break;
            }
            _ => {
                letters = Some(c);
                break;
            }
        }
    }
    let Some(letter) = letters else { return Err(error(text, offset, FormatFault::Unclosed("its letter"))) };
    directive.letter = letter;
    // Conditions decide when a value is written, not which one it is.
    let argument = directive.argument.as_ref().map_or_else(String::new, |argument| format!("{{{argument}}}"));
    let which = directive.which.map_or_else(String::new, String::from);
    directive.written = format!("%{which}{argument}{letter}{}", directive.caret.unwrap_or_default());
    Ok((directive, at))
}

fn put(pieces: &mut Vec<Piece>, text: &str, directive: Directive) -> Result<(), FormatError> {
    let plain_time = directive.letter == 't' && directive.argument.as_ref().is_none_or(String::is_empty);
    match directive.letter {
        '%' => push_char(pieces, '%'),
        // The time comes in brackets.
        't' if plain_time => {
            push_char(pieces, '[');
            pieces.push(Piece::Value(value(text, directive)?));
            push_char(pieces, ']');
        }
        _ => pieces.push(Piece::Value(value(text, directive)?)),
    }
    Ok(())
}

fn value(text: &str, directive: Directive) -> Result<Value, FormatError> {
    let Directive { offset, written, which, argument, letter, caret } = directive;
    let argument = argument.filter(|argument| !argument.is_empty());
    let unknown = |known| {
        let argument = argument.clone().unwrap_or_default();
        Err(error(text, offset, FormatFault::UnknownArgument { directive: letter, argument, known }))
    };
    let needed = || argument.as_deref().ok_or_else(|| error(text, offset, FormatFault::NoArgument(letter)));
    let named = |first: &str| Ok(plain(&format!("{first} {}", needed()?)));
    let given = argument.as_deref();
    let number = |digits: &str| Shape::Like { pattern: digits.to_owned(), kind: Kind::Int, ends_itself: false };
    let time = Shape::Like { pattern: CLF_TIME.to_owned(), kind: Kind::Text, ends_itself: true };
    match (letter, caret) {
        ('i', None) => return Ok(header::value(needed()?, "request", written, offset)),
        ('o', None) => return Ok(header::value(needed()?, "response", written, offset)),
        (_, Some("ti")) => return Ok(header::value(needed()?, "request_trailer", written, offset)),
        (_, Some("to")) => return Ok(header::value(needed()?, "response_trailer", written, offset)),
        _ => {}
    }
    let (name, shape, role) = match (letter, given) {
        ('^', _) => ("first_byte_us".into(), Shape::Int, Role::Keyword),
        ('a', None) | ('h', None) => ("remote_addr".into(), Shape::Word, Role::Keyword),
        ('a' | 'h', Some("c")) => ("peer_addr".into(), Shape::Word, Role::Keyword),
        ('a' | 'h', _) => return unknown("c"),
        ('A', _) => ("server_addr".into(), Shape::Word, Role::Keyword),
        ('B' | 'b', _) => ("bytes".into(), Shape::Int, Role::Keyword),
        ('C', _) => (named("cookie")?, Shape::Any, Role::Keyword),
        ('D', _) => ("duration_us".into(), Shape::Int, Role::Keyword),
        ('e', Some("UNIQUE_ID")) => ("env_unique_id".into(), Shape::Word, Role::Id),
        ('e', _) => (named("env")?, Shape::Any, Role::Keyword),
        ('f', _) => ("filename".into(), Shape::Path, Role::Path),
        ('H', _) => ("protocol".into(), Shape::Protocol, Role::Keyword),
        ('I', _) => ("bytes_received".into(), Shape::Int, Role::Keyword),
        ('k', _) => ("keepalive_requests".into(), Shape::Int, Role::Keyword),
        ('l', _) => ("ident".into(), Shape::Word, Role::Keyword),
        ('L', _) => ("log_id".into(), Shape::Word, Role::Id),
        ('m', _) => ("method".into(), Shape::Word, Role::Keyword),
        ('n', _) => (named("note")?, Shape::Any, Role::Keyword),
        ('O', _) => ("bytes_sent".into(), Shape::Int, Role::Keyword),
        ('p', None | Some("canonical")) => ("server_port".into(), Shape::Int, Role::Keyword),
        ('p', Some("local")) => ("local_port".into(), Shape::Int, Role::Keyword),
        ('p', Some("remote")) => ("remote_port".into(), Shape::Int, Role::Keyword),
        ('p', _) => return unknown("canonical, local, remote"),
        ('P', None | Some("pid")) => ("pid".into(), Shape::Int, Role::Keyword),
        ('P', Some("tid")) => ("tid".into(), Shape::Int, Role::Keyword),
        ('P', Some("hextid")) => ("tid".into(), Shape::Word, Role::Keyword),
        ('P', _) => return unknown("pid, tid, hextid"),
        // With its question mark, or nothing.
        ('q', _) => ("query".into(), Shape::like("\\?[^ \"]*|"), Role::Path),
        ('r', _) => ("request".into(), Shape::Request, Role::Keyword),
        ('R', _) => ("handler".into(), Shape::Word, Role::Keyword),
        ('s', _) => ("status".into(), number("[0-9]{3}"), Role::Keyword),
        ('S', _) => ("bytes_transferred".into(), Shape::Int, Role::Keyword),
        ('t', None) => ("time".into(), time, Role::Id),
        ('t', Some(format)) => {
            let format = format.strip_prefix("begin:").or_else(|| format.strip_prefix("end:")).unwrap_or(format);
            match format {
                "sec" | "msec" | "usec" => (format!("time_{format}"), number("[0-9]+"), Role::Keyword),
                "msec_frac" => ("time_msec_frac".into(), number("[0-9]{3}"), Role::Keyword),
                "usec_frac" => ("time_usec_frac".into(), number("[0-9]{6}"), Role::Keyword),
                _ => ("time".into(), strftime::shape(format), Role::Id),
            }
        }
        ('T', None | Some("s")) => ("duration_s".into(), Shape::Int, Role::Keyword),
        ('T', Some("ms")) => ("duration_ms".into(), Shape::Int, Role::Keyword),
        ('T', Some("us")) => ("duration_us".into(), Shape::Int, Role::Keyword),
        ('T', _) => return unknown("s, ms, us"),
        ('u', _) => ("user".into(), Shape::Text, Role::Keyword),
        ('U', _) => ("path".into(), Shape::Path, Role::Path),
        ('v', _) => ("server_name".into(), Shape::Word, Role::Keyword),
        ('V', _) => ("host".into(), Shape::Word, Role::Keyword),
        // Of mod_ssl.
        ('c' | 'x', _) => (plain(needed()?), Shape::Any, Role::Keyword),
        ('X', _) => ("connection_status".into(), Shape::like("[X+-]"), Role::Keyword),
        _ => return Err(error(text, offset, FormatFault::UnknownDirective(letter.into()))),
    };
    let side = match which {
        Some('<') => "original",
        Some(_) => "final",
        None if letter == 's' => "original",
        None => "other",
    };
    let other_name = format!("{side}_{name}");
    Ok(Value { name, other_name, shape, role, written, offset, captured: true })
}
