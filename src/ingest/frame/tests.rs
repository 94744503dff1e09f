use proptest::prelude::*;

use super::build::{c, c_raw, d, j, w, zlib};
use super::*;

fn inflate(body: &[u8]) -> Result<bytes::Bytes, FrameError> {
    inflate_window(body, &Limits::default())
}

#[test]
fn a_body_gives_its_data_frames() {
    let (a, b, pairs) = (j(b'2', 1, b"{}"), j(b'2', 2, b"{\"a\":1}"), d(b'1', 3, &[("line", "x"), ("", "")]));
    let check = |body: &[&[u8]], expected: &[&[u8]]| assert_eq!(inflate(&body.concat()).unwrap(), expected.concat());
    check(&[], &[]);
    check(&[&a], &[&a]);
    check(&[&a, &pairs], &[&a, &pairs]);
    check(&[&c(b'2', &a)], &[&a]);
    check(&[&c(b'2', &[&a[..], &b].concat()), &c(b'1', &pairs)], &[&a, &b, &pairs]);
    check(&[&a, &c(b'2', &b), &pairs], &[&a, &b, &pairs]);
    check(&[&c(b'2', b""), &a], &[&a]);
}

#[test]
fn what_is_no_frame_has_a_name() {
    let whole = j(b'2', 1, b"{}");
    let (stream, pairs) = (zlib(&whole), d(b'1', 1, &[("line", "x")]));
    let check = |body: &[u8], reason: &str| assert_eq!(inflate(body).unwrap_err().reason(), reason, "{body:?}");
    check(b"\x16\x03\x01\x02\x00\x01", "bad_version");
    check(b"3", "bad_version");
    check(b"2X", "bad_type");
    check(b"2A\0\0\0\x01", "ack_from_sender");
    check(&w(b'2', 1), "nested_window");
    check(&c(b'2', &w(b'2', 1)), "nested_window");
    check(&c(b'2', &c(b'2', &whole)), "nested_compressed");
    check(&c(b'2', b"2A\0\0\0\x01"), "ack_from_sender");
    check(&c(b'2', b"xx"), "bad_version");
    check(&c(b'2', &whole[..whole.len() - 1]), "partial_frame");
    check(&c(b'2', &whole[..1]), "partial_frame");
    check(&whole[..whole.len() - 1], "partial_frame");
    check(&j(b'2', 1, b""), "empty_frame");
    check(&d(b'1', 1, &[]), "empty_frame");
    check(&c_raw(b'2', b""), "bad_zlib");
    check(&c_raw(b'2', &stream[..stream.len() - 1]), "bad_zlib");
    check(&c_raw(b'2', &[&stream[..], b"!"].concat()), "bad_zlib");
    check(&c_raw(b'2', &[&stream[..], &zlib(&pairs)].concat()), "bad_zlib");
    check(&c_raw(b'2', b"not zlib at all"), "bad_zlib");
    let mut checksum = stream.clone();
    *checksum.last_mut().unwrap() ^= 1;
    check(&c_raw(b'2', &checksum), "bad_zlib");
}

#[test]
fn a_limit_holds_at_its_edge() {
    let limits =
        Limits { frame_bytes_max: 100, inflated_bytes_max: 300, compressed_bytes_max: 200, ..Limits::default() };
    let check = |body: &[u8], reason: Option<&str>| {
        assert_eq!(inflate_window(body, &limits).err().map(|e| e.reason()), reason, "{} bytes", body.len());
    };
    let (fits, over) = (j(b'2', 1, &[b'x'; 90]), j(b'2', 1, &[b'x'; 91]));
    check(&fits, None);
    check(&over[..10], Some("frame_too_large"));
    check(&d(b'1', 1, &[("k", &"v".repeat(81))]), None);
    check(&d(b'1', 1, &[("k", &"v".repeat(82))]), Some("frame_too_large"));
    check(&[&b"1D\0\0\0\x01"[..], &12u32.to_be_bytes()].concat(), Some("frame_too_large"));
    check(&[&b"1D\0\0\0\x01"[..], &u32::MAX.to_be_bytes()].concat(), Some("frame_too_large"));
    check(&[&b"2J\0\0\0\x01"[..], &u32::MAX.to_be_bytes()].concat(), Some("frame_too_large"));
    check(&c(b'2', &fits.repeat(3)), None);
    check(&c(b'2', &[&fits.repeat(3)[..], &j(b'2', 1, b"x")].concat()), Some("inflated_too_large"));
    check(&[b"2C".as_slice(), &201u32.to_be_bytes()].concat(), Some("compressed_too_large"));
}

