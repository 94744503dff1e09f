//! Istio's text formats: Envoy's default with columns before the numbers and after the quoted ones.
//!
//! Source: `istio/istio: pilot/pkg/model/telemetry_logging.go` and its forerunners. Between flags and numbers:
//!
//! | Istio | columns |
//! |---|---|
//! | 1.1 – 1.2 | `"mixer status"` |
//! | 1.3 – 1.7 | `"mixer status" "transport failure reason"` |
//! | since 1.8 | `details termination "transport failure reason"` |
//!
//! After the upstream host: cluster, upstream local, downstream local and downstream remote address, server name, and
//! since 1.3 the route name. The mixer status is `-` wherever it was seen, and no field here.

use crate::record::{Fields, Role};

use super::envoy::{Row, numbers, quoted, text};

/// Which columns stand between flags and numbers; for [`Since::V1_8`] the two bare words are read already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    V1_1,
    V1_8,
}

/// Reads from the first quote after the flags to the end of the line.
pub(super) fn parse<'a>(mut row: Row<'a>, since: Since, fields: &mut Fields<'a>) -> Option<()> {
    let first = quoted_word(&mut row)?;
    let reason = if since == Since::V1_1 {
        if row.line.as_bytes().get(row.at) == Some(&b'"') { quoted_word(&mut row)? } else { "-" }
    } else {
        first
    };
    text(fields, "upstream_transport_failure_reason", Role::Keyword, reason);
    numbers(fields, [row.token()?, row.token()?, row.token()?, row.token()?])?;

    let last_quote = memchr::memrchr(b'"', row.line.as_bytes())?;
    // The `get` also refuses a line whose last quote lies before the numbers.
    quoted(row.line.get(row.at..=last_quote)?, fields)?;
    tail(row.line[last_quote + 1..].strip_prefix(' ')?, fields)
}

/// `"text" ` where a number, a missing one or another quote follows: the text itself may hold quotes.
fn quoted_word<'a>(row: &mut Row<'a>) -> Option<&'a str> {
    let bytes = row.line.as_bytes();
    let start = row.at + 1;
    let end =
        memchr::memchr_iter(b'"', bytes.get(start..)?).map(|at| start + at).find(|at| goes_on(&bytes[at + 1..]))?;
    row.at = end + 2;
    Some(&row.line[start..end])
}

/// ` N `, ` - ` or ` "`. Looks at no more bytes than a number has, so that a line of quotes costs no more than others.
fn goes_on(rest: &[u8]) -> bool {
    match rest {
        [b' ', b'"' | b' ', ..] | [b' ', b'-', b' ', ..] => true,
        [b' ', number @ ..] => {
            let len = number.iter().take(20).take_while(|b| b.is_ascii_digit()).count();
            len > 0 && number.get(len) == Some(&b' ')
        }
        _ => false,
    }
}

fn tail<'a>(mut rest: &'a str, fields: &mut Fields<'a>) -> Option<()> {
    const LEADING: [(&str, Role); 4] = [
        ("upstream_cluster", Role::Keyword),
        ("upstream_local_address", Role::Id),
        ("downstream_local_address", Role::Keyword),
        ("downstream_remote_address", Role::Id),
    ];
    for (name, role) in LEADING {
        let blank = memchr::memchr(b' ', rest.as_bytes())?;
        text(fields, name, role, &rest[..blank]);
        rest = &rest[blank + 1..];
    }
    // The route's name is an operator's choice: it may hold blanks.
    let (server, route) = match memchr::memchr(b' ', rest.as_bytes()) {
        Some(blank) => (&rest[..blank], &rest[blank + 1..]),
        None => (rest, "-"),
    };
    text(fields, "requested_server_name", Role::Keyword, server);
    text(fields, "route_name", Role::Keyword, route);
    Some(())
}
