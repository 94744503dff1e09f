//! Traffic through the real path: decoded, parsed, mined, observed; without a server.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bumpalo::Bump;
use loghound::decode::{Decoder, Streams};
use loghound::detect::{Anomaly, Detector, LoadError, Names, Observations, Observer, Settings, State, Stats};
use loghound::parse::Parser;
use loghound::parse::template::{Limits, Miner, Text};
use loghound::record::{Batch, Event, Fields, Record, Wire};
use loghound::ship::{Incident, Traffic};

/// When traffic begins: Unix seconds, a full hour.
pub const START: i64 = 1_780_000_000 - 1_780_000_000 % 3_600;
const BATCH_EVENTS: usize = 256;

/// A line on its way: its JSON event, and when it was written (Unix nanoseconds).
pub type Change = Box<dyn FnMut(i64, &mut Vec<u8>) -> bool>;

/// Lines held back: when each is to come, and its event.
pub type Held = Rc<RefCell<Vec<(i64, Vec<u8>)>>>;

pub struct Replay {
    traffic: Traffic,
    decoder: Decoder,
    parser: Parser,
    miner: Miner,
    observer: Observer,
    names: Arc<Names>,
    pub detector: Detector,
    position: u64,
    seconds: i64,
    /// Changes an event, or says that it is lost.
    pub change: Change,
    /// Events that come before all others in the next batches.
    pub late: Vec<Vec<u8>>,
    /// Events that come from this time on (Unix seconds).
    pub held: Held,
}

impl Replay {
    pub fn new(seed: u64, lines_per_second: f64, incidents: &[Incident]) -> Self {
        let names = Arc::new(Names::default());
        Self {
            traffic: Traffic::new(seed, START * 1_000_000_000).with_rate(lines_per_second).with_incidents(incidents),
            decoder: Decoder::new(Arc::new(Streams::new(Default::default()))),
            parser: Parser::builtin(),
            miner: Miner::new(Limits::default()),
            observer: Observer::new(Arc::clone(&names)),
            detector: Detector::new(Arc::clone(&names), Settings::default()),
            names,
            position: 0,
            seconds: START,
            change: Box::new(|_, _| true),
            late: Vec::new(),
            held: Rc::default(),
        }
    }

    pub fn traffic(&mut self) -> &mut Traffic {
        &mut self.traffic
    }

    pub fn stats(&self) -> Stats {
        self.detector.stats()
    }

    /// A detector that knows nothing.
    pub fn fresh(&self) -> Detector {
        Detector::new(Arc::clone(&self.names), Settings::default())
    }

    /// A detector as another process would load it.
    pub fn reload(&self, saved: &[u8]) -> Detector {
        self.try_reload(saved).unwrap()
    }

    pub fn try_reload(&self, saved: &[u8]) -> Result<Detector, LoadError> {
        Detector::load(saved, Arc::clone(&self.names), Settings::default())
    }

    /// So many minutes of traffic; the anomalies, each in its last form, in the order they were found.
    pub fn run(&mut self, minutes: i64) -> Vec<Anomaly> {
        let mut told = self.run_all(minutes);
        told.retain(|anomaly| anomaly.state != State::Retracted);
        told
    }

    /// The same with those that were taken back.
    pub fn run_all(&mut self, minutes: i64) -> Vec<Anomaly> {
        let mut told: Vec<Anomaly> = Vec::new();
        let end = self.seconds + minutes * 60;
        while let Some(batch) = self.batch(end) {
            self.detector.observe(&batch);
            for anomaly in self.detector.take() {
                match told.iter_mut().find(|known| known.id == anomaly.id) {
                    Some(known) => *known = anomaly,
                    None => told.push(anomaly),
                }
            }
        }
        self.seconds = end;
        told
    }

    /// The next batch that ends before `end` (Unix seconds).
    pub fn batch(&mut self, end: i64) -> Option<Observations> {
        let mut frames = Vec::new();
        let (mut events, mut event) = (0u32, Vec::new());
        let now = self.traffic.now_nanos() / 1_000_000_000;
        self.late.extend(self.held.borrow_mut().extract_if(.., |(from, _)| *from <= now).map(|(_, event)| event));
        while events < BATCH_EVENTS as u32 && self.traffic.now_nanos() < end * 1_000_000_000 {
            event.clear();
            if let Some(late) = self.late.pop() {
                event = late;
            } else {
                self.traffic.next_event(&mut event);
                if !(self.change)(self.traffic.now_nanos(), &mut event) {
                    continue;
                }
            }
            events += 1;
            frames.extend_from_slice(b"2J");
            frames.extend_from_slice(&events.to_be_bytes());
            frames.extend_from_slice(&(event.len() as u32).to_be_bytes());
            frames.extend_from_slice(&event);
        }
        (events > 0).then(|| self.observe(&frames, events))
    }

    fn observe(&mut self, frames: &[u8], events: u32) -> Observations {
        self.position += 1;
        let received_at = self.traffic.now_nanos();
        let (body, inflated) = (Default::default(), None);
        let batch = Batch { wire: Wire::Lumberjack, received_at, peer: "test".into(), events, body, inflated };
        let arena = Bump::new();
        let (mut decoded, mut bad): (Vec<Event<'_>>, _) = (Vec::new(), Vec::new());
        self.decoder.decode(&batch, frames, &arena, &mut decoded, &mut bad);
        assert!(bad.is_empty());
        self.observer.begin(self.position, received_at, decoded.len());
        for event in &decoded {
            let mut fields = Fields::new();
            let grammar = event.message.and_then(|line| self.parser.parse(&event.stream, line, &mut fields));
            fields.leave_envelope_alone();
            let text = Text::of(grammar.map(|g| &**g), event.message, &fields);
            let template = text.map(|text| self.miner.observe_text(&text, event.timestamp).id.get());
            let grammar = grammar.map(|grammar| grammar.key());
            self.observer.add(&Record { event, grammar, template, fields: &fields });
        }
        self.observer.finish()
    }
}
