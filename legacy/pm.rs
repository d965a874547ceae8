// SPDX-License-Identifier: GPL-2.0

//! Sleep, hibernation, resets by the PCI core, and removal of a device that is in use.
//!
//! C: `virtio_pci_freeze()` and what follows it in drivers/virtio/virtio_pci_common.c, and
//! `virtio_device_restore_priv()` in drivers/virtio/virtio.c.

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
            Acknowledged,
            Handshake, //
        },
        journal::{
            Errno,
            Event,
            Phase, //
        },
        life::{
            Cause,
            Driver,
            Held,
            Life,
            LifeEvent, //
        },
    },
    counters::Count,
    debugfs::DeviceFiles,
    device::LegacyDevice,
    negotiate::{
        self,
        begin_handshake,
        legacy_features,
        negotiate,
        reset, //
    },
    quirks,
    recovery, //
};
use crate::{
    abstractions::{
        clock,
        compat::{
            not_supported,
            protocol_error,
            Core,
            Parameter, //
        },
        pm::{
            self,
            Sleep, //
        },
        virtio::{
            Device,
            DeviceGuard,
            Registration,
            Restored, //
        }, //
    },
    module_parameters, //
};

/// Number of tries for the lock of a virtio device before a reset goes on without it, and the pause
/// after each: one second in all.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Delta = Delta::from_millis(10);

/// A device that this transport is bound to.
///
/// Fields are dropped in order: the files go first, then the virtio device is unregistered, and the
/// PCI device is disabled when the last reference to [`LegacyDevice`] goes.
pub(crate) struct Bound {
    pub(super) _files: Option<DeviceFiles>,
    pub(super) registration: Registration<LegacyDevice>,
}

#[vtable]
impl pm::Operations for Bound {
    fn suspend(&self, sleep: &Sleep) -> Result {
        self.trace_phase(Phase::Suspend, &|bound| bound.stop_for_suspend(sleep))
    }

    fn resume(&self, _sleep: &Sleep) -> Result {
        self.trace_phase(Phase::Resume, &Bound::start_from_sleep)
    }

    fn freeze(&self, sleep: &Sleep) -> Result {
        self.trace_phase(Phase::Freeze, &|bound| bound.stop(sleep))
    }

    fn thaw(&self, _sleep: &Sleep) -> Result {
        self.trace_phase(Phase::Thaw, &Bound::start_from_sleep)
    }

    fn poweroff(&self, sleep: &Sleep) -> Result {
        self.trace_phase(Phase::Poweroff, &|bound| bound.stop(sleep))
    }

    fn restore(&self, _sleep: &Sleep) -> Result {
        self.trace_phase(Phase::Restore, &Bound::start_from_sleep)
    }
}

impl Bound {
    fn device(&self) -> &Device {
        self.registration.device()
    }

    fn dev(&self) -> &LegacyDevice {
        self.registration.transport()
    }

    /// Does what belongs to `phase`, and records that.
    pub(super) fn trace_phase(&self, phase: Phase, f: &dyn Fn(&Self) -> Result) -> Result {
        let log = &self.dev().log;
        log.record(Event::Begun(phase));
        let result = f(self);
        let error = result.err().map(|error| Errno(error.to_errno()));
        log.record(Event::Ended(phase, error));
        result
    }

    /// Freezes the virtio driver and disables the device.
    ///
    /// # Errors
    ///
    /// That of the virtio driver; `EBUSY` if `refuse_freeze` is set and the driver has no `freeze`,
    /// if the driver would wait for a dead device, or if that of a detached device is being
    /// restored.
    fn stop(&self, sleep: &Sleep) -> Result {
        let dev = self.dev();
        if !self.begin_stop(Cause::Sleep)? {
            return Ok(());
        }
        let device = self.device().during(sleep);
        let frozen = device.and_then(|device| self.freeze_driver(device));
        dev.state.set_seen(None);
        match frozen {
            Ok(held) => {
                dev.hw.pci().disable();
                dev.life.apply(LifeEvent::Stopped(held), &dev.log)?;
                Ok(())
            }
            Err(error) => {
                dev.irqs.release(&dev.hw);
                dev.life.apply(LifeEvent::StopFailed, &dev.log)?;
                recovery::watch(dev, self.device());
                Err(error)
            }
        }
    }

