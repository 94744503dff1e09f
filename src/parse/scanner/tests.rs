use proptest::prelude::*;

use super::*;

/// `PROPTEST_CASES`, or so many.
pub(super) fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

/// How grok's patterns are read: `.` matches a line end, `^` and `$` are edges of lines.
pub(super) fn parsed(pattern: &str) -> Hir {
    regex_syntax::ParserBuilder::new()
        .dot_matches_new_line(true)
        .multi_line(true)
        .build()
        .parse(pattern)
        .unwrap_or_else(|e| panic!("{pattern}: {e}"))
}

pub(super) fn general(pattern: &str) -> regex::Regex {
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
pub(super) fn pattern() -> impl Strategy<Value = String> {
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

pub(super) fn text() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec!["a", "a", "b", "b", "c", "1", "0", " ", "é", "\n", "k", "K", "日", "_"]);
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(4_000)))]
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

/// Runs that overlap what follows them, one after another: what gives back, takes more, and must remember.
fn runs() -> impl Strategy<Value = String> {
    let class =
        proptest::sample::select(vec![".", ".", "[^b]", "[ab]", "[^1]", "[a1]", "[ab1]", "(?:a|ab)", "(?:[ab]1?)"]);
    let count = proptest::sample::select(vec!["*", "*?", "+", "+?", "*", "*?", "{1,3}", "{0,4}?"]);
    let after =
        proptest::sample::select(vec!["", "a", "b", "1", "ab", "b1", "[ab]", "[b1]", "é", "$", "(?:a|b1)", "(b)?"]);
    let run = (class, count, after).prop_map(|(class, count, after)| format!("({class}{count}){after}"));
    let loops = proptest::collection::vec(run.clone(), 1..3).prop_map(|runs| format!("(?:{}1)*", runs.concat()));
    proptest::collection::vec(prop_oneof![6 => run, 1 => loops], 2..6).prop_map(|runs| runs.concat())
}

fn run_text() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec!["a", "a", "a", "b", "b", "1", "é", "\n"]);
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1_000)))]
    #[test]
    fn many_runs_say_what_the_general_engine_says(
        pattern in runs(),
        texts in proptest::collection::vec(run_text(), 8),
    ) {
        if let Some(scanner) = Scanner::new(&parsed(&pattern)) {
            let regex = general(&pattern);
            for text in &texts {
                agrees(&pattern, &scanner, &regex, text);
            }
        }
    }
}

/// The lines of a format, wrappers of container runtimes included; none where the corpus is not at hand.
fn corpus(format: &str) -> Vec<String> {
    let shared = std::env::var_os("LOGHOUND_SHARED")
        .map_or_else(|| std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), Into::into);
    let Ok(text) = std::fs::read_to_string(shared.join("corpus").join(format).join("lines.ndjson")) else {
        return Vec::new();
    };
    let line = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["line"].as_str().map(str::to_owned);
    text.lines().filter_map(line).collect()
}

/// One line of each, for where there is no corpus, and lines cut short.
const LINES: &[&str] = &[
    "W1124 00:58:17.986343       1 lease.go:223] Resetting endpoints for master service \"kubernetes\" to [192.168.65.3]",
    "[2024-11-08T06:56:49.132Z] \"POST /a b HTTP/2\" 200 - 0 2504306 97 96 \"198.51.100.188\" \"weird\"agent\" \"902d\" \"10.96.0.1\" \"172.21.141.224:50051\"",
    "192.0.2.17 - - [22/Jan/2019:03:58:27 +0330] \"GET /image/7B?a=b HTTP/1.1\" 200 5 \"https://a/\" \"Mozilla/5.0 (é)\" \"-\"",
    "::1 - bob@example.com [05/Mär/2026:14:33:09 +0330] \"-\" 400 - \"-\" \"\\\"x\\\"\"",
    "fe80::1%eth0 - - [05/Mar/2026:14:33:09 +0330] \"GET  /\" 400 - \"-\" '-'",
    "2017-05-16 00:09:08.029 25743 INFO nova.api [req-2f1a - - -] [instance: 70c1714b-c11b-4c88-b300-239afe1f5ff8] x",
];

