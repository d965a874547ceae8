// SPDX-License-Identifier: GPL-2.0

//! Resets, status writes and features: the steps of the handshake on this device.
//!
//! C: `vp_reset()`, `vp_set_status()` and `vp_finalize_features()` in
//! drivers/virtio/virtio_pci_legacy.c.

use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use super::{
    core::{
        handshake::{
            self,
            Acknowledged,
            FeaturesAccepted,
            Handshake,
            ResetError, //
        },
        journal::Event,
        life::{
            Life,
            LifeEvent, //
        },
        regs,
        status::Status, //
    },
    counters::Count,
    device::LegacyDevice,
    recovery, //
};
use crate::{
    abstractions::{
        clock,
        compat::{
            protocol_error,
            Parameter, //
        },
        virtio::Device, //
    },
    module_parameters, //
};

/// The error code for a reset that did not complete.
pub(super) fn reset_errno(error: ResetError) -> Error {
    match error {
        ResetError::Gone => ENODEV,
        ResetError::Incomplete(_) => EIO,
    }
}

impl handshake::Registers for LegacyDevice {
    fn read_status(&self) -> Status {
        let status = Status::from_raw(self.hw.read(&regs::STATUS, Status::GONE.raw()));
        if self.hw.is_reachable() {
            self.log.record(Event::StatusRead(status));
        }
        status
    }

    fn write_status(&self, status: Status) {
        self.state.write_status(&self.hw, &self.log, status);
    }

    fn written_status(&self) -> Status {
        self.state.status()
    }

    fn offered_features(&self) -> u32 {
        let features = self.hw.read(&regs::HOST_FEATURES, 0);
        if self.hw.is_reachable() {
            self.log.record(Event::Offered(features));
        }
        features
    }

    fn accept_features(&self, features: u32) {
        if self.hw.write(&regs::GUEST_FEATURES, features) {
            self.log.record(Event::Accepted(features));
        }
        self.state.accept_features(features);
    }

    fn wait_for_reset(&self, attempt: u32) -> bool {
        let waited = handshake::waited_ms(attempt);
        let limit = module_parameters::reset_timeout_ms.get();
        if waited == handshake::SLOW_RESET_MS {
            self.log.warn(Event::ResetSlow { limit_ms: limit });
            if self.life.get() == Life::New {
                // Other devices are not to be held up: `recovery::work` waits.
                return false;
            }
        }
        match handshake::reset_pause(attempt, limit) {
            Some(millis) => {
                fsleep(Delta::from_millis(millis.into()));
                true
            }
            None => false,
        }
    }
}

/// Resets the device and waits for running callbacks.
///
/// If the device does not complete the reset, it is kept from accessing memory.
pub(super) fn reset(dev: &LegacyDevice) -> Result<(), ResetError> {
    let result = if dev.hw.is_reachable() {
        let result = handshake::reset(dev);
        note_reset(dev, result.err());
        result
    } else {
        handshake::Registers::write_status(dev, Status::RESET);
        Ok(())
    };
    dev.vqs.revoke();
    result
}

/// Begins a handshake: resets the device.
///
/// # Errors
///
/// `ENODEV` if it is gone, `EIO` if it does not complete the reset.
pub(super) fn begin_handshake(
    dev: &LegacyDevice,
) -> Result<Handshake<'_, LegacyDevice, handshake::Reset>> {
    let result = Handshake::begin(dev);
    note_reset(dev, result.as_ref().err().copied());
    result.map_err(reset_errno)
}

/// Remembers how a reset went, and reports it if it went wrong.
///
/// The device may access memory if, and only if, its last reset has completed. An INTx
/// interrupt that it may have left asserted is taken back.
fn note_reset(dev: &LegacyDevice, error: Option<ResetError>) {
    if error.is_none() {
        note_complete(dev);
    } else {
        dev.log.counters.add_one(Count::Resets);
        dev.hw.pci().set_master(false);
        dev.state.note_reset(error);
    }
    match (dev.life.get(), error) {
        (Life::New, Some(ResetError::Incomplete(_))) => {
            dev.hw.hold_writes(true);
            // An illegal event is reported.
            let slow = LifeEvent::ResetSlow(clock::monotonic_ms());
            let _ = dev.life.apply(slow, &dev.log);
        }
        // Probe refuses the device and tells why.
        (Life::New, Some(ResetError::Gone)) => {}
        (_, Some(error)) => dev.log.report(Event::ResetFailed(error)),
        (Life::New | Life::AwaitingReset(_), None) => {
            let _ = dev.life.apply(LifeEvent::ResetComplete, &dev.log);
        }
        (_, None) => {}
    }
}

