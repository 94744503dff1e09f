//! A pattern for lines that nothing knows: what they have in common stands as it is, what differs becomes a field.
//!
//! The lines are those of one template. They are compared word by word; a field is named by the word before it
//! (`took 30`, `port=80`) or by what its values are. A suggestion is a beginning for a person: it is only given when it
//! fits the lines it was made from.

use std::sync::LazyLock;

use regex::Regex;

use super::FileError;
use super::file::load;

/// What a field's values are, the narrowest first: the pattern's name, how it is recognised, what the field is called
/// when no word announces it.
static KINDS: LazyLock<Vec<(&str, Regex, &str)>> = LazyLock::new(|| {
    let kind =
        |pattern, regex: &str, name| Regex::new(&format!("^(?:{regex})$")).ok().map(|regex| (pattern, regex, name));
    [
        kind("%{INT:?:int}", r"[+-]?\d{1,18}", "number"),
        kind("%{NUMBER:?:float}", r"[+-]?\d{1,15}(?:\.\d{1,15})?", "number"),
        kind(
            "%{TIMESTAMP_ISO8601:?}",
            r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
            "time",
        ),
        kind("%{IPV4:?}", r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)", "ip"),
        kind("%{UUID:?}", "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "id"),
        kind("%{LOGLEVEL:?}", "(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)", "level"),
        kind("%{WORD:?}", r"\w+", "word"),
        kind("%{NOTSPACE:?}", r"[^\s\x0b]+", "value"),
    ]
    .into_iter()
    .flatten()
    .collect()
});

/// What a word may be wrapped in.
const OPENING: &[char] = &['(', '[', '{', '<', '"', '\''];
const CLOSING: &[char] = &[')', ']', '}', '>', '"', '\'', ',', ';', ':', '.'];

/// One pattern and how it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub pattern: String,
    /// A line it was made from.
    pub line: String,
}

/// A pattern that fits all of these lines, of one template; `None` where they have too little in common.
pub fn suggest(lines: &[String]) -> Option<Suggestion> {
    let pattern = Draft::default().of(lines)?;
    // Proven as a grammar file proves itself.
    let proven = |line: &String| {
        matches!(file("suggested", &[Suggestion { pattern: pattern.clone(), line: line.clone() }]), Ok(Some(_)))
    };
    lines.iter().all(proven).then(|| Suggestion { pattern: pattern.clone(), line: lines[0].clone() })
}

/// A grammar file of the patterns, with a sample for each; `Ok(None)` when a pattern does not fit its line.
pub fn file(name: &str, suggestions: &[Suggestion]) -> Result<Option<String>, FileError> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let mut head = format!("name: {name}\nabout: lines that no grammar knew\npatterns:\n");
    for suggestion in suggestions {
        head += &format!("  - {}\n", quoted(&suggestion.pattern));
    }
    // Read with a sample that fits nothing, it says what the lines give.
    let draft = load(&format!("{head}samples: [{{line: '', fields: null}}]\n"))?;
    let mut text = format!("{head}samples:\n");
    for suggestion in suggestions {
        let mut fields = crate::record::Fields::new();
        if !draft.parse_line(&suggestion.line, &mut fields) {
            return Ok(None);
        }
        let fields = serde_json::Value::Object(fields.to_json());
        text += &format!("  - line: {}\n    fields: {fields}\n", quoted(&suggestion.line));
    }
    load(&text).map(|_| Some(text))
}

/// A pattern under way.
#[derive(Debug, Default)]
struct Draft {
    pattern: String,
    names: Vec<String>,
    literals: usize,
}

impl Draft {
    fn of(mut self, lines: &[String]) -> Option<String> {
        let first = lines.first()?;
        if lines.iter().any(|line| line.is_empty() || line.contains(['\n', '\0'])) {
            return None;
        }
        let words: Vec<Vec<&str>> = lines.iter().map(|line| words(line)).collect();
        let common = words.iter().map(Vec::len).min().unwrap_or(0);
        let same_length = words.iter().all(|words| words.len() == common);
        let column = |at: usize| words.iter().map(|words| words[at]).collect::<Vec<&str>>();
        // Of lines that differ in length, what stands behind the last place they share is text.
        let shared = if same_length { common } else { (0..common).rev().find(|at| is_shared(&column(*at)))? + 1 };
        let mut before = String::new();
        self.pattern.push('^');
        for at in 0..shared {
            // Blanks are those between the words of the first line; they are alike in all, or nothing would fit.
            let start = first.len() - first_rest(first, &words[0], at);
            let blanks = if at == 0 { &first[..start] } else { &first[end_of(first, &words[0], at - 1)..start] };
            self.literal(blanks);
            before = self.word(&column(at), &before);
        }
        if same_length {
            let rest = &first[end_of(first, &words[0], common.checked_sub(1)?)..];
            self.literal(rest);
        } else {
            self.pattern += r"\s*";
            self.field("%{GREEDYDATA:?}", "", "msg");
        }
        self.pattern.push('$');
        // Fields alone would fit everything.
        (self.literals >= 2 && !self.names.is_empty()).then_some(self.pattern)
    }