#[test]
fn a_bomb_is_stopped_by_its_ratio() {
    let bomb = c(b'2', &j(b'2', 1, &vec![b' '; 12 << 20]).repeat(3));
    assert_eq!(inflate(&bomb).unwrap_err().reason(), "inflate_ratio");
    let quiet = c(b'2', &j(b'2', 1, &vec![b' '; 10 << 20]));
    assert_eq!(inflate(&quiet).unwrap().len(), 10 + (10 << 20));
}

/// Room for so much and no more; remembers the most that was asked for.
struct Bounded {
    max: usize,
    asked: usize,
}

impl Room for Bounded {
    fn hold(&mut self, bytes: usize) -> bool {
        self.asked = self.asked.max(bytes);
        bytes <= self.max
    }
}

#[test]
fn room_is_asked_for_before_the_output_grows() {
    let stream = zlib(&j(b'2', 1, &vec![b'x'; 1 << 20]));
    let mut out = Vec::new();
    let mut room = Bounded { max: 64 << 10, asked: 0 };
    let refused = Inflater::default().inflate(&stream, &mut out, &Limits::default(), 0, &mut room);
    assert_eq!(refused, Err(FrameError::Memory));
    assert!(out.capacity() <= 64 << 10, "{}", out.capacity());
    assert!(room.asked <= 128 << 10, "it grows from what was received: {}", room.asked);
}

#[test]
fn a_sender_whose_ratio_changes_is_still_read_whole() {
    let (dense, sparse) = (zlib(&j(b'2', 1, &noise(100_000))), zlib(&j(b'2', 1, &vec![b'x'; 3 << 20])));
    let mut inflater = Inflater::default();
    for payload in [&dense, &sparse, &dense, &dense, &sparse] {
        let mut out = j(b'2', 1, b"{}");
        let seen = inflater.inflate(payload, &mut out, &Limits::default(), 0, &mut Unlimited).unwrap();
        assert_eq!(seen.events, 1);
        assert_eq!(out.len(), 12 + 10 + if payload == &dense { 100_000 } else { 3 << 20 });
    }
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(next).collect()
}

proptest! {
    #[test]
    fn frames_come_back_from_any_mix_and_any_compression(
        groups in prop::collection::vec(
            (prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..300)), 0..8), any::<bool>()),
            0..6,
        ),
    ) {
        let (mut body, mut expected) = (Vec::new(), Vec::new());
        for (frames, compressed) in groups {
            let plain: Vec<u8> = frames
                .iter()
                .flat_map(|(json, text)| match json {
                    true => j(b'2', 7, text),
                    false => d(b'1', 8, &[("line", &String::from_utf8_lossy(text))]),
                })
                .collect();
            expected.extend_from_slice(&plain);
            body.extend(if compressed { c(b'2', &plain) } else { plain });
        }
        prop_assert_eq!(inflate(&body).unwrap(), expected);
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200), lead in 0usize..5) {
        let lead: &[u8] = [&b""[..], b"2J", b"1D\0\0\0\x01\0\0\0\x02", b"2C\0\0\0\x20\x78\x5e", b"2W"][lead];
        let _ = inflate(&[lead, &body].concat());
    }
}
