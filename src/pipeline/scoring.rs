//! What `/api/v1/score` answers: posted records read as documents are, and weighed by a model. Nothing of them is kept or learned.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bumpalo::Bump;
use bytes::Bytes;

use super::Context;
use super::watched::{OFF, no_model};
use crate::api::{QueryError, ScoreAnswer, ScoreRequest, Scored, ScoredValue};
use crate::decode::{Decoder, Streams};
use crate::detect::{NEVER_SEEN, Severity, Weighed};
use crate::ingest::http::{self, Encoding, Head, Options, Source};
use crate::parse::Parser;
use crate::parse::template::Text;
use crate::record::{Batch, Event, Fields, Record, Wire};

/// Records that are weighed while the detectors wait.
const AT_ONCE: usize = 64;
/// Values told of a record.
const VALUES_MAX: usize = 8;

pub fn score(context: &Context, request: ScoreRequest) -> Result<ScoreAnswer, QueryError> {
    let detecting = context.detecting.as_deref().ok_or_else(|| QueryError::Conflict(OFF.to_owned()))?;
    let head = Head { source: Source::Lines, encoding: Encoding::Identity, options: Options::default() };
    let bad_body = |error: http::BadBody| QueryError::BadParameter { name: "body", message: error.to_string() };
    let items = http::items(&head, &request.body).map_err(bad_body)?;
    if items.len() > request.records_max {
        let message = format!("{} records are more than {}: send fewer at a time", items.len(), request.records_max);
        return Err(QueryError::BadParameter { name: "body", message });
    }
    let batch = Batch {
        wire: Wire::Http,
        received_at: context.clock.now(),
        peer: String::new(),
        events: 0,
        body: Bytes::new(),
        inflated: None,
    };
    let (arena, mut events, mut bad) = (Bump::new(), Vec::new(), Vec::new());
    let mut decoder = Decoder::new(Arc::new(Streams::new(Default::default())));
    decoder.decode_documents(&batch, &head.options, &items, &arena, &mut events, &mut bad);
    if let Some(redactor) = &context.redactor {
        // Models know what was masked as it was masked.
        events.iter_mut().for_each(|event| super::worker::mask(redactor, event, &arena));
    }
    // Events are the items that are not among the bad ones, in order.
    let errors = bad.iter().map(|bad| (bad.index, bad.reason.to_string())).collect::<Vec<_>>();
    let places = (0..items.len()).filter(|at| errors.iter().all(|(bad, _)| bad != at));
    let places: Vec<usize> = places.collect();

    let parser = context.grammars.current();
    let mut observer = detecting.observer();
    observer.begin(0, batch.received_at, events.len());
    for event in &events {
        let mut fields = Fields::new();
        observe(context, &parser, event, &mut fields, &mut |record| observer.add(record));
    }
    let observed = observer.finish();
    let mut scored = Vec::with_capacity(observed.records.len());
    let version = request.version.as_deref();
    let mut answered_by = String::new();
    for (chunk, places) in observed.records.chunks(AT_ONCE).zip(places.chunks(AT_ONCE)) {
        if Instant::now() > request.deadline {
            return Err(QueryError::Deadline);
        }
        let weigh = |model: &crate::detect::Detector| -> Vec<Weighed> {
            model.version().clone_into(&mut answered_by);
            chunk.iter().map(|record| model.weigh(&observed, record)).collect()
        };
        let weighed = detecting.with_model(version, weigh).map_err(no_model)?;
        scored.extend(places.iter().zip(weighed).map(|(place, weighed)| shown(context, *place, weighed)));
    }
    if answered_by.is_empty() {
        answered_by = detecting.with_model(version, |model| model.version().to_owned()).map_err(no_model)?;
    }
    Ok(ScoreAnswer { version: answered_by, records: scored, errors })
}

/// One record, parsed and with the template that is known of it.
fn observe<'e>(
    context: &Context,
    parser: &'e Parser,
    event: &'e Event<'_>,
    fields: &mut Fields<'e>,
    add: &mut dyn FnMut(&Record<'_>),
) {
    let grammar = event.message.and_then(|line| parser.parse(&event.stream, line, fields)).map(Arc::as_ref);
    fields.leave_envelope_alone();
    let text = Text::of(grammar, event.message, fields);
    let template = text
        .zip(context.templates.as_deref())
        .map(|(text, templates)| templates.with(|miner| miner.known(&text)).map_or(NEVER_SEEN, |id| id.get()));
    add(&Record { event, grammar: grammar.map(crate::parse::Grammar::key), template, fields });
}

fn shown(context: &Context, place: usize, weighed: Weighed) -> Scored {
    let Weighed { service, known, score, probability, values } = weighed;
    let values = values.into_iter().take(VALUES_MAX).map(|value| {
        let shown = match value.field.as_str() {
            "template" => template_text(context, &value.value),
            _ => Cow::Borrowed(value.value.as_str()),
        };
        let sentence = value.sentence(&shown);
        let shown = shown.into_owned();
        ScoredValue { field: value.field, value: shown, probability: value.probability, score: value.score, sentence }
    });
    let values = values.collect();
    let severity = Severity::of(score).name();
    Scored { place, service, known, score, severity, probability, values }
}

fn template_text<'v>(context: &Context, id: &'v str) -> Cow<'v, str> {
    let number: u64 = id.parse().unwrap_or(NEVER_SEEN);
    if number == NEVER_SEEN {
        return Cow::Borrowed("(new)");
    }
    let id_of = crate::parse::template::TemplateId::from(number);
    let text = context.templates.as_deref().and_then(|templates| templates.with(|miner| miner.template(id_of)));
    text.map_or(Cow::Borrowed(id), |view| Cow::Owned(view.text))
}
