//! How many different values: a HyperLogLog of 256 registers, exact to some 6 %.

use datasketches::hll::{HllSketch, HllType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 2^8 registers of 4 bits.
const REGISTERS_LOG2: u8 = 8;

#[derive(Debug, Clone)]
pub struct Distinct(HllSketch);

impl Distinct {
    pub fn new() -> Option<Self> {
        HllSketch::new(REGISTERS_LOG2, HllType::Hll4).ok().map(Self)
    }

    #[inline]
    pub fn add(&mut self, hash: u64) {
        self.0.update(hash);
    }

    pub fn estimate(&self) -> f64 {
        self.0.estimate()
    }

    pub fn bytes(&self) -> usize {
        self.0.estimated_size()
    }
}

impl Serialize for Distinct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.serialize())
    }
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <Vec<u8>>::deserialize(deserializer)?;
        HllSketch::deserialize(&bytes).map(Self).map_err(serde::de::Error::custom)
    }
}
