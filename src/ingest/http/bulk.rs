//! Elasticsearch's bulk body: `{"create": {"_index": …, "_id": …}}` a line, its document in the next.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Action, BadBody, INDEX, Item, Options, Refused};

/// What an action says. Members that say how to store a document (`pipeline`, `routing`, `_type`) have no meaning here.
#[derive(Debug, Default, Deserialize)]
struct Meta<'b> {
    #[serde(borrow, default)]
    _index: Option<Cow<'b, str>>,
    #[serde(borrow, default)]
    _id: Option<Id<'b>>,
}

/// Clients write numbers too.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Id<'b> {
    #[serde(borrow)]
    Text(Cow<'b, str>),
    Number(i64),
}

#[derive(Debug, Deserialize)]
enum Line<'b> {
    #[serde(rename = "create", borrow)]
    Create(Meta<'b>),
    #[serde(rename = "index", borrow)]
    Index(Meta<'b>),
    #[serde(rename = "update", borrow)]
    Update(Meta<'b>),
    #[serde(rename = "delete", borrow)]
    Delete(Meta<'b>),
}

/// As Elasticsearch bounds them.
const ID_BYTES_MAX: usize = 512;
const INDEX_BYTES_MAX: usize = 255;

pub fn items<'b>(options: &'b Options, body: &'b [u8]) -> Result<Vec<Item<'b>>, BadBody> {
    let mut lines = super::lines::split(body);
    let mut items = Vec::new();
    while let Some((number, line)) = lines.next() {
        // Behind a line that is no action nobody can tell documents from actions.
        let action: Line<'b> = serde_json::from_slice(line).map_err(|err| {
            BadBody(format!(
                "Malformed action/metadata line [{number}]: {err}; write {{\"create\":{{}}}} or {{\"index\":{{}}}} and \
                 the document in the next line"
            ))
        })?;
        let (action, meta) = match action {
            Line::Create(meta) => (Action::Create, meta),
            Line::Index(meta) => (Action::Index, meta),
            Line::Update(meta) => (Action::Update, meta),
            Line::Delete(meta) => (Action::Delete, meta),
        };
        let document = if action == Action::Delete {
            &[][..]
        } else {
            let next = lines.next().map(|(_, document)| document);
            next.ok_or_else(|| BadBody(format!("the action in line [{number}] has no document behind it")))?
        };
        let index = meta._index.filter(|index| !index.is_empty());
        let index = index.or_else(|| options.index.as_deref().map(Cow::Borrowed)).unwrap_or(INDEX.into());
        let id = meta._id.map(|id| match id {
            Id::Text(text) => text,
            Id::Number(number) => number.to_string().into(),
        });
        let id = id.filter(|id| !id.is_empty());
        let document = match refused(action, &index, id.as_deref()) {
            Some(refused) => Err(refused),
            None => Ok(document),
        };
        items.push(Item { action, index, id, document });
    }
    match items.is_empty() {
        true => Err(BadBody("the request has no actions: a bulk body is lines of JSON".to_owned())),
        false => Ok(items),
    }
}

fn refused(action: Action, index: &str, id: Option<&str>) -> Option<Refused> {
    let refuse = |kind, reason: String| Some(Refused { kind, reason });
    match action {
        Action::Create | Action::Index => {}
        Action::Update | Action::Delete => {
            let reason = format!("{} is not supported: records are written once; use create or index", action.name());
            return refuse("illegal_argument_exception", reason);
        }
    }
    if let Some(what) = bad_index(index) {
        return refuse("invalid_index_name_exception", format!("Invalid index name [{index}], {what}"));
    }
    if id.is_some_and(|id| id.len() > ID_BYTES_MAX) {
        return refuse("illegal_argument_exception", format!("an _id is longer than {ID_BYTES_MAX} bytes"));
    }
    None
}

/// What is wrong with an index's name, as Elasticsearch has it.
fn bad_index(name: &str) -> Option<&'static str> {
    if name.len() > INDEX_BYTES_MAX {
        Some("it is longer than 255 bytes")
    } else if name.starts_with(['_', '-', '+']) || name == "." || name == ".." {
        Some("must not start with '_', '-', or '+'")
    } else if name.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':']) {
        Some("must not contain the following characters ['\\','/','*','?','\"','<','>','|',' ',',','#',':']")
    } else if name.chars().any(char::is_uppercase) {
        Some("must be lowercase")
    } else {
        None
    }
}
