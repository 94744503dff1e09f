//! What each mask hides and what it leaves.

use proptest::prelude::*;

use super::*;

fn redactor(wanted: &[&str]) -> Redactor {
    let wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
    Redactor::new(&wanted).unwrap().unwrap()
}

#[test]
fn each_mask_hides_its_kind_and_nothing_beside_it() {
    for (mask, line, expected) in [
        ("email", "user ann.lee+x@mail.example.org logged in", "user [redacted:email] logged in"),
        ("email", "git@github and a@b", "git@github and a@b"),
        ("email", "grüße an jörg ann@example.org!", "grüße an jörg [redacted:email]!"),
        ("card", "paid 4111 1111 1111 1111 ok", "paid [redacted:card] ok"),
        ("card", "paid 4111-1111-1111-1111", "paid [redacted:card]"),
        ("card", "12 4111 1111 1111 1111 7", "12 [redacted:card] 7"),
        ("card", "378282246310005,5555555555554444", "[redacted:card],[redacted:card]"),
        ("card", "id 4111111111111112 at 1700000000000", "id 4111111111111112 at 1700000000000"),
        ("ip", "from 10.1.2.3:8080 to [fe80::1]:443", "from [redacted:ip]:8080 to [[redacted:ip]]:443"),
        ("ip", "peer 2001:db8::42: closed", "peer [redacted:ip]: closed"),
        ("ip", "at 10:20:30.123 version 1.2.3 size 999.1.1.1", "at 10:20:30.123 version 1.2.3 size 999.1.1.1"),
        ("token", "login password=hunter2 done", "login password=[redacted:token] done"),
        ("token", "db_password: \"a b c\", next", "db_password: \"[redacted:token]\", next"),
        ("token", "GET /x?api_key=abc123&y=1", "GET /x?api_key=[redacted:token]&y=1"),
        ("token", "Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [redacted:token]"),
        ("token", "sent bearer abcdef0123456789.xyz", "sent bearer [redacted:token]"),
        ("token", "key AKIAIOSFODNN7EXAMPLE used", "key [redacted:token] used"),
        ("token", "jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2ln ok", "jwt [redacted:token] ok"),
        ("token", "basic authentication is on", "basic authentication is on"),
        ("/user=(\\w+)/", "user=ann uid=7", "user=[redacted] uid=7"),
        ("/ann/", "ann and ann", "[redacted] and [redacted]"),
    ] {
        assert_eq!(redactor(&[mask]).mask(line), expected, "{mask}");
    }
}

#[test]
fn a_json_line_stays_json_and_secrets_are_known_by_their_keys() {
    let redactor = redactor(NAMES);
    for (line, expected) in [
        (r#"{"card":4111111111111111,"n":7}"#, r#"{"card":"[redacted:card]","n":7}"#),
        (
            r#"{"a":{"apiKey":"x y"},"l":["a@b.example"]}"#,
            r#"{"a":{"apiKey":"[redacted:token]"},"l":["[redacted:email]"]}"#,
        ),
        (r#"{"m":"user\u0040example.org"}"#, r#"{"m":"[redacted:email]"}"#),
        (r#"{"z":1,  "a":2}"#, r#"{"z":1,  "a":2}"#),
    ] {
        let masked = redactor.mask(line);
        let (found, wanted): (Json, Json) =
            (serde_json::from_str(&masked).unwrap(), serde_json::from_str(expected).unwrap());
        assert_eq!(found, wanted, "{line}");
    }
    assert!(
        matches!(redactor.mask(r#"{"z":1,  "a":2}"#), Cow::Borrowed(_)),
        "a line with nothing to hide is not touched"
    );
}

#[test]
fn a_mask_that_cannot_be_is_an_error_that_says_how_to_write_one() {
    for (mask, part) in
        [("mail", "one of token, email"), ("/(/", "unclosed"), ("//", "no mask"), ("/x*/", "at least one")]
    {
        let error = Redactor::new(&[mask.to_owned()]).err().unwrap();
        assert!(error.contains(part), "{mask}: {error}");
    }
    assert!(Redactor::new(&[]).unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn masking_twice_changes_nothing_more(
        line in "([a-z0-9:.@ -]{0,12}|password=|token: |\"|\\[|10\\.0\\.0\\.1|fe80::1|4111 1111 1111 1111|ann@example\\.org|é|[{}'&,;]){0,12}",
    ) {
        let redactor = redactor(NAMES);
        let once = redactor.mask(&line).into_owned();
        prop_assert_eq!(redactor.mask(&once), once.clone());
    }

    #[test]
    fn what_stands_between_spaces_is_hidden_whatever_is_around_it(before in "[a-z=(<'\"]{0,8} ", after in " [a-z)>'\"]{0,8}") {
        let redactor = redactor(NAMES);
        for secret in ["ann@example.org", "4111 1111 1111 1111", "10.1.2.3", "2001:db8::42", "password=hunter2"] {
            let line = format!("{before}{secret}{after}");
            let masked = redactor.mask(&line);
            let hidden = secret.rsplit('=').next().unwrap_or(secret);
            prop_assert!(!masked.contains(hidden), "{}", masked);
        }
    }
}
