//! Damage done to bytes that had a checksum: what a fuzzer cannot make up, it can break.

/// Reads `data` as edits and applies them to `bytes`. An edit is five bytes: what to do, where (little-endian u16, modulo the
/// length), and two bytes of argument.
pub fn apply(data: &[u8], bytes: &mut Vec<u8>) {
    for edit in data.as_chunks::<5>().0 {
        let [kind, low, high, a, b] = *edit;
        if bytes.is_empty() {
            return;
        }
        let at = usize::from(u16::from_le_bytes([low, high])) % bytes.len();
        let count = usize::from(u16::from_le_bytes([a, b]));
        match kind % 6 {
            0 => bytes[at] = a,
            1 => bytes[at] ^= 1 << (a % 8),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + count % 64).min(bytes.len()))),
            4 => drop(bytes.splice(at..at, std::iter::repeat_n(b, usize::from(a)))),
            _ => {
                let from = count % bytes.len();
                let copy = bytes[from..(from + 64).min(bytes.len())].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
}
