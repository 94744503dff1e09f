//! Named patterns: the standard ones, and those of files in Logstash's format.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::rewrite::rewritten;
use crate::config::distance;

/// A set of named patterns. Cheap to clone; a later definition of a name wins.
#[derive(Debug, Clone, Default)]
pub struct Library {
    definitions: Arc<HashMap<String, String>>,
}

/// A definition that cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    #[error("line {line}: the pattern {name} ends with white space: remove it, or write [ ] if it is meant")]
    TrailingSpace { line: usize, name: String },
    #[error("line {line}: no pattern can be named {name:?}: a name has letters, digits and _")]
    Name { line: usize, name: String },
}

/// The standard names (Logstash's legacy set), as the `grok` crate carries them.
static STANDARD: LazyLock<Library> = LazyLock::new(|| {
    let define = |(name, text): &(&str, &str)| ((*name).to_owned(), rewritten(name, text).into_owned());
    Library { definitions: Arc::new(::grok::patterns().iter().map(define).collect()) }
});

impl Library {
    /// No names at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The standard names: `INT`, `IP`, `TIMESTAMP_ISO8601`, `COMBINEDAPACHELOG` ….
    pub fn standard() -> Self {
        STANDARD.clone()
    }

    /// Adds one definition. `text` is kept as it is: a mistake in it shows when a pattern that uses it is compiled.
    pub fn define(&mut self, name: &str, text: &str) -> Result<(), LibraryError> {
        self.define_at(1, name, text)
    }

    /// Adds the definitions of a pattern file: a line is `NAME pattern`, a comment (`#`), or blank; a line with a name
    /// alone is passed over, as upstream does. Lines before a mistake are added.
    pub fn define_all(&mut self, file: &str) -> Result<(), LibraryError> {
        for (index, line) in file.lines().enumerate() {
            let line = line.trim_start();
            let Some((name, text)) = line.split_once(char::is_whitespace) else { continue };
            let text = text.trim_start();
            if !name.starts_with('#') && !text.is_empty() {
                self.define_at(index + 1, name, text)?;
            }
        }
        Ok(())
    }

    fn define_at(&mut self, line: usize, name: &str, text: &str) -> Result<(), LibraryError> {
        if text.ends_with(char::is_whitespace) {
            return Err(LibraryError::TrailingSpace { line, name: name.to_owned() });
        }
        if name.is_empty() || !name.chars().all(|c| matches!(c, 'A'..='z' | '0'..='9')) {
            return Err(LibraryError::Name { line, name: name.to_owned() });
        }
        Arc::make_mut(&mut self.definitions).insert(name.to_owned(), rewritten(name, text).into_owned());
        Ok(())
    }

    /// The text of a pattern, without what would need backtracking.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.definitions.get(name).map(String::as_str)
    }

    /// Every name, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.definitions.keys().map(String::as_str)
    }

    /// The name that is most like one that does not exist, if it is like it at all.
    pub(super) fn nearest(&self, name: &str) -> Option<&str> {
        let upper = name.to_ascii_uppercase();
        let far = |known: &&str| distance(known, &upper);
        let most = upper.chars().count() / 3;
        self.names().filter(|known| far(known) <= most).min_by_key(|known| (far(known), *known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_files() {
        let mut library = Library::empty();
        library.define_all("# comment\n\n  ONE \\d+\nTWO\t a b\r\nONLYNAME\n#X y\nONE \\w+\n").unwrap();
        assert_eq!(library.get("ONE"), Some("\\w+"));
        assert_eq!(library.get("TWO"), Some("a b"));
        assert_eq!(library.names().count(), 2);
        assert_eq!(
            library.define_all("A b\nC d \n"),
            Err(LibraryError::TrailingSpace { line: 2, name: "C".to_owned() })
        );
        assert_eq!(library.define("a-b", "x"), Err(LibraryError::Name { line: 1, name: "a-b".to_owned() }));
    }

    #[test]
    fn adding_leaves_other_copies_alone() {
        let mut library = Library::standard();
        library.define("INT", "x").unwrap();
        assert_eq!(library.get("INT"), Some("x"));
        assert_ne!(Library::standard().get("INT"), Some("x"));
    }

    #[test]
    fn the_nearest_name() {
        let library = Library::standard();
        for (name, nearest) in [
            ("HTTPDATES", Some("HTTPDATE")),
            ("number", Some("NUMBER")),
            ("SYSLOGLIN", Some("SYSLOGLINE")),
            ("Q7", None),
        ] {
            assert_eq!(library.nearest(name), nearest, "{name}");
        }
    }
}
