//! The fields of a shard's index. Changing one is a new format version of the shard directory.

use tantivy::IndexSettings;
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, JsonObjectOptions, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::tokenizer::{RawTokenizer, TextAnalyzer, TokenizerManager};

use super::words::{TOKENIZER, WordTokenizer};

/// Name of the tokenizer that makes one term of a whole value.
const RAW: &str = "raw";

/// Bytes of lines compressed together: a hit costs inflating one such block, 0.1 ms. On generated traffic a line takes
/// 72 bytes in blocks of 32 KiB, 64 in 64, 58 in 128, 53 in 256 and 51 in 512.
const STORE_BLOCK_BYTES: usize = 128 * 1024;

/// Begins the name under which `num` keeps the number of a [`Role::Stamp`](crate::record::Role::Stamp) value.
pub const STAMP_PREFIX: &str = "_stamp\u{1}";

/// Handles of the schema's fields; the same in every shard.
#[derive(Debug, Clone, Copy)]
pub struct Fields {
    /// `@timestamp`, Unix nanoseconds: i64 column `ts`.
    pub ts: Field,
    /// The stream's number in this shard: u64 column `stream`, and indexed.
    pub stream: Field,
    /// The number of the grammar that parsed the line, in this shard: u64 column `grammar`; without a value where none did.
    pub grammar: Field,
    /// `log.offset`: u64 column `offset`, without a value where the event had none.
    pub offset: Field,
    /// The event's [mark](crate::record::identity): u64 column `mark`.
    pub mark: Field,
    /// The mined template's id when the record was indexed: u64 column `template`, without a value where nothing was mined.
    pub template: Field,
    /// Words with positions; a gap of one position between values.
    pub text: Field,
    /// JSON: keywords and bools, columns `kw.NAME` only; not indexed: a column has a dictionary of its own.
    pub kw: Field,
    /// JSON: identifiers, raw terms, no column.
    pub ident: Field,
    /// JSON: numbers, columns `num.NAME` only; not indexed.
    pub num: Field,
    /// The message, stored as [`super::line`] packs it.
    pub line: Field,
    /// The event's `extra` JSON, stored.
    pub extra: Field,
}

/// The schema and its handles.
pub fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let column = || NumericOptions::default().set_fast();
    let text = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions)
        .set_fieldnorms(false);
    let raw = TextFieldIndexing::default()
        .set_tokenizer(RAW)
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    let json = || JsonObjectOptions::default().set_expand_dots_enabled();
    let stored = || TextOptions::default().set_stored();
    let fields = Fields {
        ts: builder.add_i64_field("ts", column()),
        stream: builder.add_u64_field("stream", column().set_indexed()),
        grammar: builder.add_u64_field("grammar", column()),
        offset: builder.add_u64_field("offset", column()),
        mark: builder.add_u64_field("mark", column()),
        template: builder.add_u64_field("template", column()),
        text: builder.add_text_field("text", TextOptions::default().set_indexing_options(text)),
        kw: builder.add_json_field("kw", json().set_fast(RAW)),
        ident: builder.add_json_field("ident", json().set_indexing_options(raw)),
        num: builder.add_json_field("num", json().set_fast(RAW)),
        line: builder.add_bytes_field("line", BytesOptions::default().set_stored()),
        extra: builder.add_text_field("extra", stored()),
    };
    (builder.build(), fields)
}

/// How documents are stored: zstd, no thread of its own (the worker is one already). Level 3 makes blocks of this size
/// 5 % smaller than level 1, for 0.15 µs a line.
pub fn settings() -> IndexSettings {
    IndexSettings {
        docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(3) }),
        docstore_blocksize: STORE_BLOCK_BYTES,
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    }
}

/// The tokenizers that the schema names.
pub fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::new();
    manager.register(TOKENIZER, TextAnalyzer::from(WordTokenizer::default()));
    manager.register(RAW, TextAnalyzer::from(RawTokenizer::default()));
    // tantivy looks up a tokenizer even for fields that have none.
    manager.register("default", TextAnalyzer::from(RawTokenizer::default()));
    manager
}
