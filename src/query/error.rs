//! What is wrong with a query, and where: the text a person sees has a caret under the place.

/// A query that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Where it starts: bytes from the start of the query, on a character's edge.
    pub offset: usize,
    /// How much of the query is meant, in bytes; 0 where something is missing.
    pub len: usize,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

/// Longer queries are shown from around the error only.
const SHOWN_CHARS: usize = 100;

impl SyntaxError {
    pub(crate) fn new(offset: usize, len: usize, message: impl Into<String>) -> Self {
        Self { offset, len, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message, the query with a caret under the place, and the hint; `text` is the query that was parsed.
    /// Columns count characters, from 1.
    pub fn render(&self, text: &str) -> String {
        let floor = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (start, end) = (floor(self.offset), floor(self.offset.saturating_add(self.len)));
        let column = text[..start].chars().count();
        let marked = text[start..end].chars().count().max(1);
        // Blanks of every kind become one column wide, so that the caret stands under what it means.
        let chars: Vec<char> =
            text.chars().map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c }).collect();
        let first = if chars.len() > SHOWN_CHARS { column.saturating_sub(SHOWN_CHARS / 2) } else { 0 };
        let last = chars.len().min(first + SHOWN_CHARS);
        let (before, after) = (if first > 0 { "…" } else { "" }, if last < chars.len() { "…" } else { "" });
        let shown: String = chars[first..last].iter().collect();
        let pad = " ".repeat(column - first + before.chars().count());
        let carets = "^".repeat(marked.min((last + 1).saturating_sub(column)).max(1));
        let mut out = format!("query:{}: {}\n  {before}{shown}{after}\n  {pad}{carets}", column + 1, self.message);
        if let Some(hint) = &self.hint {
            out.push_str("\nhint: ");
            out.push_str(hint);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let error = SyntaxError::new("größe:".len(), 3, "something").hint("else");
        assert_eq!(error.render("größe:[1 x"), "query:7: something\n  größe:[1 x\n        ^^^\nhint: else");
        let long = format!("{} |", "é".repeat(300));
        let error = SyntaxError::new(long.len() - 1, 1, "no pipes");
        assert_eq!(error.render(&long), format!("query:302: no pipes\n  …{} |\n  {}^", "é".repeat(49), " ".repeat(51)));
        // A place past the end, or inside a character, is moved and not a panic.
        assert_eq!(SyntaxError::new(99, 9, "cut").render("é"), "query:2: cut\n  é\n   ^");
        assert_eq!(SyntaxError::new(1, 1, "cut").render("é"), "query:1: cut\n  é\n  ^");
    }
}
