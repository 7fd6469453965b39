//! The tail of a command's output: what Cloud Assistant keeps, and a count of what
//! it drops. Memory stays the same however much a command writes.

use std::collections::VecDeque;

use crate::driver::{OUTPUT_LIMIT, RUNNING_OUTPUT_LIMIT};

/// The last [`OUTPUT_LIMIT`] bytes.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: VecDeque<u8>,
    total: u64,
}

impl Tail {
    /// Takes more output.
    pub fn push(&mut self, more: &[u8]) {
        self.total += more.len() as u64;
        let kept = more.get(more.len().saturating_sub(OUTPUT_LIMIT)..);
        let kept = kept.unwrap_or_default();
        let room = OUTPUT_LIMIT - kept.len();
        let excess = self.bytes.len().saturating_sub(room);
        self.bytes.drain(..excess);
        self.bytes.extend(kept);
    }

    /// All that is kept.
    pub fn kept(&self) -> Vec<u8> {
        self.bytes.iter().copied().collect()
    }

    /// What is shown while the command runs.
    pub fn running(&self) -> Vec<u8> {
        let skip = self.bytes.len().saturating_sub(RUNNING_OUTPUT_LIMIT);
        self.bytes.iter().skip(skip).copied().collect()
    }

    /// How many bytes were dropped.
    pub fn dropped(&self) -> u64 {
        self.total - self.bytes.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_way_of_cutting_the_output_keeps_the_same_tail() {
        let all: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        for size in [1, 7, 4096, OUTPUT_LIMIT, OUTPUT_LIMIT + 1, all.len()] {
            let mut tail = Tail::default();
            for part in all.chunks(size) {
                tail.push(part);
            }
            assert_eq!(tail.kept(), all[all.len() - OUTPUT_LIMIT..], "{size}");
            assert_eq!(tail.dropped(), (all.len() - OUTPUT_LIMIT) as u64);
            assert_eq!(tail.running(), all[all.len() - RUNNING_OUTPUT_LIMIT..]);
        }
    }

    #[test]
    fn little_output_is_kept_whole() {
        let mut tail = Tail::default();
        tail.push(b"ab");
        tail.push(b"c");
        assert_eq!((tail.kept(), tail.dropped()), (b"abc".to_vec(), 0));
    }
}
