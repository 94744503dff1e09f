use std::iter::once;

use proptest::prelude::*;

use super::*;
use crate::ingest::frame::build::{c, d, j, w};
use crate::ingest::frame::{Unlimited, inflate_window};

/// One line per thing that bytes came to, fed in the given pieces.
fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Vec<Window>) {
    let mut windows = Windows::new(Limits::default());
    let (mut told, mut given) = (Vec::new(), Vec::new());
    for mut piece in pieces {
        loop {
            match windows.push(&mut piece, &mut Unlimited) {
                Ok(Progress::Hungry) => break,
                Ok(Progress::Admit) => told.push("admit".into()),
                Ok(Progress::Replaced) => told.push("replaced".into()),
                Ok(Progress::Empty { version }) => told.push(format!("ack {} 0", version as char)),
                Ok(Progress::Complete(window)) => {
                    let cut = if window.cut_short { " cut short" } else { "" };
                    let Window { version, last_seq, events, .. } = window;
                    told.push(format!("ack {} {last_seq} of {events}{cut}", version as char));
                    given.push(window);
                }
                Err(Malformed { error, offset }) => {
                    told.push(format!("{} at {offset}", error.reason()));
                    return (told, given);
                }
            }
        }
    }
    (told, given)
}

fn js(seqs: std::ops::RangeInclusive<u32>) -> Vec<u8> {
    seqs.flat_map(|seq| j(b'2', seq, format!("{{\"n\":{seq}}}").as_bytes())).collect()
}

fn ds(seqs: std::ops::RangeInclusive<u32>) -> Vec<u8> {
    seqs.flat_map(|seq| d(b'1', seq, &[("line", "text"), ("host", "n1")])).collect()
}

#[test]
fn every_rule_of_the_protocol() {
    let check = |parts: &[Vec<u8>], expected: &[&str]| {
        let bytes = parts.concat();
        assert_eq!(run(once(&bytes[..])).0, expected, "{:?}", String::from_utf8_lossy(&bytes));
    };
    let w2 = |count| w(b'2', count);
    // Whole windows, by last sequence number, with the version byte of the last frame.
    check(&[], &[]);
    check(&[w2(2), js(1..=2)], &["admit", "ack 2 2 of 2"]);
    check(&[w2(3), js(1..=2)], &["admit"]);
    check(&[w2(2), c(b'2', &js(1..=2))], &["admit", "ack 2 2 of 2"]);
    check(&[w2(4), c(b'2', &js(1..=2)), c(b'2', &js(3..=4))], &["admit", "ack 2 4 of 4"]);
    check(&[w2(4), js(1..=1), c(b'2', &js(2..=3)), js(4..=4)], &["admit", "ack 2 4 of 4"]);
    check(&[w(b'1', 2), ds(1..=2)], &["admit", "ack 1 2 of 2"]);
    check(&[w(b'1', 2), c(b'1', &ds(1..=2))], &["admit", "ack 1 2 of 2"]);
    check(&[w2(2), js(1..=2), w2(2), js(3..=4)], &["admit", "ack 2 2 of 2", "admit", "ack 2 4 of 2"]);
    check(&[w2(2), js(u32::MAX..=u32::MAX), js(0..=0)], &["admit", "ack 2 0 of 2"]);
    // Either data frame under either version byte, mixed in one window.
    check(&[w2(2), d(b'2', 1, &[("line", "x")]), j(b'1', 2, b"{}")], &["admit", "ack 1 2 of 2"]);
    check(&[w(b'1', 2), j(b'1', 1, b"{}"), j(b'2', 2, b"{}")], &["admit", "ack 2 2 of 2"]);
    check(&[w2(1), c(b'2', &j(b'1', 1, b"{}"))], &["admit", "ack 1 1 of 1"]);
    // An empty window is answered at once.
    check(&[w2(0)], &["ack 2 0"]);
    check(&[w(b'1', 0), w2(1), js(1..=1)], &["ack 1 0", "admit", "ack 2 1 of 1"]);
    check(&[w2(0), js(1..=1)], &["ack 2 0", "admit", "ack 2 1 of 1"]);
    // A window in place of one that is not full.
    check(&[w2(3), js(1..=2), w2(1), js(1..=1)], &["admit", "ack 2 2 of 2 cut short", "admit", "ack 2 1 of 1"]);
    check(&[w2(3), w2(1), js(1..=1)], &["replaced", "admit", "ack 2 1 of 1"]);
    check(&[w2(3), js(1..=1), w2(0)], &["admit", "ack 2 1 of 1 cut short", "ack 2 0"]);
    check(
        &[w2(3), c(b'2', &js(1..=2)), w(b'1', 1), ds(1..=1)],
        &["admit", "ack 2 2 of 2 cut short", "admit", "ack 1 1 of 1"],
    );
    // No window announced: one of 1, or of the size before.
    check(&[js(7..=7)], &["admit", "ack 2 7 of 1"]);
    check(&[js(1..=2)], &["admit", "ack 2 1 of 1", "admit", "ack 2 2 of 1"]);
    check(&[w(b'1', 2), ds(1..=5)], &["admit", "ack 1 2 of 2", "admit", "ack 1 4 of 2", "admit"]);
    check(&[c(b'2', &js(1..=3))], &["admit", "ack 2 3 of 3"]);
    // A compressed frame is never split between windows.
    check(&[w2(2), c(b'2', &js(1..=3)), js(4..=4)], &["admit", "ack 2 3 of 3", "admit"]);
    // Refused, at a place, with nothing of the window acknowledged.
    check(&[w2(1), js(1..=1), b"2A\0\0\0\x01".to_vec()], &["admit", "ack 2 1 of 1", "ack_from_sender at 23"]);
    check(&[w2(65_536)], &[]);
    check(&[w2(65_537)], &["window_too_large at 0"]);
    check(&[w2(u32::MAX)], &["window_too_large at 0"]);
    check(&[b"\x16\x03\x01".to_vec()], &["bad_version at 0"]);
    check(&[b"GET / HTTP/1.1\r\n".to_vec()], &["bad_version at 0"]);
    check(&[w2(1), c(b'2', &w2(1))], &["admit", "nested_window at 12"]);
    check(&[w2(1), c(b'2', &c(b'2', &js(1..=1)))], &["admit", "nested_compressed at 12"]);
    check(&[w2(1), b"2J\0\0\0\x01\xff\xff\xff\xff".to_vec()], &["frame_too_large at 6"]);
    check(&[w2(1), b"2C\xff\xff\xff\xff".to_vec()], &["compressed_too_large at 6"]);
}

