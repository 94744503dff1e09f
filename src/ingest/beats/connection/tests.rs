use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::super::budget::{Budget, EXPECTED_BYTES};
use super::super::server::Settings;
use super::*;
use crate::ingest::frame::build::{c, d, j, w};

/// Keeps what it is given; lets a batch through per permit.
struct Store {
    gate: Semaphore,
    asked: AtomicUsize,
    batches: Mutex<Vec<Batch>>,
    refuses: bool,
}

impl Sink for Store {
    async fn accept(&self, batch: Batch) -> Result<(), SinkError> {
        self.asked.fetch_add(1, Relaxed);
        if self.refuses {
            return Err(SinkError("stopping".into()));
        }
        self.gate.acquire().await.map_err(|e| SinkError(e.to_string()))?.forget();
        self.batches.lock().push(batch);
        Ok(())
    }
}

struct Bench {
    shared: Arc<Shared<Store>>,
    stop: CancellationToken,
}

impl Bench {
    fn new(permits: usize) -> Self {
        Self::with(permits, Settings::default(), false)
    }

    fn with(permits: usize, settings: Settings, refuses: bool) -> Self {
        let gate = Semaphore::new(permits);
        let sink = Arc::new(Store { gate, asked: AtomicUsize::new(0), batches: Mutex::default(), refuses });
        let budget = Budget::new(settings.memory_budget);
        let (now, on_ack) = (Arc::new(|| 42), Arc::new(|_| ()));
        let shared = Arc::new(Shared { settings, sink, budget, counters: Arc::default(), now, on_ack });
        Self { shared, stop: CancellationToken::new() }
    }

    fn connect(&self) -> (DuplexStream, JoinHandle<CloseReason>) {
        let (near, far) = duplex(256 << 10);
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        (near, tokio::spawn(async move { serve(far, "10.0.0.1", &shared, &stop).await }))
    }

    fn asked(&self) -> usize {
        self.shared.sink.asked.load(Relaxed)
    }
}

async fn ack(socket: &mut DuplexStream) -> (u8, u32) {
    let mut frame = [0; 6];
    socket.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[1], b'A');
    (frame[0], u32::from_be_bytes([frame[2], frame[3], frame[4], frame[5]]))
}

/// Nothing more is sent, and the connection ends for this reason.
async fn ends(mut socket: DuplexStream, served: JoinHandle<CloseReason>, reason: CloseReason) {
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"", "an acknowledgement nobody is owed");
    drop(socket);
    assert_eq!(served.await.unwrap(), reason);
}

fn window(from: u32, count: u32) -> Vec<u8> {
    let frames: Vec<u8> = (from..from + count).flat_map(|seq| j(b'2', seq, b"{\"message\":\"x\"}")).collect();
    [w(b'2', count), c(b'2', &frames)].concat()
}

