// SPDX-License-Identifier: GPL-2.0

//! A source of random numbers (virtio 1.4, 5.4).

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use super::{Model, Served};

/// A source of random numbers; the same each time, which is good enough for a test.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// Begins with a fixed seed.
    pub(crate) fn new() -> Self {
        Self(ChaCha8Rng::seed_from_u64(0))
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
        let mut bytes = vec![0; room];
        self.0.fill_bytes(&mut bytes);
        Served::Finished(bytes)
    }

    fn wakes(&self, _queue: usize) -> Option<usize> {
        None
    }

    fn reset(&mut self) {}
}
