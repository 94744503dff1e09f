//! Ends a query that nobody waits for any more.
//!
//! A query runs on one thread from its first segment to its last, and asks here as often as it looks at the clock. The
//! flag belongs to the thread for the length of the call, so that it need not be handed through every function on the way.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static FLAG: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Runs queries that end with [`Stop::Cancelled`](super::Stop::Cancelled) once `flag` is set.
pub fn interruptible<T>(flag: Arc<AtomicBool>, run: impl FnOnce() -> T) -> T {
    /// Put back even when the call panics: the thread serves other queries.
    struct Back(Option<Arc<AtomicBool>>);
    impl Drop for Back {
        fn drop(&mut self) {
            FLAG.with(|slot| *slot.borrow_mut() = self.0.take());
        }
    }
    let _back = Back(FLAG.with(|slot| slot.borrow_mut().replace(flag)));
    run()
}

/// Whether this thread's query is to end.
pub(super) fn is_interrupted() -> bool {
    FLAG.with(|slot| slot.borrow().as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_counts_for_its_call_alone() {
        let flag = Arc::new(AtomicBool::new(false));
        assert!(!is_interrupted());
        interruptible(Arc::clone(&flag), || {
            assert!(!is_interrupted());
            flag.store(true, Ordering::Relaxed);
            assert!(is_interrupted());
            interruptible(Arc::default(), || assert!(!is_interrupted()));
            assert!(is_interrupted());
        });
        assert!(!is_interrupted());
        let caught = std::panic::catch_unwind(|| interruptible(Arc::new(AtomicBool::new(true)), || panic!("as asked")));
        assert!(caught.is_err() && !is_interrupted());
    }
}