/// Releases register writes, which a first reset that takes long holds.
pub(super) fn end_hold(dev: &LegacyDevice) {
    if dev.hw.holds_writes() {
        dev.state.forget_status();
        dev.hw.hold_writes(false);
    }
}

/// Records a reset that has completed.
pub(super) fn note_complete(dev: &LegacyDevice) {
    dev.log.counters.add_one(Count::Resets);
    end_hold(dev);
    if dev.irqs.uses_intx() {
        let _ = dev.hw.read(&regs::ISR, 0);
    }
    dev.hw.pci().set_master(dev.hw.pci().is_enabled());
    dev.state.note_reset(None);
}

/// The features of `device` as the legacy interface has them, without those that the virtqueues of
/// the virtio core do not support.
///
/// # Errors
///
/// `EINVAL` if there are more than 32 bits. C: a `BUG_ON` in `vp_finalize_features()`.
pub(super) fn legacy_features(dev: &LegacyDevice, device: &Device) -> Result<u32> {
    device.accept_ring_features();
    let features = device.features();
    u32::try_from(features).map_err(|_| {
        dev_err!(
            dev.log.device(),
            "features {features:#x} do not fit in the 32 bits of the legacy interface\n"
        );
        EINVAL
    })
}

/// Negotiates the features of `device`; the virtio core has just read the offered ones.
///
/// # Errors
///
/// `EPROBE_DEFER` while the first reset is not complete, `ENODEV` if there is no device, `ENODEV`
/// or `EIO` if the last reset did not complete, `EINVAL` for features that do not exist on the
/// legacy interface, `EPROTO` before ACKNOWLEDGE and DRIVER.
pub(super) fn finalize_features(dev: &LegacyDevice, device: &Device) -> Result {
    match dev.life.get() {
        Life::New => return Err(ENODEV),
        Life::AwaitingReset(_) => return Err(EPROBE_DEFER),
        _ if !dev.hw.is_reachable() => return Err(ENODEV),
        _ => {}
    }
    let features = legacy_features(dev, device)?;
    if dev.state.reset_error().is_some() {
        // It may only have been slow.
        let acknowledged = begin_handshake(dev)?.acknowledge(false);
        negotiate(dev, acknowledged, features)?.hand_over();
        return Ok(());
    }
    if !dev.state.has_driver() {
        dev_err!(dev.log.device(), "features before ACKNOWLEDGE and DRIVER\n");
        return Err(protocol_error());
    }
    handshake::Registers::accept_features(dev, features);
    Ok(())
}

/// The steps of a handshake from ACKNOWLEDGE to accepted `features`.
///
/// # Errors
///
/// `ENODEV` (logged) if the device does not offer them.
pub(super) fn negotiate<'a>(
    dev: &LegacyDevice,
    acknowledged: Handshake<'a, LegacyDevice, Acknowledged>,
    features: u32,
) -> Result<Handshake<'a, LegacyDevice, FeaturesAccepted>> {
    let result = acknowledged.driver().accept_features(features);
    result.map_err(|missing| {
        dev.log.report(Event::FeaturesMissing(missing));
        ENODEV
    })
}

/// Writes the status that the virtio core asks for, if it may follow.
pub(super) fn set_status(dev: &LegacyDevice, device: &Device, wanted: Status) {
    match dev.state.try_write_status(&dev.hw, &dev.log, wanted) {
        Ok(status) => {
            if status.contains(Status::DRIVER_OK) {
                recovery::go_live(dev, device);
            }
        }
        Err(refused) => {
            let (current, why) = (refused.current, refused.why);
            dev.log.counters.add_one(Count::StatusRefused);
            dev.log.warn(Event::StatusRefused {
                current,
                wanted,
                why,
            });
            if wanted.contains(Status::DRIVER_OK) && !current.contains(Status::DRIVER_OK) {
                // The virtio driver takes the device for live from now on.
                let features = dev.state.features().unwrap_or(0);
                let _ = recovery::detach(dev, features);
                recovery::go_live(dev, device);
            }
        }
    }
}
