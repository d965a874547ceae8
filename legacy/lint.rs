// SPDX-License-Identifier: GPL-2.0

//! Breaches of the specification by virtio drivers, for those who write them.
//!
//! Only with the module parameter `lint` are notifications looked at: virtqueues are made with
//! another notify function then, so that nothing is tested on that path otherwise.

use kernel::prelude::*;

use super::{
    counters::Counter,
    log::Log,
    state::State, //
};
use crate::{
    abstractions::{
        compat::Parameter,
        virtio::Device, //
    },
    module_parameters, //
};

/// What a virtio driver must not do, and how often it did.
#[derive(Default)]
pub(super) struct Lint {
    /// Notified before DRIVER_OK: virtio 1.4, 3.1.1 "Driver Requirements: Device Initialization".
    pub(super) early_notifications: Counter,
    /// Notified after a reset: virtio 1.4, 2.4 "Device Reset".
    pub(super) late_notifications: Counter,
    /// Device configuration written before the features were accepted.
    pub(super) early_config_writes: Counter,
}

/// Whether virtio drivers are looked at.
pub(super) fn is_on() -> bool {
    module_parameters::lint.get()
}

impl Lint {
    /// Looks at a notification, before it is made. In any context.
    pub(super) fn check_notification(&self, state: &State, log: &Log, device: &Device, index: u32) {
        if state.is_live() {
            return;
        }
        let (counter, what) = if state.was_live() {
            (&self.late_notifications, "after the reset")
        } else {
            (&self.early_notifications, "before DRIVER_OK")
        };
        if counter.add_one() == 0 {
            let name = device.driver_name_or("?");
            dev_warn!(
                log.pci(),
                "lint: driver {name} notifies virtqueue {index} {what}\n"
            );
        }
    }

    /// Looks at a write of the device configuration.
    pub(super) fn check_config_write(
        &self,
        state: &State,
        log: &Log,
        device: &Device,
        offset: usize,
    ) {
        if !is_on() || state.features().is_some() {
            return;
        }
        if self.early_config_writes.add_one() == 0 {
            let name = device.driver_name_or("?");
            dev_warn!(
                log.pci(),
                "lint: driver {name} writes the device configuration at {offset:#x} before the \
                 features are accepted\n"
            );
        }
    }
}
