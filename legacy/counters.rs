// SPDX-License-Identifier: GPL-2.0

//! Event counters of a device.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// What is counted, off the paths of notifications and interrupts.
#[derive(Clone, Copy)]
pub(super) enum Count {
    /// Resets of the device.
    Resets,
    /// Virtio drivers that were restored, after whatever sleep or reset.
    Restored,
    /// Devices that could not be brought back.
    NotRestored,
    /// Interrupt policies that could not be used.
    PoliciesRefused,
    /// Reads of the device configuration by the virtio driver.
    ConfigReads,
    /// Reads that were repeated, since a range changed while it was read.
    ConfigRereads,
    /// Accesses outside of the device configuration.
    ConfigOutside,
    /// Writes of the status that were refused.
    StatusRefused,
    /// Checks that a live device responds.
    Checks,
    /// Notified before DRIVER_OK: virtio 1.4, 3.1.1 "Driver Requirements: Device Initialization".
    EarlyNotifications,
    /// Notified after a reset: virtio 1.4, 2.4 "Device Reset".
    LateNotifications,
    /// Device configuration written before the features were accepted.
    EarlyConfigWrites,
}

/// The names of the counters, in the order of [`Count`].
const NAMES: [&str; Count::EarlyConfigWrites as usize + 1] = [
    "resets",
    "restored",
    "not restored",
    "interrupt policies refused",
    "configuration reads",
    "configuration reads repeated",
    "configuration accesses outside",
    "status writes refused",
    "checks that the device responds",
    "lint: notifications before DRIVER_OK",
    "lint: notifications after a reset",
    "lint: configuration written before features",
];

/// A number for each [`Count`], which is counted up in any context.
pub(super) struct Counters([Atomic<u64>; NAMES.len()]);

impl Counters {
    /// Starts with zeros.
    pub(super) fn new() -> Self {
        Self([const { Atomic::new(0) }; NAMES.len()])
    }

    /// Counts one more, and returns how many there were before.
    pub(super) fn add_one(&self, count: Count) -> u64 {
        // CAST: The number of a variant.
        match self.0.get(count as usize) {
            Some(counter) => counter.fetch_add(1, Relaxed),
            None => 0,
        }
    }

    /// Each name with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let numbers = self.0.iter().map(|counter| counter.load(Relaxed));
        NAMES.iter().copied().zip(numbers)
    }
}
