//! libdeflate's zlib decoder, appending to a buffer whose free part nobody has written yet.
//!
//! The safe wrapper of the same library takes a slice, which somebody has to fill with zeroes first, and does not say
//! where the stream ended, which takes its checksum a second time. Together they were a tenth of the work.
#![expect(unsafe_code, reason = "a C library; the bench in benches/decode.rs asks for it")]

use std::ptr::NonNull;

use libdeflate_sys as c;

/// A decoder: tables of 11 KB, filled anew for each block of a stream.
#[derive(Debug)]
pub struct Zlib(NonNull<c::libdeflate_decompressor>);

/// Why nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The content needs more room than was given.
    NoRoom,
    /// Not one whole zlib stream: broken, cut, of another checksum, or with bytes behind its end.
    Broken,
}

impl Zlib {
    pub fn new() -> Self {
        // SAFETY: takes nothing, and returns a decoder or null.
        let decoder = NonNull::new(unsafe { c::libdeflate_alloc_decompressor() });
        match decoder {
            Some(decoder) => Self(decoder),
            // As any allocation of Rust's does when there is no memory.
            None => std::alloc::handle_alloc_error(std::alloc::Layout::new::<[u8; 11 << 10]>()),
        }
    }

    /// Appends to `out` the content of `stream`, at most `room` bytes of it, and says how many there were.
    pub fn append(&mut self, stream: &[u8], out: &mut Vec<u8>, room: usize) -> Result<usize, Failure> {
        out.reserve_exact(room);
        let (mut read, mut written) = (0, 0);
        // SAFETY: the decoder is ours alone (`&mut self`) and alive until `drop`. `stream` is readable for its length and
        // `out` has at least `room` bytes behind its content, which nothing else refers to; the library writes at most
        // that many and reads none of them before.
        let result = unsafe {
            c::libdeflate_zlib_decompress_ex(
                self.0.as_ptr(),
                stream.as_ptr().cast(),
                stream.len(),
                out.spare_capacity_mut().as_mut_ptr().cast(),
                room,
                &raw mut read,
                &raw mut written,
            )
        };
        match result {
            c::libdeflate_result_LIBDEFLATE_SUCCESS if read == stream.len() && written <= room => {
                // SAFETY: the library has written the first `written` bytes behind the content.
                unsafe { out.set_len(out.len() + written) };
                Ok(written)
            }
            c::libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE => Err(Failure::NoRoom),
            _ => Err(Failure::Broken),
        }
    }
}

impl Drop for Zlib {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, and freed here only.
        unsafe { c::libdeflate_free_decompressor(self.0.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(3));
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn content_is_appended_and_fits_exactly() {
        let content = b"a line, and a line, and another line".repeat(50);
        let stream = packed(&content);
        let mut zlib = Zlib::new();
        for room in [content.len(), content.len() + 1, 1 << 20] {
            let mut out = b"before ".to_vec();
            assert_eq!(zlib.append(&stream, &mut out, room), Ok(content.len()));
            assert_eq!(out, [&b"before "[..], &content].concat());
        }
        let mut out = b"before ".to_vec();
        for room in [0, 1, content.len() - 1] {
            assert_eq!(zlib.append(&stream, &mut out, room), Err(Failure::NoRoom), "{room}");
            assert_eq!(out, b"before ");
        }
    }

    #[test]
    fn a_stream_is_taken_whole_or_not_at_all() {
        let stream = packed(&b"some content. ".repeat(20));
        let mut zlib = Zlib::new();
        let mut refused = |bytes: &[u8]| {
            let mut out = Vec::new();
            assert_eq!(zlib.append(bytes, &mut out, 1 << 16), Err(Failure::Broken));
            assert!(out.is_empty());
        };
        for end in 0..stream.len() {
            refused(&stream[..end]);
        }
        refused(&[&stream[..], b"x"].concat());
        // Even if what comes behind is the same stream again, checksum included.
        refused(&[&stream[..], &stream].concat());
        for i in 0..4 {
            let mut flipped = stream.clone();
            flipped[stream.len() - 4 + i] ^= 1;
            refused(&flipped);
        }
    }
}