    /// Begins to stop the device; whether there is a virtio driver to be stopped: not if nothing is
    /// left, or if it was not restored since the last time.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the work restores the virtio driver at this moment.
    fn begin_stop(&self, cause: Cause) -> Result<bool> {
        let dev = self.dev();
        let mut life = dev.life.lock();
        if life.is_restoring_late() {
            return Err(EBUSY);
        }
        let next = life.apply(LifeEvent::Stop(cause), &dev.log)?;
        Ok(!matches!(
            next,
            Life::Leaving | Life::Detached(Driver::Frozen(_), _)
        ))
    }

    fn freeze_driver(&self, device: &Device<Core<'_>>) -> Result<Held> {
        let dev = self.dev();
        recovery::check_before_stop(dev, device)?;
        self.check_waits()?;
        let can_freeze = device.driver().is_none_or(|driver| driver.can_freeze());
        if module_parameters::refuse_freeze.get() && dev.state.has_rings() && !can_freeze {
            dev.log
                .report_of_driver(device, "cannot be frozen: sleep refused (EBUSY); unbind it");
            dev.log.record(Event::SleepRefused);
            return Err(EBUSY);
        }
        dev.vqs.note_stop();
        match device.freeze()? {
            // A driver that can be frozen has deleted its virtqueues, or does so when it is
            // restored (virtio_rtc).
            Some(frozen) if can_freeze || dev.vqs.count() == 0 => {
                dev.life.put_frozen(frozen);
                Ok(Held::Frozen)
            }
            Some(_) => {
                if dev.state.has_rings() {
                    self.hold_in_reset(device);
                }
                Ok(Held::InReset)
            }
            None => Ok(Held::Idle),
        }
    }

    /// Makes sure that the virtio driver does not wait for a dead device when it is stopped.
    ///
    /// # Errors
    ///
    /// `EBUSY` (logged) if it would.
    fn check_waits(&self) -> Result {
        let (dev, device) = (self.dev(), self.device());
        if dev.hw.is_reachable() {
            return Ok(());
        }
        device.break_virtqueues();
        if quirks::freeze_waits(device.device_type(), &dev.vqs, &dev.config) {
            dev.log.report(Event::NotFrozen);
            return Err(EBUSY);
        }
        Ok(())
    }

    /// Resets a device whose driver has virtqueues but no `freeze`, so that it does not write to a
    /// memory image that is being saved.
    fn hold_in_reset(&self, device: &Device<Core<'_>>) {
        let dev = self.dev();
        dev.log.warn_of_driver(
            device,
            "cannot be frozen: the device is held in reset; rebind it after the sleep",
        );
        dev.log.record(Event::HeldInReset);
        device.break_virtqueues();
        // An error is reported, and bus mastering is off in any case.
        let _ = reset(dev);
    }

    /// Enables the device, and takes it and its virtio driver through the whole handshake.
    ///
    /// # Errors
    ///
    /// As [`Bound::wake`].
    fn start_from_sleep(&self) -> Result {
        self.start(Cause::Sleep)
    }

    /// Freezes the device for a sleep that it may get through by itself.
    ///
    /// # Errors
    ///
    /// As [`Bound::stop`].
    fn stop_for_suspend(&self, sleep: &Sleep) -> Result {
        let dev = self.dev();
        let keeps_state = dev.hw.pci().keeps_state_in_d3().unwrap_or_else(|_| {
            dev_err!(
                dev.log.device(),
                "PMCSR reads as all ones: device is reset after the sleep\n"
            );
            false
        });
        if keeps_state {
            dev.life.apply(LifeEvent::Stop(Cause::Sleep), &dev.log)?;
            if !matches!(dev.life.get(), Life::Leaving) {
                dev.life.apply(LifeEvent::Stopped(Held::Live), &dev.log)?;
            }
            return Ok(());
        }
        dev.irqs.save_next();
        self.stop(sleep)
    }

    /// Prepares for a reset by the PCI core, if the virtio driver supports it.
    ///
    /// # Errors
    ///
    /// `EPROTO` if no reset can be prepared now. Other errors are logged only: the PCI core does
    /// not ask.
    pub(super) fn reset_prepare(&self) -> Result {
        let dev = self.dev();
        if !self.begin_stop(Cause::Reset)? {
            return Ok(());
        }
        let held = match self.prepare_driver() {
            Ok(()) => {
                dev.hw.pci().disable();
                Held::Frozen
            }
            Err(error) => {
                if error != not_supported() {
                    dev.log
                        .warn(Event::ResetNotPrepared(Errno(error.to_errno())));
                }
                Held::Unprepared
            }
        };
        dev.state.set_seen(None);
        dev.life.apply(LifeEvent::Stopped(held), &dev.log)?;
        Ok(())
    }

