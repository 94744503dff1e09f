//! Times by a format of strftime(3): what they look like.

use super::Shape;
use crate::parse::patterns::Kind;

/// The shape of times in that format. Seconds since 1970 are numbers, with or without a fraction.
pub(super) fn shape(format: &str) -> Shape {
    let (mut pattern, mut specifiers) = (String::new(), Vec::new());
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            super::pattern::push_escaped(&mut pattern, c);
            continue;
        }
        // Envoy's `%3f`, and the modifiers of the GNU and POSIX forms (`%-d`, `%Ey`).
        let digits = chars.next_if(char::is_ascii_digit);
        while chars.next_if(|c| matches!(c, '-' | '_' | '^' | '#' | 'E' | 'O')).is_some() {}
        let specifier = chars.next().unwrap_or('%');
        specifiers.push(specifier);
        match (specifier, digits) {
            ('f', Some(digits)) => pattern.push_str(&format!("[0-9]{{{digits}}}")),
            ('f', None) => pattern.push_str("[0-9]{9}"),
            _ => pattern.push_str(of(specifier)),
        }
    }
    let kind = match specifiers[..] {
        ['s'] if format == "%s" => Kind::Int,
        ['s', 'f'] if format.starts_with("%s.%") => Kind::Float,
        _ => Kind::Text,
    };
    Shape::Like { pattern, kind, ends_itself: false }
}

fn of(specifier: char) -> &'static str {
    match specifier {
        'Y' | 'G' => "[0-9]{4}",
        'C' | 'd' | 'g' | 'H' | 'I' | 'm' | 'M' | 'S' | 'U' | 'V' | 'W' | 'y' => "[0-9]{2}",
        'e' | 'k' | 'l' => "[ 0-9]?[0-9]",
        'j' => "[0-9]{3}",
        'u' | 'w' => "[0-9]",
        's' => "[0-9]+",
        // A locale may write these in letters beyond ASCII, and with a dot.
        'a' | 'A' | 'b' | 'B' | 'h' => "[^\\[\\]\" 0-9,/:-]+",
        'p' | 'P' => "[A-Za-z.]*",
        'z' => "[+-][0-9]{4}",
        'Z' => "[A-Za-z0-9+-]*",
        'D' => "[0-9]{2}/[0-9]{2}/[0-9]{2}",
        'F' => "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        'R' => "[0-9]{2}:[0-9]{2}",
        'T' => "[0-9]{2}:[0-9]{2}:[0-9]{2}",
        'n' => "\\n",
        't' => "\\t",
        '%' => "%",
        // The locale's own forms.
        _ => ".+?",
    }
}
