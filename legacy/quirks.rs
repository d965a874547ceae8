// SPDX-License-Identifier: GPL-2.0

//! What is known of virtio drivers, by device type.
//!
//! `docs/waiting.md` has the evidence for each, callback by callback. A type that is not listed is
//! detached like any other when it dies, but stays registered, and its `freeze` is called without a
//! check.

use core::ops::Range;

use super::{
    config::ConfigCache,
    queues::Vqs, //
};

/// Virtio device types: virtio 1.4, 5 "Device Types".
const NET: u32 = 1;
const BLOCK: u32 = 2;
const CONSOLE: u32 = 3;
const ENTROPY: u32 = 4;
const BALLOON: u32 = 5;
const SCSI: u32 = 8;
const SOCKET: u32 = 19;

/// Where the configuration of a balloon has `actual`: the number of pages that it holds, in four
/// bytes.
const BALLOON_ACTUAL: usize = 4;

/// Whether the `remove` of the virtio driver ends when the device is dead and its virtqueues are
/// broken, so that the virtio device may be unregistered.
///
/// A balloon that is inflated ends as well, but warns.
pub(super) fn remove_ends(device_type: u32, vqs: &Vqs, config: &ConfigCache) -> bool {
    match device_type {
        NET | CONSOLE | ENTROPY | SOCKET => true,
        BLOCK | SCSI | BALLOON => !freeze_waits(device_type, vqs, config),
        _ => false,
    }
}

/// Whether `freeze` or `reset_prepare` of the virtio driver may wait for the device, so that a
/// device that is dead is to be found out before.
pub(super) fn freeze_may_wait(device_type: u32) -> bool {
    matches!(device_type, NET | BLOCK | CONSOLE | BALLOON)
}

/// Whether `freeze` or `reset_prepare` of the virtio driver would wait forever, or warn, when the
/// device is dead and its virtqueues are broken.
pub(super) fn freeze_waits(device_type: u32, vqs: &Vqs, config: &ConfigCache) -> bool {
    match device_type {
        BLOCK => vqs.have_buffers(|_| true),
        // The event virtqueue always has buffers.
        SCSI => vqs.have_buffers(|name| name != "event"),
        BALLOON => {
            config.has_cached::<4>(BALLOON_ACTUAL)
                || vqs.have_buffers(|name| matches!(name, "inflate" | "deflate" | "reporting_vq"))
        }
        _ => false,
    }
}

/// Whether the virtio driver spins with interrupts off, after it has notified the virtqueue `name`,
/// until the device has used a buffer or the virtqueue is broken.
///
/// On a machine with one processor nothing else could break the virtqueue, so each of these
/// notifications reads the status first.
pub(super) fn spins(device_type: u32, name: &str) -> bool {
    device_type == CONSOLE && matches!(name, "output" | "control-o")
}

/// What the virtio driver does not read again when it is restored, in bytes of the device
/// configuration: if it differs, the driver is told.
pub(super) fn config_to_compare(device_type: u32) -> Range<usize> {
    match device_type {
        // status
        NET => 6..8,
        // capacity
        BLOCK => 0..8,
        // cols and rows
        CONSOLE => 0..4,
        _ => 0..0,
    }
}
