//! What patterns mean, by PROTOCOLS section 4.

use super::{Captures, Library, Outcome, Pattern};

/// `field=value` of every group that took part, in storing order; `None` for no match.
fn fields(pattern: &str, text: &str) -> Option<Vec<String>> {
    let pattern = Pattern::compile(&Library::standard(), pattern).unwrap_or_else(|e| panic!("{}", e.render()));
    let mut captures = Captures::new();
    match pattern.matches(text, &mut captures) {
        Outcome::Match => {}
        Outcome::NoMatch => return None,
        Outcome::StepLimit => panic!("step limit: {text}"),
    }
    let values = pattern.values(text, &captures).filter_map(|(group, value)| {
        let value = group.kind.value(value?);
        Some(format!("{}={value}", group.field.path().join("/")))
    });
    Some(values.collect())
}

#[track_caller]
fn check(pattern: &str, text: &str, expected: &[&str]) {
    let found = fields(pattern, text).unwrap_or_else(|| panic!("{pattern:?} does not match {text:?}"));
    assert_eq!(found, expected, "{pattern:?} on {text:?}");
}

#[track_caller]
fn no_match(pattern: &str, text: &str) {
    assert_eq!(fields(pattern, text), None, "{pattern:?} on {text:?}");
}

#[test]
fn combined_apache_log() {
    let line = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)""#;
    check(
        "%{COMBINEDAPACHELOG}",
        line,
        &[
            r#"clientip="127.0.0.1""#,
            r#"ident="-""#,
            r#"auth="frank""#,
            r#"timestamp="10/Oct/2000:13:55:36 -0700""#,
            r#"verb="GET""#,
            r#"request="/apache_pb.gif""#,
            r#"httpversion="1.0""#,
            r#"response="200""#,
            r#"bytes="2326""#,
            r#"referrer="\"http://www.example.com/start.html\"""#,
            r#"agent="\"Mozilla/4.08 [en] (Win98; I ;Nav)\"""#,
        ],
    );
}

#[test]
fn every_standard_pattern_is_linear() {
    let library = Library::standard();
    assert!(library.names().count() > 300);
    for name in library.names() {
        let pattern = Pattern::compile(&library, &format!("%{{{name}}}")).unwrap_or_else(|e| panic!("{}", e.render()));
        assert!(!pattern.needs_backtracking(), "{name}");
    }
}

