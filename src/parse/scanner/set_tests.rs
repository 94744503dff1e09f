use proptest::prelude::*;

use super::PatternSet;
use super::tests::{cases, general, parsed, pattern, text};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1_000)))]
    #[test]
    fn no_pattern_that_matches_is_left_out(
        patterns in proptest::collection::vec(pattern(), 1..6),
        texts in proptest::collection::vec(text(), 4),
    ) {
        let set = PatternSet::new(&patterns.iter().map(|pattern| parsed(pattern)).collect::<Vec<_>>());
        let mut found = Vec::new();
        for text in &texts {
            set.candidates(text, &mut found);
            prop_assert!(found.is_sorted_by(|a, b| a < b));
            for (number, pattern) in patterns.iter().enumerate() {
                prop_assert!(found.contains(&number) || !general(pattern).is_match(text), "{pattern:?} on {text:?}");
            }
        }
    }
}

#[test]
fn patterns_are_told_apart() {
    let patterns = [
        r"^[IWEF][0-9]{4} .*\] ",
        r#"^\[.*\] "(.*) HTTP/"#,
        r"([0-9]+) - - \[",
        r"\A\{.*\}",
        r"^(?:[a-z]+|[0-9])=",
        r"^[0-9]{4}-.* (?:INFO|ERROR) .* \[-\] ",
        ".*",
        r"\p{Lu}x",
        "^$",
    ];
    let set = PatternSet::new(&patterns.map(parsed));
    let check = |text: &str, expected: &[usize]| {
        let mut found = vec![99];
        set.candidates(text, &mut found);
        assert_eq!(found, expected, "{text:?}");
    };
    check("I0102 x] y", &[0, 6, 7]);
    check("I0102 x]y", &[6, 7]);
    check("[x] \"GET HTTP/1.1\"", &[1, 6, 7]);
    check("1 - - [x] ", &[2, 4, 6, 7]);
    check("{}", &[3, 6, 7]);
    check("a=", &[4, 6, 7]);
    check("2026-01-02 INFO x [-] ", &[4, 5, 6, 7]);
    check("Ax", &[6, 7]);
    check("", &[6, 7, 8]);
    // A pattern may begin at the second line, but not where it is tied to the text's beginning.
    check("x\n{}", &[4, 6, 7, 8]);
    check("x\nI0102 x] y", &[0, 4, 6, 7, 8]);
}
