use proptest::prelude::*;

use super::*;

/// How grok's patterns are read: `.` matches a line end, `^` and `$` are edges of lines.
fn parsed(pattern: &str) -> Hir {
    regex_syntax::ParserBuilder::new()
        .dot_matches_new_line(true)
        .multi_line(true)
        .build()
        .parse(pattern)
        .unwrap_or_else(|e| panic!("{pattern}: {e}"))
}

fn general(pattern: &str) -> regex::Regex {
    regex::RegexBuilder::new(pattern).dot_matches_new_line(true).multi_line(true).build().unwrap()
}

/// What the general engine gives, as slots.
fn expected(regex: &regex::Regex, text: &str) -> Option<Vec<Option<usize>>> {
    let captures = regex.captures(text)?;
    let places = captures.iter().flat_map(|group| match group {
        Some(group) => [Some(group.start()), Some(group.end())],
        None => [None, None],
    });
    Some(places.collect())
}

/// Whether the scanner decided the text; if so, it said what the general engine says.
fn agrees(pattern: &str, scanner: &Scanner, regex: &regex::Regex, text: &str) -> bool {
    let mut slots = vec![None; scanner.slot_count()];
    let Some(found) = scanner.captures(text, &mut slots) else { return false };
    assert_eq!(found.then_some(slots), expected(regex, text), "{pattern:?} on {text:?}\n{:#?}", scanner.program.steps);
    true
}

/// Pieces of patterns over few characters, so that much matches.
fn pattern() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        8 => proptest::sample::select(vec![
            "a", "b", "c", "1", " ", "é", "ab", "a1", "日", "[ab]", "[a-c]", "[0-9]", "[1a]", "[^a]", "[^ab ]", ".",
            "(?-u:\\w)", "(?-u:\\d)", "[^\\n]", "(?i:k)", "[^é]",
        ]),
        1 => proptest::sample::select(vec!["^", "$", "\\A", "\\z", "(?-u:\\b)", "\\b", "\\B", "", "(?-u:\\b)a", "\\b[ab]+\\b"]),
    ]
    .prop_map(str::to_owned);
    atom.prop_recursive(5, 40, 5, |inner| {
        let count = proptest::sample::select(vec![
            "?", "*", "+", "??", "*?", "+?", "{2}", "{1,2}", "{0,2}", "{2,}", "{1,3}?", "{2,}?", "{0,3}?",
        ]);
        prop_oneof![
            5 => proptest::collection::vec(inner.clone(), 1..5).prop_map(|parts| parts.concat()),
            2 => proptest::collection::vec(inner.clone(), 2..5).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            2 => proptest::collection::vec(inner.clone(), 2..5).prop_map(|parts| format!("({})", parts.join("|"))),
            2 => inner.clone().prop_map(|part| format!("({part})")),
            4 => (inner, count).prop_map(|(part, count)| format!("(?:{part}){count}")),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec!["a", "a", "b", "b", "c", "1", "0", " ", "é", "\n", "k", "K", "日", "_"]);
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn a_scanner_says_what_the_general_engine_says(
        pattern in pattern(),
        texts in proptest::collection::vec(text(), 8),
    ) {
        if let Some(scanner) = Scanner::new(&parsed(&pattern)) {
            let regex = general(&pattern);
            for text in &texts {
                agrees(&pattern, &scanner, &regex, text);
            }
        }
    }
}
