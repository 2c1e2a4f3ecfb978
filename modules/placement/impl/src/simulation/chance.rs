//! Chance that can be had again: all of a schedule follows from its seed.

/// SplitMix64 (Steele, Lea and Flood, 2014): one word of state, and every seed is a good one.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..below`.
    pub fn below(&mut self, below: usize) -> usize {
        let below = u64::try_from(below.max(1)).expect("a small number");
        usize::try_from(self.bits() % below).expect("a small number")
    }

    /// One of `from..=to`.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = u64::try_from(to - from).expect("from is not above to") + 1;
        from + i64::try_from(self.bits() % span).expect("a small number")
    }

    /// True in `of_1000` of 1000 cases.
    pub fn is(&mut self, of_1000: u32) -> bool {
        self.bits() % 1000 < u64::from(of_1000)
    }
}
