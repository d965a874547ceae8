// SPDX-License-Identifier: GPL-2.0

//! A serial port that sends back what it gets (virtio 1.4, 5.3).

use std::collections::VecDeque;

use super::{Model, Served};

/// The virtqueue with buffers for what the driver receives.
const RECEIVE: usize = 0;
/// The virtqueue with what the driver sends.
const TRANSMIT: usize = 1;

/// A serial port that sends back what it gets.
#[derive(Default)]
pub(crate) struct Console {
    waiting: VecDeque<u8>,
}

impl Model for Console {
    fn features(&self) -> u32 {
        0
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![64, 64]
    }

    fn config(&self) -> Vec<u8> {
        // Columns, rows, number of ports, emergency write.
        vec![0; 12]
    }

    fn serve(&mut self, queue: usize, given: &[u8], room: usize) -> Served {
        match queue {
            TRANSMIT => {
                self.waiting.extend(given);
                Served::Finished(Vec::new())
            }
            _ if self.waiting.is_empty() => Served::Kept,
            _ => {
                let count = room.min(self.waiting.len());
                Served::Finished(self.waiting.drain(..count).collect())
            }
        }
    }

    fn wakes(&self, queue: usize) -> Option<usize> {
        (queue == TRANSMIT).then_some(RECEIVE)
    }

    fn reset(&mut self) {
        self.waiting.clear();
    }
}