    /// # Errors
    ///
    /// That of the virtio driver; `EOPNOTSUPP` if it does not support resets, `EBUSY` if it would
    /// wait for a dead device, or is being bound or unbound.
    fn prepare_driver(&self) -> Result {
        let dev = self.dev();
        let device = self.lock_driver()?;
        recovery::check_before_stop(dev, &device)?;
        self.check_waits()?;
        dev.vqs.note_stop();
        dev.life.put_frozen(device.prepare_reset()?);
        Ok(())
    }

    /// Tries the lock of the virtio device for a second: a removal may hold it forever, and a reset
    /// of other devices must not wait for that.
    fn lock_driver(&self) -> Result<DeviceGuard<'_>> {
        for _ in 0..LOCK_TRIES {
            if let Some(guard) = self.device().try_lock() {
                return Ok(guard);
            }
            fsleep(LOCK_PAUSE);
        }
        Err(EBUSY)
    }

    /// Brings the device back after a reset by the PCI core.
    ///
    /// # Errors
    ///
    /// As [`Bound::wake`].
    pub(super) fn reset_done(&self) -> Result {
        let log = &self.dev().log;
        self.start(Cause::Reset).inspect_err(|error| {
            log.warn(Event::NotRecovered(Errno(error.to_errno())));
        })
    }

    /// Starts a stopped device again, or one that was lost and whose virtio driver is frozen.
    fn start(&self, cause: Cause) -> Result {
        let (dev, device) = (self.dev(), self.device());
        let is_awaited = dev.hw.holds_writes();
        // The work may be restoring the driver of a detached device. A driver that is being unbound
        // may wait for its restore, with the lock held: as with C, it is restored all the same.
        let is_frozen = matches!(
            dev.life.get(),
            Life::Stopped(_, Held::Frozen) | Life::Detached(Driver::Frozen(_), _)
        );
        let guard = (cause == Cause::Reset && is_frozen).then(|| self.lock_driver());
        let before = dev.life.get();
        let life = dev.life.apply(LifeEvent::Start, &dev.log)?;
        if before.is_detached() && !life.is_detached() {
            dev.hw.attach();
        }
        let result = match life {
            Life::Starting(_, held) => self.start_held(held),
            _ => Ok(()),
        };
        drop(guard);
        dev.irqs.release(&dev.hw);
        if !matches!(dev.life.get(), Life::Leaving) {
            dev.life.apply(LifeEvent::Started, &dev.log)?;
        }
        if is_awaited && dev.hw.holds_writes() {
            let slow = LifeEvent::ResetSlow(clock::monotonic_ms());
            dev.life.apply(slow, &dev.log)?;
        } else if is_awaited {
            device.attach_driver();
        }
        recovery::watch(dev, device);
        result
    }

    fn start_held(&self, held: Held) -> Result {
        match held {
            Held::Live => {
                self.dev().hw.pci().refresh_command();
                Ok(())
            }
            Held::Unprepared => self.reset_unprepared().inspect_err(|_| {
                let features = self.dev().state.features().unwrap_or(0);
                // An illegal event is reported.
                let _ = recovery::detach(self.dev(), features);
                self.device().break_virtqueues();
            }),
            _ => self.wake(held),
        }
    }

    /// Brings the device back, or detaches it.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is gone or is another one, that of the PCI core, or of
    /// [`Bound::acknowledge`] and [`Bound::bring_back`]; the device is detached then.
    fn wake(&self, held: Held) -> Result {
        let (dev, device) = (self.dev(), self.device());
        let result = self.check_identity().and_then(|()| self.enable());
        let result = result.and_then(|()| {
            dev.irqs.check(&dev.hw, &dev.log);
            // The reset before the sleep is not the one that is awaited from now on.
            negotiate::end_hold(dev);
            match held {
                Held::Frozen => self.bring_back(),
                _ => self.acknowledge().map(Handshake::stop),
            }
        });
        if result.is_err() {
            dev.log.counters.add_one(Count::NotRestored);
            self.quiesce();
            recovery::detach(dev, legacy_features(dev, device).unwrap_or(0))?;
            // A failure is reported; the work tries again.
            let _ = recovery::restore_detached(dev, device);
        }
        result
    }

    fn enable(&self) -> Result {
        let dev = self.dev();
        dev.hw.pci().enable().inspect_err(|error| {
            dev.log.report(Event::NotEnabled(Errno(error.to_errno())));
        })
    }

    /// Takes the rings from a device that could not be brought back, and leaves it FAILED.
    fn quiesce(&self) {
        let dev = self.dev();
        if dev.hw.is_reachable() && dev.state.has_rings() && reset(dev).is_ok() {
            dev.state.add_failed(&dev.hw, &dev.log);
        }
    }

    /// Acknowledges a device again that was reset without its virtio driver's knowledge.
    ///
    /// C does nothing: the driver waits forever, or the next one is bound to a device that was
    /// not acknowledged.
    fn reset_unprepared(&self) -> Result {
        let (dev, device) = (self.dev(), self.device());
        // The PCI core has restored the configuration space.
        dev.hw.pci().refresh_command();
        self.check_identity()?;
        if dev.state.has_rings() {
            let what = "does not support resets: rebind the device";
            match device.try_lock() {
                Some(device) => dev.log.warn_of_driver(&device, what),
                // A driver is being bound or unbound.
                None => dev_warn!(dev.log.device(), "driver {what}\n"),
            }
            device.break_virtqueues();
        }
        self.acknowledge().map(Handshake::stop)
    }

    /// The handshake after the device was reset, with the virtio driver's own restore.
    ///
    /// # Errors
    ///
    /// That of [`Bound::acknowledge`], `EIO` if virtqueues are missing, `ENODEV` if the device
    /// does not offer the features any more, `EPROTO` if the virtio driver undoes the handshake, or
    /// the error of the virtio driver.
    fn bring_back(&self) -> Result {
        let (dev, device) = (self.dev(), self.device());
        let acknowledged = self.acknowledge()?;
        if !dev.life.has_frozen() {
            acknowledged.stop();
            return Ok(());
        }

        let features = legacy_features(dev, device)?;
        let mut restored = None;
        negotiate(dev, acknowledged, features)?
            .restore_queues(|| {
                let driver = dev.life.restore_driver(dev.life.get());
                restored = driver.inspect_err(|error| {
                    dev.log.report(Event::NotRestored(Errno(error.to_errno())));
                })?;
                dev.life.apply(LifeEvent::DriverRestored, &dev.log)?;
                self.check_queues()
            })?
            .live()
            .map_err(|lost| {
                dev.log.report(Event::HandshakeLost(lost));
                protocol_error()
            })?;

        dev.log.counters.add_one(Count::Restored);
        let is_pending = restored.is_some_and(Restored::deliver_config_changes);
        let compared = quirks::config_to_compare(device.device_type());
        if is_pending || dev.config.has_changed(&dev.hw, &dev.log, compared) {
            device.config_changed();
        }
        Ok(())
    }

    /// Checks by the configuration space that the same device is in the slot.
    ///
    /// # Errors
    ///
    /// `ENODEV` (logged) if the device is gone or is another one.
    fn check_identity(&self) -> Result {
        let dev = self.dev();
        let pci = dev.hw.pci();
        let Ok(identity) = pci.read_identity() else {
            dev.log.report(Event::Absent);
            return Err(ENODEV);
        };
        if identity != pci.identity() {
            let known = pci.identity();
            dev_err!(
                dev.log.device(),
                "device replaced: {identity} in the slot of {known}; rescan the bus\n"
            );
            dev.log.record(Event::Replaced);
            pci.forget_command();
            return Err(ENODEV);
        }
        Ok(())
    }

    /// Begins the handshake.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device does not answer, `EIO` if it does not complete the reset.
    fn acknowledge(&self) -> Result<Handshake<'_, LegacyDevice, Acknowledged>> {
        let reset = begin_handshake(self.dev())?;
        Ok(reset.acknowledge(self.device().failed_before()))
    }

    /// Checks that the virtio driver has all its virtqueues again, and that they are not detached.
    ///
    /// # Errors
    ///
    /// `EIO` if not; for virtqueues that are missing, with a line.
    fn check_queues(&self) -> Result {
        let dev = self.dev();
        if !dev.hw.is_reachable() {
            return Err(EIO);
        }
        let (now, before) = (dev.vqs.count(), dev.vqs.count_before());
        if now < before || (now > 0 && !dev.state.has_rings()) {
            dev.log.report(Event::VirtqueuesMissing { now, before });
            return Err(EIO);
        }
        Ok(())
    }

    /// Takes the device from its virtio driver, and disables it.
    pub(super) fn unbind(&self) {
        let (dev, device) = (self.dev(), self.device());
        recovery::prepare_removal(dev, device);
        // An illegal event is reported. The virtio driver is removed in any case.
        let _ = dev.life.apply(LifeEvent::Leave, &dev.log);
        self.registration.unregister();
        dev.irqs.release(&dev.hw);
        dev.hw.pci().disable();
    }
}
