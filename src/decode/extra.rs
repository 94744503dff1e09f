//! Text of what belongs neither to the stream nor to the line: `Event::extra`, and its hash.

use super::event::{Extras, add_member};
use super::hash::{Keys, MemberSum};
use super::marks::Marks;
use super::scan::{Scan, Span};

/// Key of the value of an `@timestamp` that is not a time.
pub const BAD_TIMESTAMP: &str = "timestamp_invalid";

/// Writes the extras of an event into `out` as one compact JSON object.
pub fn write(text: &str, extras: &Extras, spaced: bool, out: &mut String) {
    out.clear();
    out.push('{');
    for &(start, end) in &extras.top {
        separate(out);
        compact(&text[start..end], spaced, out);
    }
    if !extras.log.is_empty() {
        separate(out);
        out.push_str("\"log\":{");
        for (i, &(start, end)) in extras.log.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            compact(&text[start..end], spaced, out);
        }
        out.push('}');
    }
    if let Some((start, end)) = extras.bad_timestamp {
        separate(out);
        out.push('"');
        out.push_str(BAD_TIMESTAMP);
        out.push_str("\":");
        compact(&text[start..end], spaced, out);
    }
    out.push('}');
}

fn separate(out: &mut String) {
    if out.len() > 1 {
        out.push(',');
    }
}

/// Copies JSON without the blanks between its tokens.
fn compact(json: &str, spaced: bool, out: &mut String) {
    if !spaced {
        return out.push_str(json);
    }
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            quoted = c == '"';
        }
        out.push(c);
    }
}

/// A hash of an object that does not depend on the order of its members; the same in every process.
pub fn hash(object: &str) -> u64 {
    let mut marks = Marks::default();
    let mut scan = Scan::new(object, &mut marks);
    let mut sum = MemberSum::default();
    if scan.peek() == b'{' {
        // It was accepted once already; were it not, equal texts would still have equal hashes.
        let _ = add_member(&mut scan, &Keys::FIXED, 0, Span::default(), 0, &mut sum);
    }
    let sum = sum.to_u128();
    sum as u64 ^ (sum >> 64) as u64
}
