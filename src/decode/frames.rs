//! The data frames of a batch, one after the other: `J` and `D`, uncompressed, already found whole by `ingest`.

/// One data frame.
#[derive(Debug, Clone, Copy)]
pub enum DataFrame<'b> {
    Json { seq: u32, body: &'b [u8] },
    Pairs { seq: u32, pairs: Pairs<'b> },
}

/// The key/value pairs of a `D` frame.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'b> {
    left: u32,
    /// All pairs, lengths included, as they stood.
    pub bytes: &'b [u8],
}

impl<'b> Iterator for Pairs<'b> {
    type Item = (&'b [u8], &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut take = || {
            let (length, rest) = self.bytes.split_first_chunk::<4>()?;
            let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            self.bytes = rest;
            Some(text)
        };
        Some((take()?, take()?))
    }
}

/// Walks data frames; ends at the first that is not whole.
#[derive(Debug, Clone)]
pub struct DataFrames<'b>(&'b [u8]);

impl<'b> DataFrames<'b> {
    pub fn new(frames: &'b [u8]) -> Self {
        Self(frames)
    }
}

impl<'b> Iterator for DataFrames<'b> {
    type Item = DataFrame<'b>;

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.0.split_first_chunk::<10>()?;
        let seq = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        let count = u32::from_be_bytes([head[6], head[7], head[8], head[9]]);
        match head[1] {
            b'J' => {
                let (body, rest) = rest.split_at_checked(count as usize)?;
                self.0 = rest;
                Some(DataFrame::Json { seq, body })
            }
            b'D' => {
                let mut pairs = Pairs { left: count, bytes: rest };
                for _ in 0..count {
                    pairs.next()?;
                }
                let bytes = &rest[..rest.len() - pairs.bytes.len()];
                self.0 = pairs.bytes;
                Some(DataFrame::Pairs { seq, pairs: Pairs { left: count, bytes } })
            }
            _ => None,
        }
    }
}