/// Sessions as their writers send them.
fn sessions() -> Vec<(&'static str, Vec<u8>)> {
    let v1: Vec<u8> = [w(b'1', 3), ds(1..=7), w(b'1', 1), c(b'1', &ds(8..=8))].concat();
    let bare: Vec<u8> = [w(b'2', 4), js(1..=4), w(b'2', 0), w(b'2', 1), js(1..=1)].concat();
    let beat: Vec<u8> = [w(b'2', 5), c(b'2', &js(1..=5)), w(b'2', 2), c(b'2', &js(1..=2))].concat();
    let several =
        [w(b'2', 6), c(b'2', &js(1..=2)), js(3..=3), c(b'2', &js(4..=5)), ds(6..=6), w(b'2', 9), js(1..=2)].concat();
    let running = [w(b'2', 2), c(b'2', &js(1..=2)), w(b'2', 2), c(b'2', &js(3..=4)), w(b'2', 1), js(5..=5)].concat();
    let cut = [w(b'2', 9), js(1..=2), w(b'2', 9), w(b'2', 9), c(b'2', &js(1..=3)), w(b'2', 1), js(1..=1)].concat();
    vec![("v1", v1), ("bare", bare), ("beat", beat), ("several", several), ("running", running), ("cut", cut)]
}

#[test]
fn pieces_make_no_difference() {
    for (name, session) in sessions() {
        let whole = run(once(&session[..]));
        assert!(!whole.1.is_empty(), "{name}");
        for at in 0..=session.len() {
            let (left, right) = session.split_at(at);
            assert_eq!(run([left, right]), whole, "{name} cut at {at}");
        }
        for size in [1, 2, 3, 7, 11, 64] {
            assert_eq!(run(session.chunks(size)), whole, "{name} in pieces of {size}");
        }
    }
}

#[test]
fn a_body_alone_gives_the_same_frames_again() {
    for (name, session) in sessions() {
        for window in run(once(&session[..])).1 {
            let again = inflate_window(&window.body, &Limits::default()).unwrap();
            assert_eq!(again, window.inflated, "{name}");
        }
    }
}

#[test]
fn a_bare_window_is_not_copied() {
    let window = run(once(&[w(b'2', 2), js(1..=2)].concat()[..])).1.remove(0);
    assert_eq!(window.body.as_ptr(), window.inflated.as_ptr());
}

/// Grants everything, and remembers the most that was asked for.
#[derive(Default)]
struct Asked(usize);

impl Room for Asked {
    fn hold(&mut self, bytes: usize) -> bool {
        self.0 = self.0.max(bytes);
        true
    }
}

/// The windows in these bytes, fed in one piece, and the most memory that one of them asked for.
fn damaged(bytes: &[u8]) -> (Vec<Window>, usize) {
    let (mut windows, mut asked, mut given, mut input) =
        (Windows::new(Limits::default()), Asked::default(), Vec::new(), bytes);
    loop {
        match windows.push(&mut input, &mut asked) {
            Ok(Progress::Hungry) | Err(_) => return (given, asked.0),
            Ok(Progress::Complete(window)) => given.push(window),
            Ok(_) => {}
        }
    }
}

