//! Patterns and texts that would hold up a backtracking engine, or fill the memory.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::{Captures, Fault, Library, Outcome, Pattern, SyntaxFault};

fn fault(library: &Library, pattern: &str) -> Fault {
    Pattern::compile(library, pattern).map(|_| ()).unwrap_err().fault
}

#[test]
fn ten_thousand_alternatives() {
    let mut pattern = "^(?<word>".to_owned();
    (0..10_000).for_each(|n| write!(pattern, "{}word{n}", if n > 0 { "|" } else { "" }).unwrap());
    pattern.push_str(")$");
    let compiled = Pattern::compile(&Library::empty(), &pattern).unwrap();
    let mut captures = Captures::new();
    assert_eq!(compiled.matches("word9999", &mut captures), Outcome::Match);
    assert_eq!(captures.get(0), Some(0..8));
    assert_eq!(compiled.matches("word10000", &mut captures), Outcome::NoMatch);
}

#[test]
fn too_much_is_an_error() {
    let mut library = Library::empty();
    // Each definition names the one before it twice: a thousand million pieces in two kilobytes.
    library.define("A0", "(?:a|b)").unwrap();
    (1..30).for_each(|n| library.define(&format!("A{n}"), &format!("%{{A{}}}%{{A{}}}", n - 1, n - 1)).unwrap());
    assert_eq!(fault(&library, "%{A29}"), Fault::TooManySteps { most: 10_000 });
    library.define("LONG", &"ab|".repeat(100)).unwrap();
    assert_eq!(fault(&library, &"%{LONG}".repeat(9_000)), Fault::TooManyPieces { most: 500_000 });
    assert!(matches!(fault(&library, "(?:(?:a{1000}){1000}){1000}"), Fault::TooLarge { .. }));
    assert!(matches!(fault(&library, r"(?:\p{L}{1,1000}){1000}"), Fault::TooLarge { .. }));
    // As deep as one text may go, and a chain of definitions that each go a little deeper.
    let deep = |levels| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Pattern::compile(&library, &deep(30)).is_ok());
    for levels in [35, 100_000] {
        assert!(matches!(fault(&library, &deep(levels)), Fault::Syntax(SyntaxFault::TooDeep { .. })));
    }
    for (pattern, opening) in [("[".repeat(100_000), "classes"), (format!("a{}", "{2}".repeat(1000)), "repetitions")] {
        assert!(matches!(fault(&library, &pattern), Fault::Syntax(SyntaxFault::TooDeep { .. })), "{opening}");
    }
    library.define("C0", "a").unwrap();
    (1..2000).for_each(|n| library.define(&format!("C{n}"), &format!("(%{{C{}}})", n - 1)).unwrap());
    assert!(matches!(fault(&library, "%{C1999}"), Fault::Syntax(SyntaxFault::TooDeep { .. })));
    assert!(Pattern::compile(&library, "%{C60}").is_ok());
}

#[test]
fn nested_quantifiers_take_linear_time() {
    let text = "a".repeat(200_000);
    for pattern in ["^(?:(?:a+)+)+$", "^(?<x>(a|aa)+)+b", "(?:a*)*b", "(?<x>.*)(?<y>.*)(?<z>.*)=", "(?:a?){50}a{50}b"] {
        let compiled = Pattern::compile(&Library::standard(), pattern).unwrap();
        assert!(!compiled.needs_backtracking());
        compiled.matches(&text, &mut Captures::new());
    }
}

#[test]
fn a_line_of_ten_megabytes() {
    let library = Library::standard();
    let mut captures = Captures::new();
    let line = format!("Nov 24 00:58:17 host app[12]: {}", "x ".repeat(5 << 20));
    let compiled = Pattern::compile(&library, "^%{SYSLOGLINE}$").unwrap();
    assert_eq!(compiled.matches(&line, &mut captures), Outcome::Match);
    let compiled = Pattern::compile(&library, "%{COMBINEDAPACHELOG}").unwrap();
    assert_eq!(compiled.matches(&line, &mut captures), Outcome::NoMatch);
    // The fallback does not begin with a text of this length.
    let compiled = Pattern::compile(&library, "(?<x>.*)(?=x x)").unwrap();
    assert_eq!(compiled.matches(&line, &mut captures), Outcome::StepLimit);
}

#[test]
fn the_fallback_has_an_end() {
    // A second would be far too much for one line; these take a few milliseconds each, in an optimised build.
    let texts = ["a".repeat(30), "a".repeat(5_000), "a b ".repeat(16_000)];
    for pattern in [r"(?=(?:(?:a+)+)+$)a+b|(?>x*)a", r"(?<x>(?:a|a)+)(?=c)|(?<!b )a", r"(?<q>a)(?:.*\k<q>)+z"] {
        let compiled = Pattern::compile(&Library::standard(), pattern).unwrap();
        for text in &texts {
            let start = Instant::now();
            compiled.matches(text, &mut Captures::new());
            assert!(start.elapsed() < Duration::from_secs(20), "{pattern} took {:?}", start.elapsed());
        }
    }
}
