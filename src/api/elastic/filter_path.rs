//! `filter_path`: the parts of an answer that a client wants, as `errors,items.*.error,hits.hits._source`.

use serde_json::{Map, Value as Json};

/// The parts of `answer` at any of the paths: dotted, `*` within a name, `**` for any way down; `-` in front leaves a path
/// out instead.
pub fn filtered(answer: Json, paths: &str) -> Json {
    let paths: Vec<&str> = paths.split(',').map(str::trim).filter(|path| !path.is_empty()).collect();
    let (without, with): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.starts_with('-'));
    let split = |path: &str| path.trim_start_matches('-').split('.').map(str::to_owned).collect::<Vec<_>>();
    let with: Vec<Vec<String>> = with.into_iter().map(split).collect();
    let without: Vec<Vec<String>> = without.into_iter().map(split).collect();
    let kept = match with.is_empty() {
        true => answer,
        false => keep(answer, &with.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap_or(Json::Object(Map::new())),
    };
    match without.is_empty() {
        true => kept,
        false => leave(kept, &without.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap_or_default(),
    }
}

/// Where the paths lead below a member of that name; `None` in the list where one ends at it.
fn below<'p>(paths: &[&'p [String]], name: &str) -> Vec<Option<&'p [String]>> {
    let mut out = Vec::new();
    for path in paths {
        let Some((first, rest)) = path.split_first() else { continue };
        if first == "**" {
            out.push(Some(*path));
            if rest.is_empty() {
                out.push(None);
            }
            if rest.first().is_some_and(|next| fits(next, name)) {
                out.push(if rest.len() == 1 { None } else { Some(&rest[1..]) });
            }
        } else if fits(first, name) {
            out.push(if rest.is_empty() { None } else { Some(rest) });
        }
    }
    out
}

fn keep(value: Json, paths: &[&[String]]) -> Option<Json> {
    match value {
        Json::Object(members) => {
            let kept: Map<String, Json> = members
                .into_iter()
                .filter_map(|(name, value)| {
                    let below = below(paths, &name);
                    if below.contains(&None) {
                        return Some((name, value));
                    }
                    let below: Vec<_> = below.into_iter().flatten().collect();
                    if below.is_empty() { None } else { Some((name, keep(value, &below)?)) }
                })
                .collect();
            (!kept.is_empty()).then_some(Json::Object(kept))
        }
        Json::Array(items) => {
            let kept: Vec<Json> = items.into_iter().filter_map(|item| keep(item, paths)).collect();
            (!kept.is_empty()).then_some(Json::Array(kept))
        }
        _ => None,
    }
}

fn leave(value: Json, paths: &[&[String]]) -> Option<Json> {
    match value {
        Json::Object(members) => {
            let kept = members.into_iter().filter_map(|(name, value)| {
                let below = below(paths, &name);
                if below.contains(&None) {
                    return None;
                }
                let below: Vec<_> = below.into_iter().flatten().collect();
                if below.is_empty() { Some((name, value)) } else { Some((name, leave(value, &below)?)) }
            });
            Some(Json::Object(kept.collect()))
        }
        Json::Array(items) => Some(Json::Array(items.into_iter().filter_map(|item| leave(item, paths)).collect())),
        value => Some(value),
    }
}

/// Whether a name is what a pattern with `*` means.
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = pattern.contains('*').then(|| pattern.rsplit('*').next().unwrap_or_default()) else {
        return rest.is_empty();
    };
    let middle: Vec<&str> = parts.collect();
    for part in &middle[..middle.len().saturating_sub(1)] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_kept_or_left_out() {
        let answer = json!({"took": 3, "errors": true, "items": [
            {"create": {"_id": "a", "status": 201}},
            {"create": {"_id": "b", "status": 400, "error": {"type": "t", "reason": "r"}}},
        ]});
        for (paths, expected) in [
            ("took", json!({"took": 3})),
            (
                "errors,items.*.error,items.*.status",
                json!({"errors": true, "items": [
                    {"create": {"status": 201}},
                    {"create": {"status": 400, "error": {"type": "t", "reason": "r"}}},
                ]}),
            ),
            ("**.reason", json!({"items": [{"create": {"error": {"reason": "r"}}}]})),
            ("items.*.*id", json!({"items": [{"create": {"_id": "a"}}, {"create": {"_id": "b"}}]})),
            ("-items", json!({"took": 3, "errors": true})),
            (
                "items,-items.*.error,-items.*._id",
                json!({"items": [{"create": {"status": 201}}, {"create": {"status": 400}}]}),
            ),
            ("nothing", json!({})),
            ("", answer.clone()),
        ] {
            assert_eq!(filtered(answer.clone(), paths), expected, "{paths}");
        }
    }

    #[test]
    fn names_fit_patterns() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