    /// Adds what one place of all lines has; returns the word that announces the next.
    fn word(&mut self, column: &[&str], before: &str) -> String {
        if column.iter().all(|word| *word == column[0]) && !is_value(column[0]) {
            self.literal(column[0]);
            return column[0].trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
        }
        let (mut core, mut before) = (column.to_vec(), before.to_owned());
        // What all begin with: brackets, quotes, and the name of a pair.
        while let Some(opening) = core[0].chars().next().filter(|c| OPENING.contains(c)) {
            match core.iter().map(|word| word.strip_prefix(opening)).collect::<Option<Vec<_>>>() {
                Some(rest) => core = rest,
                None => break,
            }
            self.literal(opening.encode_utf8(&mut [0; 4]));
        }
        if let Some((name, _)) = core[0].split_once('=')
            && !name.is_empty()
            && let Some(values) =
                core.iter().map(|word| word.strip_prefix(name)?.strip_prefix('=')).collect::<Option<Vec<_>>>()
        {
            self.literal(&format!("{name}="));
            before = name.to_owned();
            core = values;
            while let Some(opening) = core[0].chars().next().filter(|c| OPENING.contains(c)) {
                match core.iter().map(|word| word.strip_prefix(opening)).collect::<Option<Vec<_>>>() {
                    Some(rest) => core = rest,
                    None => break,
                }
                self.literal(opening.encode_utf8(&mut [0; 4]));
            }
        }
        let mut closing = String::new();
        while let Some(end) = core[0].chars().next_back().filter(|c| CLOSING.contains(c)) {
            match core.iter().map(|word| word.strip_suffix(end)).collect::<Option<Vec<_>>>() {
                Some(rest) if rest.iter().all(|word| !word.is_empty()) => core = rest,
                _ => break,
            }
            closing.insert(0, end);
        }
        let fits = |(_, regex, _): &&(&str, Regex, &str)| core.iter().all(|word| regex.is_match(word));
        match KINDS.iter().find(fits) {
            Some((pattern, _, name)) => self.field(pattern, &before, name),
            None => self.field("%{DATA:?}", &before, "value"),
        }
        self.literal(&closing);
        String::new()
    }

    fn literal(&mut self, text: &str) {
        self.literals += text.chars().filter(|c| c.is_alphanumeric()).count();
        self.pattern += &regex::escape(text);
    }

    /// Adds a field; `before` is the word in front of it.
    fn field(&mut self, pattern: &str, before: &str, otherwise: &str) {
        let announced = before.to_lowercase().replace('-', "_");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        // What a value is says more than a preposition or a level in front of it.
        let named = (2..=32).contains(&announced.len())
            && !["of", "to", "at", "in", "on", "by", "is", "as", "or", "and", "the", "from"]
                .contains(&announced.as_str())
            && announced.chars().all(plain)
            && announced.starts_with(|c: char| c.is_ascii_lowercase())
            && !matches!(otherwise, "time" | "level");
        let base = if named { announced } else { otherwise.to_owned() };
        let taken = |name: &String| self.names.contains(name);
        let name = std::iter::once(base.clone()).chain((2..).map(|n| format!("{base}_{n}"))).find(|name| !taken(name));
        let name = name.unwrap_or(base);
        self.pattern += &pattern.replace('?', &name);
        self.names.push(name);
    }
}

/// The words of a line; a date and a time of day are one.
fn words(line: &str) -> Vec<&str> {
    static DATE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d+)?(?: |$)").ok());
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return words;
        }
        let date = DATE.as_ref().and_then(|date| date.find(rest)).map(|found| found.as_str().trim_end().len());
        let end = date.or_else(|| rest.find(char::is_whitespace)).unwrap_or(rest.len());
        words.push(&rest[..end]);
        rest = &rest[end..];
    }
}

