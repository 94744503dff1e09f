//! The engine that takes time linear in the text, for every pattern it accepts.

use memchr::memmem::Finder;
use regex_automata::dfa::onepass;
use regex_automata::meta;
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Hir, HirKind};

use super::error::Fault;

/// Bytes that the compiled form of one pattern may take.
const NFA_BYTES_MAX: usize = 16 << 20;

/// Bytes of a one-pass table; a pattern that needs more goes without.
const ONEPASS_BYTES_MAX: usize = 1 << 20;

type Caches = Pool<onepass::Cache, Box<dyn Fn() -> onepass::Cache + Send + Sync>>;

/// A compiled `Hir`.
pub(super) struct Linear {
    /// Texts without this cannot match.
    required: Option<Finder<'static>>,
    /// Where each next step is decided by the next byte, a match that begins at the start is found in one pass.
    onepass: Option<(onepass::DFA, Caches)>,
    general: meta::Regex,
}

impl Linear {
    /// Compiles; the error is [`Fault::TooLarge`].
    pub fn new(hir: &Hir) -> Result<Self, Fault> {
        let too_large = Fault::TooLarge { most_bytes: NFA_BYTES_MAX };
        let config = meta::Config::new()
            .nfa_size_limit(Some(NFA_BYTES_MAX))
            .onepass_size_limit(Some(ONEPASS_BYTES_MAX))
            .utf8_empty(true);
        let general =
            meta::Builder::new().configure(config).build_from_hir(hir).map_err(|error| match error.size_limit() {
                Some(_) => too_large,
                None => Fault::Engine(error.to_string()),
            })?;
        let required = required(hir).map(|literal| Finder::new(&literal).into_owned());
        Ok(Self { required, onepass: onepass(hir), general })
    }

    /// Finds the leftmost match, its first way; `slots` are two for each group, the whole match's first.
    pub fn captures(&self, text: &str, slots: &mut [Option<NonMaxUsize>]) -> bool {
        if self.required.as_ref().is_some_and(|literal| literal.find(text.as_bytes()).is_none()) {
            return false;
        }
        if let Some((dfa, caches)) = &self.onepass {
            // A match at the start is the leftmost one.
            let input = Input::new(text).anchored(Anchored::Yes);
            if let Ok(Some(_)) = dfa.try_search_slots(&mut caches.get(), &input, slots) {
                return true;
            }
        }
        self.general.search_slots(&Input::new(text), slots).is_some()
    }
}

fn onepass(hir: &Hir) -> Option<(onepass::DFA, Caches)> {
    // Above this, the table is not worth the attempt.
    const STATES_BYTES_MAX: usize = 1 << 18;
    let config = thompson::Config::new().nfa_size_limit(Some(STATES_BYTES_MAX));
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir).ok()?;
    let config = onepass::Config::new().size_limit(Some(ONEPASS_BYTES_MAX));
    let dfa = onepass::Builder::new().configure(config).build_from_nfa(nfa).ok()?;
    let template = dfa.clone();
    let make: Box<dyn Fn() -> onepass::Cache + Send + Sync> = Box::new(move || template.create_cache());
    Some((dfa, Pool::new(make)))
}

/// The longest literal that every match holds.
fn required(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_vec()),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Concat(subs) => subs.iter().filter_map(required).max_by_key(Vec::len),
        _ => None,
    }
}
