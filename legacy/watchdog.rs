// SPDX-License-Identifier: GPL-2.0

//! Whether a live device is still there.
//!
//! A device that is gone, or that does not decode its I/O ports any more, reads as all ones; one that
//! somebody else has reset has lost its status. Nobody notices while only notifications are written,
//! and whoever waits for used buffers waits for ever. C: nothing of the kind.

use core::num::NonZero;

use kernel::sync::atomic::Relaxed;

use super::{
    handshake::Device as _,
    journal::Event,
    status::Status,
    transport::Transport, //
};
use crate::{
    abstractions::{
        compat::Parameter,
        virtio::{
            Device,
            Verdict, //
        }, //
    },
    module_parameters, //
};

/// How often a live device is looked at, in ms.
fn interval() -> Option<NonZero<u32>> {
    NonZero::new(module_parameters::watchdog_s.get().saturating_mul(1000))
}

/// After how many ms a virtio driver that could not be restored is restored again.
const AGAIN: Option<NonZero<u32>> = NonZero::new(2000);

impl Transport {
    /// Has a live device looked at now and then, one whose INTx is masked at once, and one that is
    /// disconnected unregistered.
    pub(super) fn watch(&self, device: &Device) {
        if device.holds_checks() {
            // Whoever releases them calls this again.
            return;
        }
        if !self.is_connected() || self.pci.intx_is_masked() {
            device.check_soon();
        } else if let Some(millis) = interval().filter(|_| self.is_live()) {
            device.check_after(millis);
        }
    }

    fn is_live(&self) -> bool {
        self.known.lock().status().contains(Status::DRIVER_OK)
    }

    /// Looks whether there is a device that its virtio driver may wait for; if not, it is
    /// disconnected.
    pub(super) fn look(&self) -> Verdict {
        // The virtio driver cannot go, nor another one come, before there is a verdict.
        let mut known = self.known.lock();
        if !self.is_connected() {
            return Verdict::Dead;
        }
        let written = known.status();
        if !written.contains(Status::DRIVER_OK) {
            return Verdict::Alive(None);
        }
        self.counters.checks.add_one();
        let status = self.read_status();
        // Other bits may have come from the device.
        let live = Status::ACKNOWLEDGE
            .with(Status::DRIVER)
            .with(Status::DRIVER_OK);
        let dead = if status == Status::GONE {
            Event::Gone
        } else if !status.contains(live) {
            Event::StatusLost {
                written,
                read: status,
            }
        } else {
            self.pci.unmask_intx();
            let complaint = Status::NEEDS_RESET.with(Status::FAILED);
            let is_new = status.has_any(complaint) && !written.has_any(complaint);
            if is_new && !core::mem::replace(&mut known.complained, true) {
                self.report(Event::Complaint(status));
            }
            return Verdict::Alive(interval());
        };
        self.report(dead);
        let features = known.features().unwrap_or(0);
        self.disconnect_known(&mut known, features);
        Verdict::Dead
    }

    /// Whether the virtio driver of a dead device cannot be removed, since it is still frozen or waits
    /// for requests that are lost.
    pub(super) fn keeps_driver(&self, device: &Device) -> bool {
        if self.restore_late(device).is_err() {
            if let Some(millis) = AGAIN {
                device.check_after(millis);
            }
            return true;
        }
        let waits = self.has_requests_in_flight(device);
        if waits && !self.loss_reported.xchg(true, Relaxed) {
            self.report(Event::RequestsLost);
        }
        waits
    }
}
