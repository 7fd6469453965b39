//! Samples drawn by a seed that is printed.

/// Where samples begin: the same cells each time, so that a cell that fails was broken by
/// what has changed since. The long tier has all cells.
const SEED: u64 = 1_795_420_691;

/// Whether sweeps are as long as they can be.
pub fn is_long() -> bool {
    std::env::var_os("DARKROOM_LONG").is_some_and(|value| value == "1")
}

/// Draws numbers; `DARKROOM_SEED` overrides where they begin.
pub struct Draw(u64);

impl Draw {
    /// For the test of this name, which is printed with the seed.
    pub fn new(test: &str) -> Self {
        let given = std::env::var("DARKROOM_SEED").ok();
        let given = given.and_then(|text| text.parse().ok());
        let seed = given.unwrap_or(SEED);
        println!("{test}: DARKROOM_SEED={seed}");
        Self(seed)
    }

    /// The next number below this one (splitmix64).
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    /// So many of them, or all.
    pub fn take<T>(&mut self, mut all: Vec<T>, count: usize) -> Vec<T> {
        let mut taken = Vec::new();
        while taken.len() < count && !all.is_empty() {
            let index = self.below(all.len());
            taken.push(all.swap_remove(index));
        }
        taken
    }
}
