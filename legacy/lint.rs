// SPDX-License-Identifier: GPL-2.0

//! Breaches of the specification by virtio drivers, for those who write them.
//!
//! With `lint=1`, virtqueues get a notify callback that checks; without it, only the output of a
//! console has one.

use kernel::{
    prelude::*, //
};

use super::{
    counters::Count,
    log::Log,
    state::State, //
};
use crate::{
    abstractions::{
        compat::{
            Core,
            Parameter, //
        },
        virtio::Device, //
    },
    module_parameters, //
};

/// Whether virtio drivers are checked.
pub(super) fn is_on() -> bool {
    module_parameters::lint.get()
}

/// Checks a notification before it is made. In any context.
pub(super) fn check_notification(state: &State, log: &Log, device: &Device<Core<'_>>, index: u32) {
    if state.is_live() {
        return;
    }
    let (count, what) = if state.was_live() {
        (Count::LateNotifications, "after the reset")
    } else {
        (Count::EarlyNotifications, "before DRIVER_OK")
    };
    if log.counters.add_one(count) == 0 {
        let name = device.driver_name();
        dev_warn!(
            log.device(),
            "lint: driver {name} notifies virtqueue {index} {what}\n"
        );
    }
}

/// Checks a write of the device configuration.
pub(super) fn check_config_write(
    state: &State,
    log: &Log,
    device: &Device<Core<'_>>,
    offset: usize,
) {
    if !is_on() || state.features().is_some() {
        return;
    }
    if log.counters.add_one(Count::EarlyConfigWrites) == 0 {
        let name = device.driver_name();
        dev_warn!(
            log.device(),
            "lint: driver {name} writes the device configuration at {offset:#x} before the \
             features are accepted\n"
        );
    }
}