#[test]
fn look_around_at_a_character_is_exact() {
    // The digits of an address's last part are not cut short, as they would be if the look-ahead were dropped.
    no_match("%{IPV4:ip}", "1.2.3.4567");
    no_match("%{IPV4:ip}", "x21.2.3.4567 ");
    check("%{IPV4:ip}", "1.2.3.4567 10.0.0.1.", &[r#"ip="10.0.0.1""#]);
    check("%{IP:ip}", "9999.2.3.4 10.0.0.1", &[r#"ip="10.0.0.1""#]);
    no_match("%{NUMBER:n}%", "v1.22.333%");
    check("%{GREEDYDATA:a}%{NUMBER:b}", "took 123", &[r#"a="took ""#, r#"b="123""#]);
    check(r"(?<a>\w+)%{NUMBER:b}", "abc12", &[r#"a="abc""#, r#"b="12""#]);
    check("%{TIME:t}.%{INT:ms}", "01:02:03.456", &[r#"t="01:02:03""#, r#"ms="456""#]);
}

#[test]
fn references_to_patterns() {
    check("%{INT}", "a 12", &[]);
    check("%{INT:n}", "a 12", &[r#"n="12""#]);
    check("%{INT:n:int}", "a 12", &["n=12"]);
    check("%{INT:n:int:more}", "a 12", &["n=12"]);
    check("%{INT:n:long}", "a 12", &[r#"n="12""#]);
    check("%{NUMBER:n:float}s", "1.5s", &["n=1.5"]);
    check("%{INT:[a][b-c.d@e]}", "1", &[r#"a/b-c.d@e="1""#]);
    check("%{INT - A COMMENT}", "1", &[]);
    check("%{INT:n what follows the name means nothing}", "1", &[r#"n="1""#]);
    check("%{ID:id=[a-f]{2}}-%{ID:id}", "ab-cd", &[r#"id="ab""#, r#"id="cd""#]);
    check("%{ID=[a-f]+}x", "abx", &[]);
    check("(?<a>%{ID:b=(?<c>x)y})", "xy", &[r#"a="xy""#, r#"b="xy""#, r#"c="x""#]);
    check("(?<INT:n:int>\\d+)", "12", &["n=12"]);
    // Values of one label stand together, as upstream hands them over.
    check("%{INT:n} %{WORD:w} %{INT:n}", "1 a 2", &[r#"n="1""#, r#"n="2""#, r#"w="a""#]);
    // A percent sign that begins no reference is a character.
    check("(?<p>%{}|%{-}|100%)", "100%", &[r#"p="100%""#]);
}

#[test]
fn regex_mode() {
    check("a.b(?<x>.)", "a\nbc", &[r#"x="c""#]);
    check("^(?<x>b)$", "a\nb\nc", &[r#"x="b""#]);
    no_match(r"\Ab\z", "a\nb");
    check(r"(?<x>b)\Z", "ab\n", &[r#"x="b""#]);
    check(r"(?<x>a|ab)", "ab", &[r#"x="a""#]);
    check(r"(?<x>[[:alnum:]]+)", "é1_", &[r#"x="é1""#]);
    check(r"(?<x>\w+)", "éab", &[r#"x="ab""#]);
    check(r"(?<x>\d+)", "٣4", &[r#"x="4""#]);
    check(r"(?<x>\h+)", "xyzAf09g", &[r#"x="Af09""#]);
    check(r"\bé(?<x>b)", "aé éb", &[r#"x="b""#]);
    check(r"(?<x>\S+)", "\u{a0}b c", &["x=\"\u{a0}b\""]);
    check(r"(?<x>\x41\u0042\t)", "AB\t", &[r#"x="AB\t""#]);
    check(r"(?<x>\<a\>)", "<a>", &[r#"x="<a>""#]);
    check(r"(?<x>[a[^b-z]]+)", "bAa", &[r#"x="Aa""#]);
    check(r"(?<x>[a-z&&[^aeiou]]+)", "aebcd", &[r#"x="bcd""#]);
    check(r"(?<x>[]a]+)", "b]a", &[r#"x="]a""#]);
    check(r"(?<x>[\w-]+)", "+a-b", &[r#"x="a-b""#]);
    check(r"(?<x>[--/~~]+)", "a-./~", &[r#"x="-./~""#]);
    check(r"(?<x>\p{Greek}+)", "aαβ", &[r#"x="αβ""#]);
    check(r"{(?<x>}|{a}|b{,2})", "{{a}", &[r#"x="{a}""#]);
    check(r"a{2}(?<x>a{,2})b", "aaaab", &[r#"x="aa""#]);
    check(r"(?<x>a+?)(?<y>a*)", "aaa", &[r#"x="a""#, r#"y="aa""#]);
    check(r"(?<x>(a|b)+)", "abc", &[r#"x="ab""#]);
    check(r"(?i)a(?-i)(?<x>b)", "AB Ab", &[r#"x="b""#]);
    check(r"(?<x>a(?i)b|c)", "aC", &[r#"x="aC""#]);
    check(r"(?i:%{WORD=x}(?<x>[^b]))", "XB xc", &[r#"x="c""#]);
    check("(?x) a b # both\n (?<x>c)", "abc", &[r#"x="c""#]);
    check("a(?#nothing)(?<x>b)", "ab", &[r#"x="b""#]);
    check(r"(?<x>\r\n)", "a\r\n", &[r#"x="\r\n""#]);
    check(r"(?<x>\R)b", "a\r\nb", &[r#"x="\r\n""#]);
}

/// Patterns for the fallback.
#[test]
fn what_needs_backtracking_is_exact_too() {
    for (pattern, text, expected) in [
        (r"(?<x>\w+)(?= end)", "a b end", Some(vec![r#"x="b""#])),
        (r"foo(?!bar)(?<x>\w*)", "foobar fooba", Some(vec![r#"x="ba""#])),
        (r"(?<!foo)bar(?<x>\d)", "foobar1 bar2", Some(vec![r#"x="2""#])),
        (r"(?<x>(?>a+))ab", "aab", None),
        (r"(?<x>a++)b", "aab", Some(vec![r#"x="aa""#])),
        (r"(?<q>['\x22])(?<x>.*?)\k<q>", r#"'a"b'"#, Some(vec![r#"q="'""#, r#"x="a\"b""#])),
        (r"(?:(?=ab))*a(?:(?!bc))+(?<x>b)", "abc ab", Some(vec![r#"x="b""#])),
        (r"(?=%{INT:a})%{WORD:b}", "12x 12", Some(vec![r#"a="12""#, r#"b="12x""#])),
    ] {
        let compiled = Pattern::compile(&Library::standard(), pattern).unwrap();
        assert!(compiled.needs_backtracking(), "{pattern}");
        let expected = expected.map(|fields| fields.into_iter().map(str::to_owned).collect());
        assert_eq!(fields(pattern, text), expected, "{pattern}");
    }
    assert!(Pattern::compile(&Library::standard(), r"(.)\1").unwrap().needs_backtracking());
    check(r"(.)\1", "abb", &[]);
    no_match(r"(.)\1", "abc");
}

#[test]
fn mistakes_are_pointed_at() {
    let mut library = Library::standard();
    library.define("BROKEN", "a(b").unwrap();
    library.define("LOOP", "x%{POOL}").unwrap();
    library.define("POOL", "%{LOOP}").unwrap();
    for (pattern, says) in [
        ("a)", "pattern:2: there is no group to close here: write \\) to mean the character"),
        ("ab(c", "pattern:3: this group is not closed"),
        ("ö(", "pattern:2: this group is not closed"),
        ("a|*b", "pattern:3: nothing to repeat: write a backslash before it to mean the character"),
        ("a{3,2}", "pattern:2: the repetition's bounds are the wrong way round"),
        ("a{100001}", "pattern:2: a repetition of more than 100000"),
        ("x[a", "pattern:2: this character class is not closed: write \\[ to mean the character"),
        ("[z-a]", "pattern:2: the class's range is the wrong way round"),
        ("[[:digits:]]", "pattern:2: unknown class [:digits:]"),
        (r"\p{Klingon}", "pattern:1: unknown property \"Klingon\""),
        ("[%{INT}]", "pattern:2: a pattern reference cannot stand inside a character class"),
        ("a\\", "pattern:2: an escape without its character"),
        (r"\x{110000}", "pattern:1: no character has this number"),
        (r"a\g<x>", "pattern:2: calling a group (\\g) is not supported"),
        ("(?<>x)", "pattern:1: a group's name is missing or not closed"),
        (r"\k<x>", "pattern:1: there is no group \"x\" to refer back to"),
        (r"(?<a>x)\1", "pattern:1: a pattern with named groups refers back by name: \\k<name>"),
        ("x %{BROKEN}", "BROKEN:2: this group is not closed"),
        ("%{LOOP}", "POOL:1: the pattern needs more than 10000 expansions: does it contain itself?"),
        ("%{NOSUCHTHING:x}", "pattern:1: unknown pattern %{NOSUCHTHING}"),
    ] {
        let error = Pattern::compile(&library, pattern).map(|_| ()).unwrap_err();
        let Some(rest) = error.to_string().strip_prefix(says).map(str::to_owned) else { panic!("{pattern}: {error}") };
        assert!(rest.is_empty() || rest.starts_with(';') || rest.starts_with(':'), "{pattern}: {error}");
    }
    let error = Pattern::compile(&library, "(?~a)").unwrap_err();
    assert!(
        error.render().starts_with("pattern:1: unknown kind of group") && error.render().ends_with("\n  (?~a)\n  ^")
    );
}

#[test]
fn the_rewritten_patterns() {
    check(
        "^%{HAPROXYDATE:d}$",
        "09/Dec/2013:12:59:46.633",
        &[
            r#"d="09/Dec/2013:12:59:46.633""#,
            r#"haproxy_monthday="09""#,
            r#"haproxy_month="Dec""#,
            r#"haproxy_year="2013""#,
            r#"haproxy_time="12:59:46""#,
            r#"haproxy_hour="12""#,
            r#"haproxy_minute="59""#,
            r#"haproxy_second="46""#,
            r#"haproxy_milliseconds="633""#,
        ],
    );
    let line = "Nov  1 21:14:23 scorn su[22693]: pam_unix(su:session): session opened for user root by (uid=0)";
    check(
        "%{SYSLOGPAMSESSION}",
        line,
        &[
            r#"timestamp="Nov  1 21:14:23""#,
            r#"logsource="scorn""#,
            r#"program="su""#,
            r#"pid="22693""#,
            r#"message="pam_unix(su:session): session opened for user root by (uid=0)""#,
            r#"pam_module="pam_unix""#,
            r#"pam_caller="su:session""#,
            r#"pam_session_state="opened""#,
            r#"username="root""#,
            r#"pam_by="(uid=0)""#,
        ],
    );
    let line = "query db.coll query: { a: { b: 1 } } ntoreturn:1 ntoskip:2 nscanned:3 keys:0 nreturned:4 reslen:80 5ms";
    check(
        "%{MONGO_SLOWQUERY}",
        line,
        &[
            r#"database="db""#,
            r#"collection="coll""#,
            r#"query="{ a: { b: 1 } }""#,
            r#"ntoreturn="1""#,
            r#"ntoskip="2""#,
            r#"nscanned="3""#,
            r#"nreturned="4""#,
            r#"duration="5""#,
        ],
    );
    check(r"ID=\d+\s+(?:%{IPTABLES4_FRAG:f})?\s+P", "ID=1 CE DF P", &[r#"f="CE DF""#]);
    check("%{QS:q} %{QS:r} %{QS:s}", r#""a\"b" '' `c`"#, &[r#"q="\"a\\\"b\"""#, r#"r="''""#, r#"s="`c`""#]);
    no_match("%{QS:q}", r#"\"a"#);
    check("%{YEAR:y}", "20245", &[r#"y="2024""#]);
    check("%{WINPATH:p}", r"at C:\a b\c", &[r#"p="C:\\a b\\c""#]);
}

/// The book's filter for klog (PROTOCOLS section 3.2): a bracket that closes nothing, and names of the definitions
/// only where all captures are asked for.
#[test]
fn the_books_klog_filter() {
    let text = r"(?<level>.)(?<DAYOFMONTH>\d\d)(?<MONTHDAY>\d\d) %{TIME:timeofday} *%{INT:thread_id} %{NOTSPACE:filename}:%{INT:line_number}] %{GREEDYDATA:msg}";
    let line = "W1124 00:58:17.986343       1 lease.go:223] Resetting endpoints";
    let names = |named_only: bool| {
        let pattern = Pattern::compile_with(&Library::standard(), text, named_only).unwrap();
        let mut captures = Captures::new();
        assert_eq!(pattern.matches(line, &mut captures), Outcome::Match);
        let found = pattern.values(line, &captures).filter(|(_, value)| value.is_some());
        found.map(|(group, _)| group.field.path().join(".")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(true), "level DAYOFMONTH MONTHDAY timeofday thread_id filename line_number msg");
    assert_eq!(
        names(false),
        "level DAYOFMONTH MONTHDAY timeofday HOUR MINUTE SECOND thread_id filename line_number msg"
    );
    no_match(text, "W1124 00:58:17.986343       1 lease.go:223]");
}
