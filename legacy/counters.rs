// SPDX-License-Identifier: GPL-2.0

//! How often things happened to a device.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// A number that is counted up in any context.
pub(super) struct Counter(Atomic<u64>);

impl Default for Counter {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}

impl Counter {
    /// Counts one more, and returns how many there were before.
    pub(super) fn add_one(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }

    /// How many there were.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What is counted, off the paths of notifications and interrupts.
#[derive(Default)]
pub(super) struct Counters {
    /// Resets of the device.
    pub(super) resets: Counter,
    /// Virtio drivers that were restored, after whatever sleep or reset.
    pub(super) restored: Counter,
    /// Devices that could not be brought back.
    pub(super) not_restored: Counter,
    /// Interrupt policies that could not be used.
    pub(super) policies_refused: Counter,
    /// Reads of the device configuration by the virtio driver.
    pub(super) config_reads: Counter,
    /// Reads that were repeated, since a range changed while it was read.
    pub(super) config_rereads: Counter,
    /// Accesses outside of the device configuration.
    pub(super) config_outside: Counter,
    /// Writes of the status that were refused.
    pub(super) status_refused: Counter,
    /// Looks whether a live device is there.
    pub(super) checks: Counter,
}
