//! A record as tantivy reads it: one reused buffer, no allocation from record to record.
//!
//! tantivy's [`Document`] must own its content (`'static`), a record borrows. So the worker copies a record's strings
//! into one buffer, keeps spans into it, lends tantivy the whole behind an `Arc`, and takes it back afterwards.

use std::fmt;
use std::iter::Empty;
use std::sync::Arc;

use tantivy::schema::document::{ReferenceValue, ReferenceValueLeaf, Value};
use tantivy::schema::{Document, Field};

use super::schema::Fields;

/// A piece of the buffer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

#[derive(Debug, Clone, Copy)]
enum Leaf {
    Str(Span),
    U64(u64),
    I64(i64),
    F64(f64),
    Bool(bool),
    /// What is in [`Scratch::packed`].
    Packed,
}

/// The members of one JSON field: (name, value).
type Object = Vec<(Span, Leaf)>;

/// One record, laid out for indexing.
#[derive(Debug)]
pub struct Scratch {
    fields: Fields,
    buffer: String,
    pub ts: i64,
    pub stream: u64,
    pub grammar: Option<u64>,
    pub offset: Option<u64>,
    pub mark: u64,
    pub template: Option<u64>,
    texts: Vec<Span>,
    kw: Object,
    ident: Object,
    num: Object,
    /// The line as it is stored.
    packed: Vec<u8>,
    has_line: bool,
    extra: Option<Span>,
}

impl Scratch {
    pub fn new(fields: Fields) -> Self {
        Self {
            fields,
            buffer: String::new(),
            ts: 0,
            stream: 0,
            grammar: None,
            offset: None,
            mark: 0,
            template: None,
            texts: Vec::new(),
            kw: Vec::new(),
            ident: Vec::new(),
            num: Vec::new(),
            packed: Vec::new(),
            has_line: false,
            extra: None,
        }
    }

    pub fn clear(&mut self) {
        self.buffer.clear();
        self.texts.clear();
        self.kw.clear();
        self.ident.clear();
        self.num.clear();
        self.packed.clear();
        self.has_line = false;
        self.extra = None;
    }

    fn push(&mut self, text: &str) -> Span {
        let start = self.buffer.len() as u32;
        self.buffer.push_str(text);
        Span { start, end: self.buffer.len() as u32 }
    }

    /// Keeps the message of a record whose time is set.
    pub fn set_line(&mut self, line: &str) {
        super::line::pack(line, self.ts, &mut self.packed);
        self.has_line = true;
    }

    pub fn set_extra(&mut self, extra: &str) {
        let span = self.push(extra);
        self.extra = Some(span);
    }

    /// Indexes the words of something already in the buffer.
    pub fn index_span(&mut self, span: Span) {
        self.texts.push(span);
    }

    /// Indexes the words of a text.
    pub fn text(&mut self, text: &str) {
        let span = self.push(text);
        self.texts.push(span);
    }

    pub fn kw_str(&mut self, name: &str, value: &str) -> Span {
        let (name, value) = (self.push(name), self.push(value));
        self.kw.push((name, Leaf::Str(value)));
        value
    }

    pub fn kw_bool(&mut self, name: &str, value: bool) {
        let name = self.push(name);
        self.kw.push((name, Leaf::Bool(value)));
    }

    pub fn ident(&mut self, name: &str, value: &str) {
        let (name, value) = (self.push(name), self.push(value));
        self.ident.push((name, Leaf::Str(value)));
    }

    pub fn u64(&mut self, name: &str, value: u64) {
        let name = self.push(name);
        self.num.push((name, Leaf::U64(value)));
    }

    pub fn i64(&mut self, name: &str, value: i64) {
        let name = self.push(name);
        self.num.push((name, Leaf::I64(value)));
    }

    pub fn f64(&mut self, name: &str, value: f64) {
        let name = self.push(name);
        self.num.push((name, Leaf::F64(value)));
    }

    /// The number of a stamp, under its own prefix.
    pub fn stamp(&mut self, name: &str, value: i64) {
        let mut span = self.push(super::schema::STAMP_PREFIX);
        span.end = self.push(name).end;
        self.num.push((span, Leaf::I64(value)));
    }

    fn get(&self, span: Span) -> &str {
        &self.buffer[span.start as usize..span.end as usize]
    }

