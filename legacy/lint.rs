// SPDX-License-Identifier: GPL-2.0

//! Breaches of the specification by virtio drivers, for those who write them.
//!
//! Only with the module parameter `lint` are notifications looked at: virtqueues are made with
//! another notify function then, so that nothing is tested on that path otherwise.

use kernel::{
    prelude::*,
    sync::atomic::{
        AtomicFlag,
        Full,
        Relaxed, //
    }, //
};

use super::{
    counters::Counter,
    status::Status,
    transport::Transport, //
};
use crate::{
    abstractions::{
        compat::Parameter,
        virtio::Device, //
    },
    module_parameters, //
};

/// What a virtio driver must not do, and how often it did.
pub(super) struct Lint {
    /// The status that was written last has DRIVER_OK.
    is_live: AtomicFlag,
    /// It is 0, and had DRIVER_OK before.
    was_live: AtomicFlag,
    /// Notified before DRIVER_OK: virtio 1.4, 3.1.1 "Driver Requirements: Device Initialization".
    pub(super) early_notifications: Counter,
    /// Notified after a reset: virtio 1.4, 2.4 "Device Reset".
    pub(super) late_notifications: Counter,
    /// Device configuration written before the features were accepted.
    pub(super) early_config_writes: Counter,
}

impl Lint {
    pub(super) fn new() -> Self {
        Self {
            is_live: AtomicFlag::new(false),
            was_live: AtomicFlag::new(false),
            early_notifications: Counter::default(),
            late_notifications: Counter::default(),
            early_config_writes: Counter::default(),
        }
    }

    /// Notes a status that is written.
    pub(super) fn note_status(&self, status: Status) {
        let is_live = status.contains(Status::DRIVER_OK);
        let was_live = self.is_live.xchg(is_live, Full);
        if status != Status::RESET {
            self.was_live.store(false, Relaxed);
        } else if was_live {
            self.was_live.store(true, Relaxed);
        }
    }
}

/// Whether virtio drivers are looked at.
pub(super) fn is_on() -> bool {
    module_parameters::lint.get()
}

impl Transport {
    /// Looks at a notification, before it is made.
    pub(super) fn lint_notification(&self, device: &Device, index: u32) {
        if self.lint.is_live.load(Relaxed) {
            return;
        }
        let (counter, what) = if self.lint.was_live.load(Relaxed) {
            (&self.lint.late_notifications, "after the reset")
        } else {
            (&self.lint.early_notifications, "before DRIVER_OK")
        };
        self.complain_of(device, counter, |name| {
            dev_warn!(
                self.pci(),
                "lint: driver {name} notifies virtqueue {index} {what}\n"
            );
        });
    }

    /// Looks at a write of the device configuration.
    pub(super) fn lint_config_write(&self, device: &Device, offset: usize) {
        if !is_on() || self.known.lock().features().is_some() {
            return;
        }
        self.complain_of(device, &self.lint.early_config_writes, |name| {
            dev_warn!(
                self.pci(),
                "lint: driver {name} writes the device configuration at {offset:#x} before the features are accepted\n"
            );
        });
    }

    /// Counts a breach, and has the first one of its kind reported.
    fn complain_of(&self, device: &Device, counter: &Counter, report: impl FnOnce(&str)) {
        if counter.add_one() == 0 {
            report(device.driver_name_or("?"));
        }
    }
}