/// Whether all lines have the same at this place, or end it alike (`a:`, `b:`).
fn is_shared(column: &[&str]) -> bool {
    let end = column[0].chars().next_back();
    column.iter().all(|word| *word == column[0])
        || end.is_some_and(|end| CLOSING.contains(&end) && column.iter().all(|word| word.ends_with(end)))
}

/// A word that is a value though it is the same in all lines seen.
fn is_value(word: &str) -> bool {
    let core = word.trim_matches(|c: char| OPENING.contains(&c) || CLOSING.contains(&c));
    let core = core.split_once('=').map_or(core, |(_, value)| value);
    !core.is_empty() && KINDS.iter().take(6).any(|(_, regex, _)| regex.is_match(core))
}

/// Bytes of the line from the word at `at` on. The words are pieces of the line, one after the other.
fn first_rest(line: &str, words: &[&str], at: usize) -> usize {
    let mut rest = line;
    for word in &words[..at] {
        rest = rest.trim_start();
        rest = &rest[word.len()..];
    }
    rest.trim_start().len()
}

/// The byte behind the word at `at`.
fn end_of(line: &str, words: &[&str], at: usize) -> usize {
    line.len() - first_rest(line, words, at) + words[at].len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(lines: &[&str]) -> Option<String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        suggest(&lines).map(|suggestion| suggestion.pattern)
    }

    #[test]
    fn what_differs_becomes_a_field() {
        for (lines, expected) in [
            (&["job 7 took 30 ms", "job 8 took 1.5 ms"][..], r"^job %{INT:job:int} took %{NUMBER:took:float} ms$"),
            (
                &["2026-11-22 10:00:00,123 WARN pool: 4 of 10 used", "2026-11-22 10:00:01,456 INFO pool: 5 of 10 used"],
                r"^%{TIMESTAMP_ISO8601:time} %{LOGLEVEL:level} pool: %{INT:pool:int} of %{INT:number:int} used$",
            ),
            (
                &["conn from 10.0.0.1 (id=7) closed", "conn from 10.0.0.2 (id=9) closed"],
                r"^conn from %{IPV4:ip} \(id=%{INT:id:int}\) closed$",
            ),
            (
                &[r#"user="ann" port=80 in"#, r#"user="bob" port=81 in"#],
                r#"^user="%{WORD:user}" port=%{INT:port:int} in$"#,
            ),
            (
                &["cannot open a: no such file", "cannot open b: it is locked by somebody"],
                r"^cannot open %{WORD:open}:\s*%{GREEDYDATA:msg}$",
            ),
        ] {
            let found = pattern(lines);
            assert_eq!(found.as_deref(), Some(expected), "{lines:?}");
        }
        assert_eq!(pattern(&["7 8", "9 10"]), None, "nothing in common");
        assert_eq!(pattern(&["the very same", "the very same"]), None, "nothing to capture");
        assert_eq!(pattern(&[]), None);
        assert_eq!(pattern(&[""]), None);
    }

    #[test]
    fn a_file_of_suggestions_is_a_grammar() {
        let of = |lines: &[&str]| suggest(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()).unwrap();
        let all = [of(&["it's job 7 done", "it's job 8 done"]), of(&["peer 10.0.0.1 lost", "peer 10.0.0.2 lost"])];
        let text = file("mine", &all).unwrap().unwrap();
        let grammar = load(&text).unwrap();
        let mut fields = crate::record::Fields::new();
        assert!(grammar.parse_line("peer 10.9.9.9 lost", &mut fields));
        assert_eq!(serde_json::Value::Object(fields.to_json()), serde_json::json!({"peer": "10.9.9.9"}));
    }

    proptest::proptest! {
        /// Whatever the lines are: what is suggested fits them.
        #[test]
        fn suggestions_fit(lines in proptest::collection::vec(r"[a-c=\[\]('. \t%{}:0-9-]{0,24}", 1..4)) {
            if let Some(suggestion) = suggest(&lines) {
                let text = file("mine", std::slice::from_ref(&suggestion)).unwrap().unwrap();
                let grammar = load(&text).unwrap();
                for line in &lines {
                    proptest::prop_assert!(grammar.parse_line(line, &mut crate::record::Fields::new()), "{line:?}");
                }
            }
        }
    }
}
