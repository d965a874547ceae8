// SPDX-License-Identifier: GPL-2.0

//! Implements `struct virtio_config_ops`: the way from each operation to its file.

use core::num::NonZero;

use kernel::{
    cpumask::Cpumask,
    prelude::*, //
};

use super::{
    core::{
        handshake::Registers as _,
        life::Life,
        status::Status, //
    },
    device::LegacyDevice,
    lint,
    negotiate,
    recovery,
    vqs, //
};
use crate::abstractions::{
    compat::Core,
    irq::Vector,
    virtio::{
        Announce,
        ConfigOps,
        Device,
        FindVqs,
        Fulfilled,
        Transport, //
    },
};

impl Transport for LegacyDevice {
    fn work(&self, device: &Device) -> Option<NonZero<u32>> {
        recovery::work(self, device)
    }

    fn announce(&self, device: &Device<Core<'_>>, index: u32, reason: Announce) -> bool {
        if lint::is_on() {
            lint::check_notification(&self.state, &self.log, device, index);
        }
        reason == Announce::Check || recovery::answers_notification(self, device)
    }
}

#[vtable]
impl ConfigOps for LegacyDevice {
    fn get(&self, offset: usize, buffer: &mut [u8]) {
        self.config.read(&self.hw, &self.log, offset, buffer);
    }

    fn set(&self, device: &Device<Core<'_>>, offset: usize, buffer: &[u8]) {
        lint::check_config_write(&self.state, &self.log, device, offset);
        self.config.write(&self.hw, &self.log, offset, buffer);
    }

    fn get_status(&self, device: &Device) -> u8 {
        let written = self.state.status();
        let is_awaited = matches!(self.life.get(), Life::AwaitingReset(_));
        if written == Status::RESET || !self.hw.is_reachable() || is_awaited {
            // Whatever the device says, nothing was set since its reset, or nothing is read.
            return written.raw();
        }
        let status = self.state.seen().unwrap_or_else(|| self.read_status());
        if status == Status::GONE {
            device.schedule_work();
        }
        status.mask_unwritten(written).raw()
    }

    fn set_status(&self, device: &Device, status: u8) {
        negotiate::set_status(self, device, Status::from_raw(status));
    }

    fn reset(&self) {
        // The virtio core does not ask how it went; `finalize_features` tells.
        let _ = negotiate::reset(self);
    }

    fn find_vqs(&self, requested: FindVqs<'_>) -> Result<Fulfilled> {
        vqs::find(self, requested)
    }

    fn del_vqs(&self) {
        vqs::delete(self);
    }

    fn synchronize_cbs(&self) {
        self.vqs.synchronize();
    }

    fn get_features(&self) -> u64 {
        if matches!(self.life.get(), Life::AwaitingReset(_)) {
            return 0;
        }
        self.offered_features().into()
    }

    fn finalize_features(&self, device: &Device) -> Result {
        negotiate::finalize_features(self, device)
    }

    fn bus_name(&self) -> &CStr {
        self.hw.pci().name()
    }

    fn set_vq_affinity(&self, index: usize, mask: Option<&Cpumask>) -> Result {
        self.vqs.set_affinity(index, mask)
    }

    fn get_vq_affinity(&self, index: usize) -> Option<Vector> {
        self.vqs.vector(index)
    }
}
