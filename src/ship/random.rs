//! A small seeded generator: the same seed gives the same traffic on every machine.

/// splitmix64 (Steele, Lea, Flood 2014): 64 bits of state, one multiplication chain a number. For load, not for keys.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 when `n` is 0. The bias of the multiplication is below n / 2^64.
    #[inline]
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// One of `items`, which must not be empty.
    pub fn pick<'a, T: ?Sized + 'a>(&mut self, items: &'a [&'a T]) -> &'a T {
        items[self.below(items.len())]
    }

    /// A log-normal number with this median; `sigma` is the standard deviation of its logarithm.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        // Box and Muller; 1 - unit() keeps the logarithm's argument above 0.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        median * (sigma * radius * (std::f64::consts::TAU * self.unit()).cos()).exp()
    }

    /// An index skewed towards 0, as popularity is: index i comes up about 1 / (i + 1) as often as index 0.
    pub fn skewed(&mut self, n: usize) -> usize {
        let x = (n as f64 + 1.0).powf(self.unit()) - 1.0;
        (x as usize).min(n.saturating_sub(1))
    }

    /// Appends `digits` lower-case hexadecimal digits.
    pub fn hex(&mut self, digits: usize, out: &mut String) {
        let mut left = digits;
        while left > 0 {
            let mut bits = self.bits();
            for _ in 0..left.min(16) {
                out.push(char::from(b"0123456789abcdef"[(bits & 15) as usize]));
                bits >>= 4;
            }
            left -= left.min(16);
        }
    }

    /// Appends a version 4 UUID.
    pub fn uuid(&mut self, out: &mut String) {
        for (i, digits) in [8, 4, 3, 3, 12].into_iter().enumerate() {
            if i > 0 {
                out.push('-');
            }
            match i {
                2 => out.push('4'),
                3 => out.push(char::from(b"89ab"[self.below(4)])),
                _ => {}
            }
            self.hex(digits, out);
        }
    }
}
