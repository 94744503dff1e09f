//! Grok: a pattern (the first line) is refused or compiled, and matched with a text (the rest). The scanner, where the
//! pattern has one, gives exactly what the regex engine gives.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use loghound::parse::grok::{Captures, Library, Outcome, Pattern, explain};
use loghound::parse::scanner::Scanner;
use regex_automata::meta::Regex;

static LIBRARY: LazyLock<Library> = LazyLock::new(Library::standard);

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (pattern, text) = text.split_once('\n').unwrap_or((&text, ""));
    let pattern = match Pattern::compile(&LIBRARY, pattern) {
        Ok(pattern) => pattern,
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.render().is_empty());
            return;
        }
    };
    let mut captures = Captures::new();
    match pattern.matches(text, &mut captures) {
        Outcome::Match => {
            assert!(captures.whole().is_some_and(|span| text.get(span).is_some()));
            // Every value is a piece of the text: slicing it would panic else.
            assert_eq!(pattern.values(text, &captures).count(), pattern.groups().len());
        }
        Outcome::NoMatch => {
            if let Some(explanation) = explain(&LIBRARY, pattern.source(), text) {
                assert!(text.is_char_boundary(explanation.offset), "{explanation:?}");
            }
        }
        Outcome::StepLimit => assert!(pattern.needs_backtracking()),
    }
    let Some(scanner) = Scanner::new(pattern.hir()) else { return };
    let Ok(regex) = Regex::builder().build_from_hir(pattern.hir()) else { return };
    let mut slots = vec![None; scanner.slot_count()];
    let Some(found) = scanner.captures(text, &mut slots) else { return };
    let mut expected = regex.create_captures();
    regex.captures(text, &mut expected);
    assert_eq!(found, expected.is_match());
    if found {
        let spans = (0..slots.len() / 2).map(|group| expected.get_group(group));
        let expected: Vec<_> = spans.flat_map(|span| [span.map(|s| s.start), span.map(|s| s.end)]).collect();
        assert_eq!(slots, expected);
    }
});
