//! A segment's documents as they were put in, for whoever shows a record or writes it anew.

use std::cell::RefCell;
use std::sync::Arc;

use tantivy::columnar::Column;
use tantivy::schema::Value as _;
use tantivy::store::StoreReader;
use tantivy::{SegmentReader, TantivyDocument, TantivyError};

use super::line;
use super::schema::Fields;
use super::streams::StreamEntry;
use crate::record::identity;

/// Blocks of stored lines kept inflated.
const STORE_BLOCKS: usize = 16;

/// What every document has, column by column, and the stored lines. For one thread.
pub struct Documents<'s> {
    reader: &'s SegmentReader,
    fields: Fields,
    /// Unix nanoseconds.
    pub timestamps: Column<i64>,
    /// Numbers of [`ShardView::streams`](super::ShardView::streams).
    pub streams: Column<u64>,
    /// Numbers of [`ShardView::grammars`](super::ShardView::grammars); no value where no grammar fitted.
    pub grammars: Column<u64>,
    /// As they were mined: some stand for others by now.
    pub templates: Column<u64>,
    pub offsets: Column<u64>,
    pub marks: Column<u64>,
    store: RefCell<Option<StoreReader>>,
}

impl<'s> Documents<'s> {
    pub fn open(reader: &'s SegmentReader, fields: Fields) -> tantivy::Result<Self> {
        let columns = reader.fast_fields();
        Ok(Self {
            reader,
            fields,
            timestamps: columns.i64("ts")?,
            streams: columns.u64("stream")?,
            grammars: columns.u64("grammar")?,
            templates: columns.u64("template")?,
            offsets: columns.u64("offset")?,
            marks: columns.u64("mark")?,
            store: RefCell::default(),
        })
    }

    /// The identity of a document's event; `streams` are the shard's.
    pub fn id(&self, doc: u32, streams: &[Arc<StreamEntry>]) -> Option<u64> {
        let stream = streams.get(self.streams.first(doc)? as usize)?;
        Some(identity(stream.identity_seed, self.offsets.first(doc), self.marks.first(doc)?))
    }

    /// What is stored of a document.
    pub fn stored(&self, doc: u32) -> tantivy::Result<Stored> {
        let mut store = self.store.borrow_mut();
        let store = match &mut *store {
            Some(store) => store,
            none => none.insert(self.reader.get_store_reader(STORE_BLOCKS)?),
        };
        let document: TantivyDocument = store.get(doc)?;
        let packed = document.get_first(self.fields.line).and_then(|value| value.as_bytes());
        let unpack = |packed| {
            let damaged = || TantivyError::InternalError(format!("the stored line of document {doc} is damaged"));
            line::unpack(packed, self.timestamps.first(doc).unwrap_or(0)).ok_or_else(damaged)
        };
        let line = packed.map(unpack).transpose()?;
        Ok(Stored { line, document, fields: self.fields })
    }
}

/// A document's stored texts.
pub struct Stored {
    line: Option<String>,
    document: TantivyDocument,
    fields: Fields,
}

impl Stored {
    /// The message.
    pub fn line(&self) -> Option<&str> {
        self.line.as_deref()
    }

    /// What else the sender sent: one JSON object.
    pub fn extra(&self) -> Option<&str> {
        self.document.get_first(self.fields.extra).and_then(|value| value.as_str())
    }
}