#[test]
fn no_damage_panics_or_is_taken_for_more_than_was_sent() {
    for (name, session) in sessions() {
        let (whole, asked_whole) = damaged(&session);
        // A flipped bit in a deflate stream may make it longer; nothing makes it what a header claims.
        let asked_max = 2 * asked_whole + (1 << 20);
        for at in 0..session.len() {
            let (cut, asked) = damaged(&session[..at]);
            assert_eq!(cut[..], whole[..cut.len()], "{name} ends at {at}");
            assert!(asked <= asked_whole, "{name} ends at {at}: {asked} bytes");
            for bit in 0..8 {
                let mut flipped = session.clone();
                flipped[at] ^= 1 << bit;
                let (windows, asked) = damaged(&flipped);
                assert!(asked <= asked_max, "{name} bit {bit} at {at}: {asked} bytes");
                for window in windows {
                    assert!(window.events as usize <= session.len());
                    let again = inflate_window(&window.body, &Limits::default());
                    assert_eq!(again.as_ref(), Ok(&window.inflated), "{name} bit {bit} at {at}");
                }
            }
        }
    }
}

#[test]
fn a_claim_asks_for_no_memory() {
    let check = |bytes: Vec<u8>| {
        let (windows, asked) = damaged(&bytes);
        assert!(windows.is_empty() && asked <= 64 << 10, "{asked} bytes for {bytes:?}");
    };
    let w = w(b'2', 65_536);
    check(w.clone());
    for claim in
        [&b"2J\0\0\0\x01\0\xff\xff\xf0{"[..], b"1D\0\0\0\x01\0\x10\0\0\0\0", b"1D\0\0\0\x01\0\0\0\x01\0\xf0\0\0k"]
    {
        check([&w[..], claim].concat());
        check([&w[..], &c(b'2', claim)].concat());
    }
    check([&w[..], b"2C\x04\0\0\0"].concat());
    check([&w[..], b"2C\x04\0\0\0\x78\x5e"].concat());
}

#[test]
fn a_v1_window_can_be_cut_at_a_frame_and_no_other() {
    let after = |bytes: &[u8]| {
        let mut windows = Windows::new(Limits::default());
        let mut input = bytes;
        while windows.push(&mut input, &mut Unlimited).unwrap() != Progress::Hungry {}
        windows.cut_quiet().map(|window| (window.version, window.last_seq, window.events))
    };
    let v1 = [w(b'1', 9), ds(1..=3)].concat();
    assert_eq!(after(&v1), Some((b'1', 3, 3)));
    assert_eq!(after(&v1[..v1.len() - 1]), None, "inside a frame");
    assert_eq!(after(&w(b'1', 9)), None, "nothing came");
    assert_eq!(after(&[w(b'2', 9), js(1..=3)].concat()), None, "a Beat's window is whole or not at all");
}

#[test]
fn keep_alives_know_their_version_from_the_first_byte() {
    let mut windows = Windows::new(Limits::default());
    let mut see = |bytes: &[u8]| {
        let mut input = bytes;
        while windows.push(&mut input, &mut Unlimited).unwrap() != Progress::Hungry {}
        (windows.in_window(), windows.version())
    };
    assert!(!see(b"").0);
    assert_eq!(see(b"1"), (true, b'1'));
    assert_eq!(see(&w(b'1', 1)[1..]), (true, b'1'));
    assert_eq!(see(&ds(1..=1)), (false, b'1'));
    assert_eq!(see(b"2"), (true, b'2'));
}

#[test]
fn a_frame_of_many_pairs_is_read_once() {
    // Byte by byte: a reader that starts again at every piece would take hours.
    let pairs = vec![("", ""); 100_000];
    let session = [w(b'1', 1), d(b'1', 1, &pairs)].concat();
    assert_eq!(run(session.chunks(1)).0, ["admit", "ack 1 1 of 1"]);
    let zipped = [w(b'1', 1), c(b'1', &d(b'1', 1, &pairs))].concat();
    assert_eq!(run(zipped.chunks(1)).0, ["admit", "ack 1 1 of 1"]);
}

proptest! {
    #[test]
    fn windows_round_trip_in_any_pieces(
        sizes in prop::collection::vec((1u32..20, any::<bool>(), any::<bool>()), 1..6),
        piece in 1usize..400,
    ) {
        let (mut session, mut expected) = (Vec::new(), Vec::new());
        for (size, compressed, json) in sizes {
            let frames = if json { js(1..=size) } else { ds(1..=size) };
            session.extend(w(b'2', size));
            session.extend(if compressed { c(b'2', &frames) } else { frames.clone() });
            expected.push((size, frames));
        }
        let windows = run(session.chunks(piece)).1;
        let got: Vec<_> = windows.into_iter().map(|w| (w.last_seq, w.inflated.to_vec())).collect();
        prop_assert_eq!(got, expected);
    }
}
