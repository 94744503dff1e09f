//! Stored lines, read back one by one with what the store knows of them, so that they can be written anew.

use std::borrow::Cow;
use std::sync::Arc;

use tantivy::TantivyError;
use tantivy::index::SegmentId;

use super::reparse::Wish;
use crate::parse::redact::Redactor;
use crate::parse::{Grammar, Grammars, Parser};
use crate::record::{Event, Fields, Stream};
use crate::store::{self, Documents, ShardView};

/// Documents between two looks at whether to stop.
const STOP_CHECK_DOCS: u32 = 1024;

fn mask<'t>(redactor: Option<&Redactor>, text: Option<&'t str>) -> Option<Cow<'t, str>> {
    text.map(|text| redactor.map_or(Cow::Borrowed(text), |redactor| redactor.mask(text)))
}

/// A stored line, parsed anew.
pub(super) struct Line<'l> {
    pub event: &'l Event<'l>,
    pub text: &'l str,
    /// The grammar it has, by name and version.
    pub old: Option<(&'l str, u64)>,
    /// The id of its template.
    pub template: Option<u64>,
    /// The grammar it gets, and what that finds.
    pub new: Option<Arc<Grammar>>,
    pub fields: &'l Fields<'l>,
    /// Whether `new` says what the line is; else its grammar does not load.
    pub settled: bool,
    /// Whether a mask hides something that was kept so far.
    pub masked: bool,
}

impl Line<'_> {
    pub fn gets(&self) -> Option<(&str, u64)> {
        self.new.as_ref().map(|grammar| (grammar.name, grammar.version))
    }

    pub fn changed(&self) -> bool {
        self.settled && (self.masked || self.old != self.gets())
    }
}

/// A day's lines, looked at with the grammars of now.
pub(super) struct Day<'d> {
    view: &'d ShardView,
    parser: &'d Parser,
    redactor: Option<&'d Redactor>,
    grammars: Vec<Option<Arc<Grammar>>>,
    streams: Vec<Arc<Stream>>,
    /// What is parsed by the grammars of now; without, nothing is.
    wish: Option<&'d Wish>,
}

impl<'d> Day<'d> {
    pub fn new(
        view: &'d ShardView,
        grammars: &Grammars,
        parser: &'d Parser,
        redactor: Option<&'d Redactor>,
        wish: Option<&'d Wish>,
    ) -> Self {
        let known = view.grammars().iter().map(|g| grammars.version(&g.name, g.version, &g.source)).collect();
        let stream = |entry: &Arc<store::StreamEntry>| {
            Arc::new(Stream {
                key: entry.key,
                fields: entry.fields.clone(),
                canonical: String::new(),
                sender: entry.sender.clone(),
                identity_seed: entry.identity_seed,
                memory: Default::default(),
            })
        };
        let streams = view.streams().iter().map(stream).collect();
        Self { view, parser, redactor, grammars: known, streams, wish }
    }

    /// Calls `found` with every record of the segments meant, those outside the wish as they are. `stop` is asked now and then.
    pub fn each<E: From<TantivyError>>(
        &self,
        segment: impl Fn(SegmentId) -> bool,
        stop: impl Fn() -> Result<(), E>,
        mut found: impl FnMut(&Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for reader in self.view.searcher().segment_readers().iter().filter(|reader| segment(reader.segment_id())) {
            let documents = Documents::open(reader, self.view.fields)?;
            for doc in reader.doc_ids_alive() {
                if doc.is_multiple_of(STOP_CHECK_DOCS) {
                    stop()?;
                }
                self.one(&documents, doc, &mut found)?;
            }
        }
        Ok(())
    }

    fn one<E: From<TantivyError>>(
        &self,
        documents: &Documents<'_>,
        doc: u32,
        found: &mut impl FnMut(&Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let stored = documents.stored(doc)?;
        let number = documents.streams.first(doc).unwrap_or(u64::MAX) as usize;
        let Some(stream) = self.streams.get(number) else { return Ok(()) };
        let timestamp = documents.timestamps.first(doc).unwrap_or(0);
        let old = documents.grammars.first(doc).map(|number| number as usize);
        let is_wished = |wish: &Wish| wish.between().holds(timestamp) && (wish.all || old.is_none());
        let wish = self.wish.filter(|wish| stored.line().is_some() && is_wished(wish));
        let meant = wish.is_some();
        let redactor = self.redactor.filter(|_| meant);
        let (message, extra) = (mask(redactor, stored.line()), mask(redactor, stored.extra()));
        let mut masked = [&message, &extra].into_iter().any(|text| matches!(text, Some(Cow::Owned(_))));
        let mut event = Event {
            stream: Arc::clone(stream),
            timestamp,
            message: message.as_deref(),
            offset: documents.offsets.first(doc),
            mark: documents.marks.first(doc).unwrap_or(0),
            positioned: true,
            extra: extra.as_deref(),
        };
        let entry = old.and_then(|number| self.view.grammars().get(number));
        let known = old.and_then(|number| self.grammars.get(number).cloned().flatten());
        let mut fields = Fields::new();
        let text = message.as_deref().unwrap_or_default();
        let mut settled = true;
        let mut new = None;
        if let Some(wish) = wish {
            new = match wish.grammar.as_deref() {
                None | Some("auto") => self.parser.parse(stream, text, &mut fields),
                Some(name) => self
                    .parser
                    .grammars()
                    .iter()
                    .find(|grammar| grammar.name == name)
                    .filter(|g| g.parse_line(text, &mut fields)),
            }
            .cloned();
        }
        // What the wish does not speak of stays as it is.
        if new.is_none() && wish.is_none_or(|wish| wish.grammar.is_some()) {
            settled = old.is_none() || known.as_ref().is_some_and(|grammar| grammar.parse_line(text, &mut fields));
            new = known;
            // What a mask left of the line is no longer of its grammar: it is kept whole, and what was hidden is not.
            if masked && !settled {
                (settled, new) = (true, None);
            }
        }
        // What the grammar itself hides: not of lines that stay as they are, which it hid when they came.
        let hidden = new.as_ref().filter(|_| meant).and_then(|grammar| grammar.masked(text));
        let text = hidden.as_deref().unwrap_or(text);
        if hidden.is_some() {
            event.message = Some(text);
            masked = true;
        }
        fields.leave_envelope_alone();
        let old = entry.map(|entry| (&*entry.name, entry.version));
        let template = documents.templates.first(doc);
        found(&Line { event: &event, text, old, template, new, fields: &fields, settled, masked })
    }
}