#[tokio::test(start_paused = true)]
async fn windows_are_acknowledged_by_their_last_number() {
    let bench = Bench::new(9);
    let (mut socket, served) = bench.connect();
    for (from, count) in [(1, 5), (6, 2), (8, 2048)] {
        socket.write_all(&window(from, count)).await.unwrap();
        assert_eq!(ack(&mut socket).await, (b'2', from + count - 1));
    }
    socket.write_all(&[w(b'1', 1), d(b'1', 77, &[("line", "x")])].concat()).await.unwrap();
    assert_eq!(ack(&mut socket).await, (b'1', 77));
    socket.write_all(&w(b'1', 0)).await.unwrap();
    assert_eq!(ack(&mut socket).await, (b'1', 0));
    socket.shutdown().await.unwrap();
    ends(socket, served, CloseReason::Peer).await;
    let batches = bench.shared.sink.batches.lock();
    assert_eq!(batches.iter().map(|b| b.events).collect::<Vec<_>>(), [5, 2, 2048, 1]);
    assert_eq!((batches[0].received_at, &*batches[0].peer), (42, "10.0.0.1"));
    assert_eq!(batches[0].body, window(1, 5)[6..]);
    assert_eq!(bench.shared.budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_sender_hears_a_zero_every_five_seconds() {
    let bench = Bench::new(0);
    let (mut socket, served) = bench.connect();
    let start = Instant::now();
    socket.write_all(&[w(b'1', 2), d(b'1', 1, &[("line", "x")])].concat()).await.unwrap();
    for n in 1..=3 {
        assert_eq!(ack(&mut socket).await, (b'1', 0), "from its first byte, under its own version");
        assert_eq!(start.elapsed().as_secs(), 5 * n);
    }
    socket.write_all(&d(b'1', 2, &[("line", "y")])).await.unwrap();
    for n in 4..=20 {
        assert_eq!(ack(&mut socket).await, (b'1', 0), "while the journal is blocked, too");
        assert_eq!(start.elapsed().as_secs(), 5 * n);
    }
    bench.shared.sink.gate.add_permits(1);
    assert_eq!(ack(&mut socket).await, (b'1', 2));
    assert_eq!(bench.shared.counters.keepalives.load(Relaxed), 20);
    let acked = Instant::now();
    ends(socket, served, CloseReason::Idle).await;
    assert_eq!(acked.elapsed().as_secs(), 300, "and then silence until the connection is idle");
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_is_spent_asleep() {
    // Far over every time limit, with nothing but keep-alives due: a deadline in the past would wake it at once, for
    // ever, and the paused clock would never move on.
    let bench = Bench::new(0);
    let start = Instant::now();
    let (mut reading, _reading) = bench.connect();
    reading.write_all(&window(1, 1)).await.unwrap();
    let (mut full, _full) = bench.connect();
    full.write_all(&window(1, 1).repeat(OUTSTANDING_MAX + 1)).await.unwrap();
    for n in 1..=4 * 3600 / 5 {
        assert_eq!((ack(&mut reading).await, ack(&mut full).await), ((b'2', 0), (b'2', 0)));
        assert_eq!(start.elapsed().as_secs(), 5 * n);
    }
    bench.shared.sink.gate.add_permits(OUTSTANDING_MAX + 2);
    assert_eq!(ack(&mut reading).await, (b'2', 1));
    for _ in 0..=OUTSTANDING_MAX {
        assert_eq!(ack(&mut full).await, (b'2', 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_byte_begins_a_window() {
    let bench = Bench::new(0);
    let (mut socket, served) = bench.connect();
    socket.write_all(b"1").await.unwrap();
    for _ in 1..=11 {
        assert_eq!(ack(&mut socket).await, (b'1', 0));
    }
    ends(socket, served, CloseReason::Stalled).await;
}

#[tokio::test(start_paused = true)]
async fn further_windows_are_read_meanwhile_and_acknowledged_in_order() {
    let bench = Bench::new(0);
    let (mut socket, _served) = bench.connect();
    for n in 0..5 {
        socket.write_all(&window(10 * n + 1, 10)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.asked(), OUTSTANDING_MAX, "no more than so many are held");
    bench.shared.sink.gate.add_permits(5);
    for n in 0..5 {
        assert_eq!(ack(&mut socket).await, (b'2', 10 * n + 10));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_is_paid_before_the_end() {
    let shut = |mut socket: DuplexStream| async move {
        socket.shutdown().await.unwrap();
        socket
    };
    for (after, reason) in [
        (&b"2A\0\0\0\x01"[..], CloseReason::Malformed),
        (b"2W\xff\xff\xff\xff", CloseReason::TooLarge),
        (b"\x16\x03", CloseReason::Malformed),
        (b"2W\0\0\0\x02", CloseReason::Cut),
        (b"", CloseReason::Peer),
    ] {
        let bench = Bench::new(0);
        let (mut socket, served) = bench.connect();
        socket.write_all(&[&window(1, 3)[..], &window(4, 3), after].concat()).await.unwrap();
        let mut socket = shut(socket).await;
        assert_eq!(ack(&mut socket).await, (b'2', 0), "kept alive");
        bench.shared.sink.gate.add_permits(2);
        assert_eq!(ack(&mut socket).await, (b'2', 3));
        assert_eq!(ack(&mut socket).await, (b'2', 6));
        ends(socket, served, reason).await;
    }
}

#[tokio::test(start_paused = true)]
async fn how_a_connection_ends() {
    let cases: [(&[u8], CloseReason); 6] = [
        (b"", CloseReason::Idle),
        (b"\x16\x03\x01\x02\x00\x01\x00", CloseReason::TlsOnPlain),
        (b"GET / HTTP/1.1\r\n\r\n", CloseReason::Malformed),
        (b"2J\0\0\0\x01\xff\xff\xff\xff", CloseReason::TooLarge),
        (b"2W\0\0\0\x01\x32C\0\0\0\x04abcd", CloseReason::Malformed),
        (b"2W\0\0\0\x01\x32J\0\0\0\x01\0\0\0\0", CloseReason::Malformed),
    ];
    for (bytes, reason) in cases {
        let bench = Bench::new(9);
        let (mut socket, served) = bench.connect();
        socket.write_all(bytes).await.unwrap();
        ends(socket, served, reason).await;
        assert_eq!((bench.asked(), bench.shared.budget.used()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_v1_writer_is_acknowledged_for_what_came() {
    let bench = Bench::new(9);
    let (mut socket, _served) = bench.connect();
    let start = Instant::now();
    socket.write_all(&[w(b'1', 100), d(b'1', 1, &[("line", "x")])].concat()).await.unwrap();
    let mut last = (b'1', 0);
    while last.1 == 0 {
        last = ack(&mut socket).await;
    }
    assert_eq!((last, start.elapsed().as_secs()), ((b'1', 1), 60));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_is_not_acknowledged() {
    let bench = Bench::with(0, Settings::default(), true);
    let (mut socket, served) = bench.connect();
    socket.write_all(&window(1, 1)).await.unwrap();
    ends(socket, served, CloseReason::Shutdown).await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_takes_no_acknowledgement_is_left() {
    let bench = Bench::new(usize::MAX >> 4);
    let (near, far) = duplex(16);
    let (shared, stop) = (Arc::clone(&bench.shared), bench.stop.clone());
    let served = tokio::spawn(async move { serve(far, "10.0.0.1", &shared, &stop).await });
    let (_unread, mut write) = tokio::io::split(near);
    for n in 0..9 {
        if write.write_all(&window(n, 1)).await.is_err() {
            break;
        }
    }
    assert_eq!(served.await.unwrap(), CloseReason::Unwritable);
}

#[tokio::test(start_paused = true)]
async fn stopping_acknowledges_what_is_whole_and_forgets_the_rest() {
    let bench = Bench::new(0);
    let (mut socket, served) = bench.connect();
    let (mut idle, idle_served) = bench.connect();
    socket.write_all(&[&window(1, 3)[..], &window(4, 3)[..20]].concat()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.stop.cancel();
    assert_eq!(ack(&mut socket).await, (b'2', 0));
    bench.shared.sink.gate.add_permits(9);
    assert_eq!(ack(&mut socket).await, (b'2', 3));
    ends(socket, served, CloseReason::Shutdown).await;
    idle.shutdown().await.unwrap();
    ends(idle, idle_served, CloseReason::Shutdown).await;
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_stalled_senders_cost_little_and_harm_nobody() {
    let bench = Bench::new(usize::MAX >> 4);
    let mut stalled = Vec::new();
    for n in 0..1000u32 {
        let (mut socket, served) = bench.connect();
        // Every other one goes on to claim the largest compressed frame, and sends a little of it.
        let claim: &[u8] = if n % 2 == 0 { b"" } else { b"2C\x04\0\0\0\x78\x5e" };
        socket.write_all(&[&w(b'2', 65_536)[..], claim].concat()).await.unwrap();
        stalled.push((socket, served));
    }
    let (mut healthy, _served) = bench.connect();
    let start = Instant::now();
    for n in 0..20 {
        healthy.write_all(&window(2048 * n + 1, 2048)).await.unwrap();
        assert_eq!(ack(&mut healthy).await, (b'2', 2048 * (n + 1)));
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(bench.shared.budget.used() < 64 << 20, "{}", bench.shared.budget.used());
    assert!(stalled.iter().all(|(_, served)| !served.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn a_window_waits_for_memory_and_is_kept_alive_meanwhile() {
    let bench = Bench::with(0, Settings { memory_budget: 64 << 10, ..Settings::default() }, false);
    let (mut first, _first) = bench.connect();
    let large: Vec<u8> = [w(b'2', 1), j(b'2', 1, &[b'x'; 80 << 10])].concat();
    first.write_all(&large).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(bench.shared.budget.used() >= 64 << 10);
    let (mut second, _second) = bench.connect();
    second.write_all(&window(1, 1)).await.unwrap();
    assert_eq!(ack(&mut second).await, (b'2', 0));
    assert_eq!((bench.asked(), bench.shared.counters.waiting.load(Relaxed)), (1, 1));
    bench.shared.sink.gate.add_permits(2);
    assert_eq!(ack(&mut second).await, (b'2', 1));
    assert_eq!((bench.shared.budget.used(), bench.shared.counters.waiting.load(Relaxed)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn slow_senders_keep_nobody_waiting() {
    // As many windows as the budget expects at once, each a byte every 100 ms.
    let bench = Bench::new(usize::MAX >> 4);
    let slow = bench.shared.settings.memory_budget / EXPECTED_BYTES;
    let mut dripping = Vec::new();
    for _ in 0..slow {
        let (mut socket, served) = bench.connect();
        socket.write_all(&window(1, 2048)[..16]).await.unwrap();
        dripping.push((socket, served));
    }
    let (mut healthy, _served) = bench.connect();
    healthy.write_all(&window(1, 2048)).await.unwrap();
    let start = Instant::now();
    let drip = async {
        for byte in window(1, 2048)[16..].iter().cycle() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            for (socket, _) in &mut dripping {
                socket.write_all(&[*byte]).await.unwrap();
            }
        }
    };
    tokio::select! {
        () = drip => unreachable!(),
        acked = ack(&mut healthy) => assert_eq!(acked, (b'2', 2048)),
    }
    assert!(start.elapsed() <= Duration::from_millis(2200), "{:?}", start.elapsed());
    assert!(dripping.iter().all(|(_, served)| !served.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn the_ceiling_ends_the_connection_that_needs_more() {
    let bench = Bench::with(9, Settings { memory_budget: 64 << 10, ..Settings::default() }, false);
    let (mut socket, served) = bench.connect();
    let frames = j(b'2', 1, &vec![b'x'; 1 << 20]);
    socket.write_all(&[w(b'2', 1), c(b'2', &frames)].concat()).await.unwrap();
    ends(socket, served, CloseReason::Memory).await;
    assert_eq!((bench.asked(), bench.shared.budget.used()), (0, 0));
}
