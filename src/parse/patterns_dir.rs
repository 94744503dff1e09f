//! `patterns_dir` of a grammar file: pattern files as Logstash has them, unmodified.
//!
//! What a record was parsed with is kept with its day, as the grammar's text; so the definitions that a grammar needs of
//! those files become part of its text when it is read, and a later change of a pattern file is another version of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::grok::Library;

const KEY: &str = "patterns_dir";
/// What a grammar's own definitions are called; the second is Logstash's word.
const DEFINITIONS: [&str; 2] = ["definitions", "pattern_definitions"];
/// A larger file is none of patterns.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The text with the definitions it needs in place of its `patterns_dir`; paths in it are relative to `base`.
///
/// # Errors
/// What is wrong, and with which file.
pub(super) fn inlined(text: String, base: &Path) -> Result<String, String> {
    if !text.contains(KEY) {
        return Ok(text);
    }
    // What is no YAML is told with its place when the grammar is read.
    let Ok(mut file) = serde_saphyr::from_str::<Map<String, Json>>(&text) else { return Ok(text) };
    let dirs: Vec<String> = match file.remove(KEY) {
        None => return Ok(text),
        Some(Json::String(dir)) => vec![dir],
        Some(Json::Array(dirs)) if dirs.iter().all(Json::is_string) => {
            dirs.iter().filter_map(Json::as_str).map(str::to_owned).collect()
        }
        Some(other) => return Err(format!("{KEY}: {other} is neither a path nor a list of paths")),
    };
    let mut library = Library::empty();
    for dir in dirs {
        for path in files(&base.join(dir))? {
            let at = |problem: String| format!("{KEY}: {}: {problem}", path.display());
            let size = fs::metadata(&path).map_err(|error| at(format!("cannot be read: {error}")))?.len();
            if size > FILE_BYTES_MAX {
                return Err(at(format!("has {size} bytes: a pattern file has at most {FILE_BYTES_MAX}")));
            }
            let patterns = fs::read_to_string(&path).map_err(|error| at(format!("cannot be read: {error}")))?;
            library.define_all(&patterns).map_err(|error| at(error.to_string()))?;
        }
    }
    let mut needed = Json::Object(file.clone()).to_string();
    let mut definitions = Map::new();
    for name in DEFINITIONS {
        if let Some(Json::Object(own)) = file.remove(name) {
            definitions.extend(own);
        }
    }
    // What a definition needs is needed too.
    let mut seen = BTreeSet::new();
    while !needed.is_empty() {
        let mut next = String::new();
        for name in names(&needed) {
            if !seen.insert(name.clone()) || definitions.contains_key(&name) {
                continue;
            }
            if let Some(pattern) = library.get(&name) {
                next.push_str(pattern);
                definitions.insert(name, Json::String(pattern.to_owned()));
            }
        }
        needed = next;
    }
    file.insert(DEFINITIONS[0].to_owned(), Json::Object(definitions));
    // JSON is YAML.
    Ok(Json::Object(file).to_string())
}

/// A file, or the files of a directory in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("{KEY}: {}: cannot be read: {error}", path.display());
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// The names in `%{NAME}`, `%{NAME:field}`, `%{NAME:field:type}`.
fn names(text: &str) -> impl Iterator<Item = String> {
    text.split("%{").skip(1).filter_map(|rest| {
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        (!name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Parser, load};
    use crate::record::Fields;

    const GRAMMAR: &str = "name: mine\npatterns_dir: ./patterns\npattern_definitions: {OWN: 'v\\d+'}\n\
        patterns: ['^%{ORDER:order} %{OWN:version} %{INT:n:int}$']\n\
        samples: [{line: 'AB-12 v7 5', fields: {order: AB-12, version: v7, n: 5}}]\n";

    #[test]
    fn pattern_files_of_logstash_are_taken_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let patterns = dir.path().join("patterns");
        fs::create_dir(&patterns).unwrap();
        fs::write(patterns.join("orders"), "# ours\nLETTERS [A-Z]{2}\nORDER %{LETTERS}-%{DIGITS}\nUNUSED (broken\n")
            .unwrap();
        fs::write(patterns.join("more"), "DIGITS \\d+\n").unwrap();
        fs::write(dir.path().join("mine.yaml"), GRAMMAR).unwrap();
        let parser = Parser::with_directory(dir.path()).unwrap();
        let mut fields = Fields::new();
        assert!(parser.parse_as("mine", "CD-3 v1 2", &mut fields));
        // The text that days keep stands by itself, with what it needs and no more.
        let source = &parser.grammar("mine").unwrap().source;
        assert!(load(source).is_ok() && !source.contains("UNUSED") && !source.contains(KEY), "{source}");
        assert!(source.contains("LETTERS"), "{source}");
        // A changed pattern is another version of the grammar.
        let before = parser.grammar("mine").unwrap().version;
        fs::write(patterns.join("more"), "DIGITS [0-9]+\n").unwrap();
        assert_ne!(Parser::with_directory(dir.path()).unwrap().grammar("mine").unwrap().version, before);

        fs::write(patterns.join("more"), "DIGITS x \n").unwrap();
        let problem = Parser::with_directory(dir.path()).unwrap_err().remove(0);
        assert!(problem.contains("more: line 1: the pattern DIGITS ends with white space"), "{problem}");
        fs::write(dir.path().join("mine.yaml"), GRAMMAR.replace("./patterns", "nowhere")).unwrap();
        let problem = Parser::with_directory(dir.path()).unwrap_err().remove(0);
        assert!(problem.contains("nowhere: cannot be read"), "{problem}");
        fs::write(dir.path().join("mine.yaml"), GRAMMAR.replace("./patterns", "7")).unwrap();
        let problem = Parser::with_directory(dir.path()).unwrap_err().remove(0);
        assert!(problem.contains("7 is neither a path nor a list"), "{problem}");
    }
}
