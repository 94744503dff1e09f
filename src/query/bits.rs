//! A set of documents of one segment: one bit each.

/// Documents of a segment, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    len: u32,
}

impl Bits {
    pub fn none(len: u32) -> Self {
        Self { words: vec![0; (len as usize).div_ceil(64)], len }
    }

    pub fn all(len: u32) -> Self {
        let mut bits = Self { words: vec![u64::MAX; (len as usize).div_ceil(64)], len };
        if let (Some(last), rest @ 1..) = (bits.words.last_mut(), len % 64) {
            *last = (1 << rest) - 1;
        }
        bits
    }

    pub fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub fn set(&mut self, doc: u32) {
        self.words[doc as usize / 64] |= 1 << (doc % 64);
    }

    #[inline]
    pub fn contains(&self, doc: u32) -> bool {
        self.words.get(doc as usize / 64).is_some_and(|word| word >> (doc % 64) & 1 == 1)
    }

    pub fn is_none(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    pub fn is_all(&self) -> bool {
        self.count() == u64::from(self.len)
    }

    pub fn count(&self) -> u64 {
        self.words.iter().map(|w| u64::from(w.count_ones())).sum()
    }

    /// Keeps what `other` has too.
    pub fn and(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
        self
    }

    /// Drops what `other` has.
    pub fn minus(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= !b);
        self
    }

    /// Adds what `other` has.
    pub fn add(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
    }

    /// Calls `each` with the documents in order, as many at once as `block` was made for.
    pub fn each_block(&self, block: &mut Vec<u32>, mut each: impl FnMut(&[u32])) {
        let done: Result<(), std::convert::Infallible> = self.try_each_block(block, |docs| {
            each(docs);
            Ok(())
        });
        match done {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }

    /// [`Self::each_block`] from the last document to the first.
    pub fn each_block_back(&self, block: &mut Vec<u32>, mut each: impl FnMut(&[u32])) {
        let at_once = block.capacity().max(64);
        block.clear();
        for (at, &word) in self.words.iter().enumerate().rev() {
            let mut rest = word;
            while rest != 0 {
                let bit = rest.ilog2();
                rest ^= 1 << bit;
                block.push(at as u32 * 64 + bit);
                if block.len() == at_once {
                    each(block);
                    block.clear();
                }
            }
        }
        if !block.is_empty() {
            each(block);
        }
    }

    /// [`Self::each_block`] until the first error.
    pub fn try_each_block<E>(
        &self,
        block: &mut Vec<u32>,
        mut each: impl FnMut(&[u32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let at_once = block.capacity().max(64);
        block.clear();
        for doc in self.iter() {
            block.push(doc);
            if block.len() == at_once {
                each(block)?;
                block.clear();
            }
        }
        if block.is_empty() { Ok(()) } else { each(block) }
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(at as u32 * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        for len in [0, 1, 63, 64, 65, 200] {
            let all = Bits::all(len);
            assert_eq!((all.count(), all.iter().count()), (u64::from(len), len as usize));
            assert!(all.clone().minus(&all).is_none());
            let mut some = Bits::none(len);
            (0..len).step_by(3).for_each(|doc| some.set(doc));
            assert!(some.iter().eq((0..len).step_by(3)));
            assert_eq!(all.clone().and(&some), some);
            assert!((0..len + 99).all(|doc| some.contains(doc) == (doc < len && doc.is_multiple_of(3))));
            let mut blocks = vec![];
            some.each_block(&mut Vec::with_capacity(7), |block| blocks.extend_from_slice(block));
            let mut back = vec![];
            some.each_block_back(&mut Vec::with_capacity(7), |block| back.extend_from_slice(block));
            assert!(back.iter().rev().eq(&blocks));
            assert!(some.iter().eq(blocks));
            let mut both = all.clone().minus(&some);
            both.add(&some);
            assert_eq!(both, all);
        }
    }
}
