//! Numbers for mutated inputs: the point is that they are the same everywhere and every time.

/// A small generator (xorshift64*, Vigna 2016), from this seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// The next number below `bound`, 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}
