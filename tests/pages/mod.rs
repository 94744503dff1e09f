//! What stands between the fences of a Markdown page, and commands as a shell would split them.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};

/// A fenced block: what stands behind the opening fence, word by word, and the lines up to the closing one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub marks: Vec<String>,
    pub text: String,
    /// Of the opening fence, from 1.
    pub line: usize,
}

impl Block {
    pub fn is(&self, marks: &[&str]) -> bool {
        self.marks.len() >= marks.len() && self.marks.iter().zip(marks).all(|(mark, wanted)| mark == wanted)
    }

    /// Its lines, without those that say nothing; what a backslash breaks is one.
    pub fn lines(&self) -> Vec<String> {
        let whole = self.text.replace("\\\n", " ");
        whole.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
    }
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn page(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

pub fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for (line, text) in (1..).zip(page.lines()) {
        match (text.strip_prefix("```"), &mut open) {
            (Some(marks), None) => {
                let marks = marks.split_whitespace().map(str::to_owned).collect();
                open = Some(Block { marks, text: String::new(), line });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(text);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is never closed: {open:?}");
    blocks
}

/// Splits at blanks outside quotes. Enough for these pages; no escapes, no variables.
pub fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (' ', None) => words.extend(word.take()),
            ('#', None) if word.is_none() => break,
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    assert_eq!(quote, None, "a quote is left open: {line}");
    words.extend(word);
    words
}
