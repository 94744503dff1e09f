//! Appends, trims, restarts, crashes and faults at random, beside a model: what was acknowledged and not trimmed is
//! there, once, in order, as it was given; whatever else is there was given too.

use super::*;
use fault_disk::FaultDisk;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Action {
    /// Entries appended together; waited for.
    Append(Vec<u16>),
    /// Through this part of what is durable, in 1/255.
    Trim(u8),
    Reopen,
    /// Power loss while these are being written; a part of the unsynced bytes survives, in 1/255.
    Crash(Vec<u16>, u8),
    FailSyncs(usize),
    FailWrites(usize),
    ShortWrites(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let sizes = || proptest::collection::vec(0..3000_u16, 1..6);
    prop_oneof![
        8 => sizes().prop_map(Action::Append),
        3 => any::<u8>().prop_map(Action::Trim),
        2 => Just(Action::Reopen),
        3 => (sizes(), any::<u8>()).prop_map(|(sizes, keep)| Action::Crash(sizes, keep)),
        1 => (1..3_usize).prop_map(Action::FailSyncs),
        1 => (1..3_usize).prop_map(Action::FailWrites),
        1 => (1..2000_usize).prop_map(Action::ShortWrites),
    ]
}

#[derive(Default)]
struct Model {
    acked: BTreeMap<u64, Bytes>,
    /// Given, and lost or kept by a crash: either is right.
    maybe: BTreeMap<u64, Vec<Bytes>>,
    trimmed: u64,
    given: u64,
}

impl Model {
    fn payload(&mut self, size: u16) -> Bytes {
        self.given += 1;
        let seed = self.given.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (0..size).map(|at| (seed >> (at % 8 * 7)) as u8 ^ at as u8).collect::<Vec<_>>().into()
    }

    fn check(&self, journal: &Journal) {
        let (entries, damages) = read_all(journal, self.trimmed);
        assert_eq!(damages, [], "nothing was damaged");
        for pair in entries.windows(2) {
            assert_eq!(pair[0].0 + 1, pair[1].0, "dense");
        }
        let read: BTreeMap<u64, Bytes> = entries.into_iter().collect();
        for (position, payload) in self.acked.range(self.trimmed + 1..) {
            assert_eq!(read.get(position), Some(payload), "position {position} was acknowledged");
        }
        for (position, payload) in &read {
            let given = self.acked.get(position) == Some(payload)
                || self.maybe.get(position).is_some_and(|all| all.contains(payload));
            assert!(given, "position {position} was never given this");
        }
    }
}

async fn run(actions: Vec<Action>) {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = FaultDisk::default();
    let mut journal = Some(open_on(dir.path(), Arc::new(disk.clone())).0);
    let mut model = Model::default();
    for action in actions {
        let now = journal.as_ref().unwrap();
        match action {
            Action::Append(sizes) => {
                let mut tickets = Vec::new();
                for size in sizes {
                    let payload = model.payload(size);
                    let room = now.reserve(payload.len() as u64).await.unwrap();
                    tickets.push((now.append(room, vec![payload.clone()]), payload));
                }
                for (ticket, payload) in tickets {
                    ticket.durable.await.unwrap();
                    assert!(ticket.position.0 > model.trimmed);
                    assert_eq!(model.acked.insert(ticket.position.0, payload), None, "a position given twice");
                }
                disk.set_write_bytes_max(None);
            }
            Action::Trim(part) => {
                let through = now.durable().borrow().0 * u64::from(part) / 255;
                now.trim(Position(through));
                model.trimmed = now.checkpoint().0.max(model.trimmed);
            }
            Action::Reopen => {
                drop(journal.take());
                journal = Some(open_on(dir.path(), Arc::new(disk.clone())).0);
            }
            Action::Crash(sizes, keep) => {
                // A failure now would keep the second entry out until the sync that is held here is done.
                disk.fail_writes(0);
                disk.fail_syncs(0);
                disk.hold_syncs();
                let mut tickets = Vec::new();
                for size in sizes {
                    let payload = model.payload(size);
                    let room = now.reserve(payload.len() as u64).await.unwrap();
                    let ticket = now.append(room, vec![payload.clone()]);
                    model.maybe.entry(ticket.position.0).or_default().push(payload);
                    tickets.push(ticket);
                    tokio::task::yield_now().await;
                }
                disk.crash(|unsynced| unsynced * u64::from(keep) / 255);
                drop(journal.take());
                for ticket in tickets {
                    assert!(ticket.durable.await.is_err(), "acknowledged by a dead disk");
                }
                disk = FaultDisk::default();
                let (reopened, report) = open_on(dir.path(), Arc::new(disk.clone()));
                assert_eq!(report.damages, []);
                // What is kept is the journal's from now on.
                for (position, payload) in read_all(&reopened, model.trimmed).0 {
                    model.acked.entry(position).or_insert(payload);
                }
                journal = Some(reopened);
            }
            Action::FailSyncs(count) => disk.fail_syncs(count),
            Action::FailWrites(count) => disk.fail_writes(count),
            Action::ShortWrites(bytes) => disk.set_write_bytes_max(Some(bytes)),
        }
        model.check(journal.as_ref().unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_the_acknowledged_is_there(actions in proptest::collection::vec(action(), 1..25)) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(run(actions));
    }
}