#[test]
fn real_patterns_on_real_lines() {
    for (format, name, grok) in patterns::PATTERNS {
        let pattern = patterns::expanded(grok);
        let scanner = Scanner::new(&parsed(&pattern)).unwrap_or_else(|| panic!("no scanner for {name}"));
        let regex = general(&pattern);
        let lines = corpus(format);
        let mut undecided = 0;
        for line in lines.iter().map(String::as_str).chain(LINES.iter().copied()).filter(|line| line.len() < 10_000) {
            undecided += usize::from(!agrees(&pattern, &scanner, &regex, line));
        }
        assert_eq!(undecided, 0, "{name}");
        for line in LINES {
            for (cut, _) in line.char_indices() {
                assert!(agrees(&pattern, &scanner, &regex, &line[..cut]), "{name}: {:?}", &line[..cut]);
            }
        }
    }
}

#[test]
fn most_patterns_have_a_scanner_that_decides() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut compiled, mut decided, mut matched) = (0, 0, 0);
    for _ in 0..2_000 {
        let pattern = pattern().new_tree(&mut runner).unwrap().current();
        let text = text().new_tree(&mut runner).unwrap().current();
        let Some(scanner) = Scanner::new(&parsed(&pattern)) else { continue };
        let regex = general(&pattern);
        compiled += 1;
        decided += u32::from(agrees(&pattern, &scanner, &regex, &text));
        matched += u32::from(regex.is_match(&text));
    }
    // What the property test above rests on: it is not about nothing.
    assert!(compiled > 1_500 && decided > compiled * 9 / 10, "{compiled} {decided}");
    assert!(matched > compiled / 10 && matched < compiled * 9 / 10, "{matched} of {compiled}");
}

#[test]
fn what_has_no_scanner() {
    let check = |pattern: &str, expected: bool| {
        assert_eq!(Scanner::new(&parsed(pattern)).is_some(), expected, "{pattern:?}");
    };
    check(r"\d+", false);
    check("[a-zé]+", true);
    check("[à-ü]+", false);
    check("(?R)^a$", false);
    check(r"\b{start}a", false);
    check("(a*)*", false);
    check("(?:a|b*)+c", true);
    check(r"(?-u:\d)+ [[:alpha:]]", true);
    check("(?:(?:(?:a|(b)){0,99}c){0,99}d){0,99}", false);
}

/// The work a text may cost is bounded in its length, and long hopeless texts are given up early or decided early.
#[test]
fn work_is_linear_in_the_text() {
    let check = |pattern: &str, piece: &str, tail: &str, decides: bool| {
        let scanner = Scanner::new(&parsed(pattern)).unwrap_or_else(|| panic!("no scanner for {pattern:?}"));
        for count in [1_000, 10_000, 100_000] {
            let text = piece.repeat(count) + tail;
            let mut slots = vec![None; scanner.slot_count()];
            let (decided, spent) = scanner.measured(&text, &mut slots);
            let a_byte = spent as f64 / text.len() as f64;
            assert!(a_byte < 10.0, "{pattern:?} spent {a_byte} a byte of {}", text.len());
            assert_eq!(decided.is_some(), decides, "{pattern:?} on {count} of {piece:?}");
            if decides && count == 1_000 {
                agrees(pattern, &scanner, &general(pattern), &text);
            }
        }
    };
    check("(?:a+)+b", "a", "", true);
    check("(?:a+)+[bc]", "a", "", false);
    check("(x+x+)+y", "x", "", true);
    check("(x+x+)+[yz]", "x", "", false);
    check("(a|b|ab)*c", "ab", "", true);
    check("(a|b|ab)*[cd]", "ab", "", false);
    check("^(.*?) (.*?) (.*?) (.*?) (.*?)x$", "a ", "", true);
    check("^(.*?) (.*?) (.*?) (.*?) (.*?)x$", "a ", "x", true);
    check("^(.*) (.*) (.*) (.*) (.*)[xy]$", "a ", "", true);
    check("^\"(.*?)\" \"(.*?)\" (.*?) (.*?) [0-9]$", "\" ", "", true);
    check(r"(?:a?){20}a{20}", "a", "", true);
    check("^a.*b$", "a\n", "", true);
    check("a.*b.*[cd]", "ab", "", true);
}