    /// The `step`th value, or `None` at the end. Fields come in the schema's order.
    fn value(&self, step: usize) -> Option<(Field, Lent<'_>)> {
        let fields = &self.fields;
        let texts = self.texts.len();
        Some(match step {
            0 => (fields.ts, Lent::Leaf(self, Leaf::I64(self.ts))),
            1 => (fields.stream, Lent::Leaf(self, Leaf::U64(self.stream))),
            2 => (fields.mark, Lent::Leaf(self, Leaf::U64(self.mark))),
            3 => (fields.kw, Lent::Object(Members { scratch: self, members: &self.kw })),
            4 => (fields.ident, Lent::Object(Members { scratch: self, members: &self.ident })),
            5 => (fields.num, Lent::Object(Members { scratch: self, members: &self.num })),
            _ if step - 6 < texts => (fields.text, Lent::Leaf(self, Leaf::Str(self.texts[step - 6]))),
            _ => {
                let mut rest = step - 6 - texts;
                for (field, leaf) in [
                    (fields.grammar, self.grammar.map(Leaf::U64)),
                    (fields.offset, self.offset.map(Leaf::U64)),
                    (fields.template, self.template.map(Leaf::U64)),
                    (fields.line, self.has_line.then_some(Leaf::Packed)),
                    (fields.extra, self.extra.map(Leaf::Str)),
                ] {
                    if let Some(leaf) = leaf {
                        if rest == 0 {
                            return Some((field, Lent::Leaf(self, leaf)));
                        }
                        rest -= 1;
                    }
                }
                return None;
            }
        })
    }
}

/// The scratch as tantivy holds it for the length of one call.
pub struct Doc(pub Arc<Scratch>);

impl Document for Doc {
    type Value<'a> = Lent<'a>;
    type FieldsValuesIter<'a> = Values<'a>;

    fn iter_fields_and_values(&self) -> Values<'_> {
        Values { scratch: &self.0, step: 0 }
    }
}

/// Iterator over a document's values.
pub struct Values<'a> {
    scratch: &'a Scratch,
    step: usize,
}

impl<'a> Iterator for Values<'a> {
    type Item = (Field, Lent<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.step += 1;
        self.scratch.value(self.step - 1)
    }
}

/// A value lent to tantivy.
#[derive(Clone)]
pub enum Lent<'a> {
    #[expect(private_interfaces, reason = "tantivy only sees it through its Value trait")]
    Leaf(&'a Scratch, Leaf),
    Object(Members<'a>),
}

impl fmt::Debug for Lent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lent::Leaf(scratch, Leaf::Str(span)) => scratch.get(*span).fmt(f),
            Lent::Leaf(_, leaf) => leaf.fmt(f),
            Lent::Object(members) => f.debug_map().entries(members.clone()).finish(),
        }
    }
}

impl<'a> Value<'a> for Lent<'a> {
    type ArrayIter = Empty<Lent<'a>>;
    type ObjectIter = Members<'a>;

    #[inline]
    fn as_value(&self) -> ReferenceValue<'a, Self> {
        ReferenceValue::Leaf(match self {
            Lent::Object(members) => return ReferenceValue::Object(members.clone()),
            Lent::Leaf(scratch, Leaf::Str(span)) => ReferenceValueLeaf::Str(scratch.get(*span)),
            Lent::Leaf(_, Leaf::U64(n)) => ReferenceValueLeaf::U64(*n),
            Lent::Leaf(_, Leaf::I64(n)) => ReferenceValueLeaf::I64(*n),
            Lent::Leaf(_, Leaf::F64(n)) => ReferenceValueLeaf::F64(*n),
            Lent::Leaf(_, Leaf::Bool(b)) => ReferenceValueLeaf::Bool(*b),
            Lent::Leaf(scratch, Leaf::Packed) => ReferenceValueLeaf::Bytes(&scratch.packed),
        })
    }
}

/// Iterator over the members of a JSON field.
#[derive(Clone)]
pub struct Members<'a> {
    scratch: &'a Scratch,
    members: &'a [(Span, Leaf)],
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Lent<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let ((name, leaf), rest) = self.members.split_first()?;
        self.members = rest;
        Some((self.scratch.get(*name), Lent::Leaf(self.scratch, *leaf)))
    }
}
