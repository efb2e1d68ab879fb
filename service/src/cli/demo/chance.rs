//! Seeded randomness for made-up people: the same seed, the same estate.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough for people who do not exist.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    /// A source of its own for each seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to but without `end`; 0 where `end` is 0.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end.max(1))).unwrap_or(0)
    }

    /// True this often.
    pub(super) fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    pub(super) fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let at = self.below(u32::try_from(of.len()).unwrap_or(u32::MAX));
        usize::try_from(at).ok().and_then(|at| of.get(at))
    }

    /// The same things in another order.
    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        for at in (1..things.len()).rev() {
            let other = usize::try_from(self.below(u32::try_from(at + 1).unwrap_or(u32::MAX))).unwrap_or(0);
            things.swap(at, other);
        }
    }
}
