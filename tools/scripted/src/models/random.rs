// SPDX-License-Identifier: GPL-2.0

//! A source of random numbers (virtio 1.4, 5.4).

use super::{Model, Served};

/// A source of random numbers; the same each time, which is good enough for a test.
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// Begins with a fixed seed.
    pub(crate) fn new() -> Self {
        Self {
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The generator xorshift64*.
    fn next(&mut self) -> u8 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    }
}

impl Model for Random {
    fn features(&self) -> u32 {
        0
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![8]
    }

    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    fn serve(&mut self, _queue: usize, _given: &[u8], room: usize) -> Served {
        Served::Finished((0..room).map(|_| self.next()).collect())
    }

    fn wakes(&self, _queue: usize) -> Option<usize> {
        None
    }

    fn reset(&mut self) {}
}
