//! Numbers that nobody chose, and that can be had again.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// SplitMix64. The same seed gives the same choices; at which instruction a kill falls, the machine decides.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed that was not there before.
    pub(crate) fn new_seed() -> u64 {
        RandomState::new().build_hasher().finish()
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to and without `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, times: u64) -> bool {
        self.below(100) < times
    }

    pub(crate) fn micros_below(&mut self, limit: u64) -> Duration {
        Duration::from_micros(self.below(limit))
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(from.len()).unwrap();
        let index = self.next().checked_rem(count)?;
        from.get(usize::try_from(index).unwrap())
    }

    /// One of the last few: what was just made is still moving.
    pub(crate) fn pick_late<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        self.pick(&from[from.len().saturating_sub(32)..])
    }

    /// Dice of their own for somebody else.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
