// SPDX-License-Identifier: GPL-2.0

//! Whether a live device is still there.
//!
//! A device that is gone, or that does not decode its I/O ports any more, reads as all ones; one that
//! somebody else has reset has lost its status. Nobody notices while only notifications are written,
//! and whoever waits for used buffers waits for ever. C: nothing of the kind.

use super::{
    handshake::Device as _,
    journal::Event,
    status::Status,
    transport::Transport, //
};

impl Transport {
    /// Whether there is a device that its virtio driver may wait for; if not, it is disconnected.
    pub(super) fn answers(&self) -> bool {
        let known = self.known.lock();
        if !self.is_connected() {
            return false;
        }
        // The lock keeps the PCI core from beginning a reset meanwhile.
        let written = known.status();
        if known.resetting || !written.contains(Status::DRIVER_OK) {
            return true;
        }
        self.counters.checks.add_one();
        let status = self.read_status();
        let features = known.features();
        drop(known);

        let dead = match status {
            Status::GONE => Event::Gone,
            read if !read.contains(written) => Event::StatusLost { written, read },
            _ => {
                let complaint = Status::NEEDS_RESET.with(Status::FAILED);
                if status.has_any(complaint) && !written.has_any(complaint) {
                    self.complain(status);
                }
                return true;
            }
        };
        self.report(dead);
        self.disconnect(features.unwrap_or(0));
        false
    }

    /// Reports, once for each reset, that the device itself is not content.
    fn complain(&self, status: Status) {
        if core::mem::replace(&mut self.known.lock().complained, true) {
            return;
        }
        self.report(Event::Complaint(status));
    }
}
