//! JSON lines: a document a line.

use std::borrow::Cow;

use super::{Action, INDEX, Item, Options};

pub fn items<'b>(options: &'b Options, body: &'b [u8]) -> Vec<Item<'b>> {
    let index = options.index.as_deref().unwrap_or(INDEX);
    let item = |(_, line)| Item { action: Action::Index, index: Cow::Borrowed(index), id: None, document: Ok(line) };
    split(body).map(item).collect()
}

/// Lines that hold something, with their numbers from 1.
pub fn split(body: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = memchr::memchr_iter(b'\n', body).chain(std::iter::once(body.len()));
    let mut start = 0;
    let lines = lines.map(move |end| {
        let line = &body[start.min(end)..end];
        start = end + 1;
        line.trim_ascii()
    });
    (1..).zip(lines).filter(|(_, line)| !line.is_empty())
}
