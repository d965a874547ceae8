// SPDX-License-Identifier: GPL-2.0

//! Sleep, hibernation and resets of a device that is in use.
//!
//! C: `virtio_pci_freeze()` and what follows it in drivers/virtio/virtio_pci_common.c, and
//! `virtio_device_restore_priv()` in drivers/virtio/virtio.c.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Relaxed, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use super::{
    debugfs::Files,
    features::legacy_features,
    handshake::{
        Acknowledged,
        Device as _,
        Handshake, //
    },
    journal::{
        Errno,
        Event,
        Phase, //
    },
    status::Status,
    transport::Transport, //
};
use crate::{
    abstractions::{
        compat::{
            not_supported,
            protocol_error,
            Parameter, //
        },
        pci,
        virtio::{
            Device,
            Registration,
            Verdict, //
        }, //
    },
    module_parameters, //
};

/// A device that this transport is bound to.
///
/// Fields are dropped in order: the virtio device is unregistered before the PCI device is
/// disabled.
pub(crate) struct Bound {
    pub(super) _files: Option<Files>,
    pub(super) registration: Registration<Transport>,
    pub(super) pci: Arc<pci::Device>,
    pub(super) asleep: Asleep,
}

/// What is remembered from falling asleep for waking up.
pub(super) struct Asleep {
    /// Whether the virtio driver could not be frozen and the device stays reset.
    parked: AtomicFlag,
    /// Whether the device keeps its state and was left alone.
    left_alone: AtomicFlag,
}

impl Asleep {
    pub(super) fn new() -> Self {
        Self {
            parked: AtomicFlag::new(false),
            left_alone: AtomicFlag::new(false),
        }
    }
}

/// How often something that needs memory is tried.
const TRIES: usize = 10;

/// Tries something up to [`TRIES`] times, ten milliseconds apart.
///
/// # Errors
///
/// Those of the last time.
fn persist(mut f: impl FnMut() -> Result) -> Result {
    for _ in 1..TRIES {
        if f().is_ok() {
            return Ok(());
        }
        fsleep(Delta::from_millis(10));
    }
    f()
}

impl Bound {
    pub(super) fn device(&self) -> &Device {
        self.registration.device()
    }

    pub(super) fn transport(&self) -> &Transport {
        self.registration.transport()
    }

    /// Does what belongs to `phase`, and records that.
    pub(super) fn during(&self, phase: Phase, f: impl FnOnce(&Self) -> Result) -> Result {
        let transport = self.transport();
        transport.record(Event::Begun(phase));
        let result = f(self);
        let error = result.err().map(|error| Errno(error.to_errno()));
        transport.record(Event::Ended(phase, error));
        result
    }

    /// Freezes the virtio driver and disables the device.
    ///
    /// # Errors
    ///
    /// That of the virtio driver, `ENOMEM`, or `EBUSY` if the driver cannot be frozen and the user
    /// rather wants no sleep, or if the driver would wait for a dead device.
    pub(super) fn freeze(&self) -> Result {
        self.device().hold_checks();
        self.freeze_driver().inspect_err(|_| {
            self.transport().release_kept();
            self.release_checks();
        })
    }

    fn freeze_driver(&self) -> Result {
        let transport = self.transport();
        self.check_requests()?;
        if module_parameters::refuse_freeze.get()
            && transport.has_rings()
            && !self.device().can_freeze()
        {
            dev_err!(
                self.pci(),
                "driver {} cannot be frozen: sleep refused\n",
                self.driver_name()
            );
            transport.record(Event::SleepRefused);
            return Err(EBUSY);
        }
        if transport.is_frozen.load(Relaxed) {
            // It was not restored: there is nothing to freeze.
            self.pci.disable();
            return Ok(());
        }
        transport.remember_sizes()?;
        self.device().freeze()?;
        // A driver that was frozen has deleted its virtqueues.
        let parked = transport.queue_count() > 0;
        self.asleep.parked.store(parked, Relaxed);
        transport
            .is_frozen
            .store(!parked && self.device().has_driver(), Relaxed);
        if parked && transport.has_rings() {
            self.park();
        }
        self.pci.disable();
        Ok(())
    }

    /// Makes sure that the virtio driver does not wait for a dead device when it is frozen.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it does.
    fn check_requests(&self) -> Result {
        let (device, transport) = (self.device(), self.transport());
        if !transport.has_requests_in_flight(device) || !matches!(transport.look(), Verdict::Dead) {
            return Ok(());
        }
        device.break_virtqueues();
        transport.report(Event::NotFrozen);
        Err(EBUSY)
    }

    /// Enables the device, and takes it and its virtio driver through the whole handshake.
    ///
    /// # Errors
    ///
    /// As [`Bound::wake`].
    pub(super) fn restore(&self) -> Result {
        let result = self.wake(|| self.device().restore_driver());
        self.release_checks();
        result
    }

    /// Has the device looked at again, after a freeze or the preparation of a reset.
    fn release_checks(&self) {
        self.device().release_checks();
        self.transport().watch(self.device());
    }

    /// Freezes the device for a sleep that it may get through by itself.
    pub(super) fn suspend(&self) -> Result {
        let keeps_state = self.pci.keeps_state_in_d3().unwrap_or_else(|_| {
            dev_err!(self.pci(), "PMCSR reads as all ones\n");
            false
        });
        self.asleep.left_alone.store(keeps_state, Relaxed);
        if keeps_state {
            return Ok(());
        }
        self.transport().keep_wiring();
        self.freeze()
    }

    /// Restores the device after [`Bound::suspend`].
    pub(super) fn resume(&self) -> Result {
        if self.asleep.left_alone.load(Relaxed) {
            Ok(())
        } else {
            self.restore()
        }
    }

    /// Prepares for a reset by the PCI core, if the virtio driver supports it.
    ///
    /// # Errors
    ///
    /// That of the virtio driver; `EOPNOTSUPP` if it does not support resets, `EBUSY` if it would
    /// wait for a dead device.
    pub(super) fn reset_prepare(&self) -> Result {
        let device = self.device();
        device.hold_checks();
        self.transport().known.lock().resetting = true;
        let prepared = device.with_driver_held(|| {
            if self.transport().is_frozen.load(Relaxed) {
                return Err(not_supported());
            }
            self.check_requests()?;
            self.transport().remember_sizes()?;
            device.prepare_reset()
        });
        match prepared {
            Ok(()) => {
                self.asleep.parked.store(false, Relaxed);
                self.pci.disable();
            }
            Err(error) if error == not_supported() => {}
            Err(error) => dev_warn!(
                self.pci(),
                "reset not prepared: error {}\n",
                error.to_errno()
            ),
        }
        prepared
    }

    /// Brings the device back after a reset by the PCI core.
    ///
    /// # Errors
    ///
    /// As [`Bound::wake`].
    pub(super) fn reset_done(&self) -> Result {
        let device = self.device();
        let result = device.with_driver_held(|| {
            if self.transport().is_frozen.load(Relaxed) {
                // It was not prepared.
                Ok(())
            } else if self.pci.is_enabled() {
                self.reset_unprepared()
            } else {
                self.wake(|| device.reset_done_driver())
            }
        });
        self.transport().known.lock().resetting = false;
        self.release_checks();
        result.inspect_err(|error| {
            dev_warn!(
                self.pci(),
                "not brought back after a reset: error {}\n",
                error.to_errno()
            );
        })
    }

    /// Stops a live device for good, so that it leaves the memory alone.
    ///
    /// The virtio core has done so already, unless the virtio driver has a `shutdown` of its own
    /// that does not.
    pub(super) fn shutdown(&self) {
        let transport = self.transport();
        if transport.written_status().contains(Status::DRIVER_OK) {
            self.device().break_virtqueues();
            // There is nobody left to tell.
            let _ = transport.reset_device();
        }
    }

    /// Takes the device from its virtio driver, and disables it.
    pub(super) fn remove(&self) {
        if !self.pci.is_present() {
            // Nobody is to wait for a device that was pulled out.
            self.device().break_virtqueues();
        }
        if persist(|| self.transport().restore_late(self.device())).is_err() {
            dev_err!(self.pci(), "virtio driver removed while it is frozen\n");
        }
        self.registration.unregister();
        self.transport().release_kept();
        self.pci.disable();
    }

    fn pci(&self) -> &pci::Device {
        &self.pci
    }

    fn enable(&self) -> Result {
        self.pci.enable().inspect_err(|error| {
            self.transport()
                .report(Event::NotEnabled(Errno(error.to_errno())));
        })?;
        self.pci.set_master();
        Ok(())
    }

    /// Brings the device back, with `restore` for the virtio driver, or disconnects it.
    ///
    /// # Errors
    ///
    /// That of [`Bound::bring_back`], with which the device was disconnected. It is unregistered as
    /// soon as that can be done, so that nobody waits for it. A device that is disconnected already
    /// is no error: nobody expects anything of it.
    fn wake(&self, restore: impl Fn() -> Result) -> Result {
        let transport = self.transport();
        if !transport.is_connected() {
            self.restore_disconnected(&restore);
            transport.release_kept();
            return Ok(());
        }
        let result = self
            .check_identity()
            .and_then(|()| self.enable())
            .and_then(|()| {
                transport.check_kept();
                if self.asleep.parked.load(Relaxed) {
                    self.acknowledge().map(Handshake::stop)
                } else {
                    self.bring_back(&restore)
                }
            });
        if result.is_err() {
            transport.counters.not_restored.add_one();
            transport.quiet();
            self.restore_disconnected(&restore);
        }
        transport.release_kept();
        result
    }

    /// As [`Transport::restore_disconnected`], a few times if need be, with a line if that fails.
    fn restore_disconnected(&self, restore: impl Fn() -> Result) {
        let transport = self.transport();
        let restored = persist(|| transport.restore_disconnected(self.device(), &restore));
        if let Err(error) = restored {
            transport.report(Event::NotRestored(Errno(error.to_errno())));
        }
    }

    /// Acknowledges a device again that was reset without its virtio driver's knowledge.
    ///
    /// C does nothing: the driver waits for ever, or the next one is bound to a device that was
    /// not acknowledged.
    fn reset_unprepared(&self) -> Result {
        if !self.transport().is_connected() {
            return Ok(());
        }
        self.check_identity()?;
        if self.transport().has_rings() {
            dev_warn!(
                self.pci(),
                "driver {} does not support resets: bind it anew\n",
                self.driver_name()
            );
            self.device().break_virtqueues();
        }
        self.acknowledge().map(Handshake::stop)
    }

    fn driver_name(&self) -> &str {
        self.device().driver_name_or("?")
    }

    /// Resets a device whose driver has virtqueues but no `freeze`, so that it does not write to a
    /// memory image that is being saved.
    fn park(&self) {
        dev_warn!(
            self.pci(),
            "driver {} cannot be frozen: the device is reset and stays so, bind it anew\n",
            self.driver_name()
        );
        self.transport().record(Event::Parked);
        self.device().break_virtqueues();
        // An error is reported, and bus mastering is off in any case.
        let _ = self.transport().reset_device();
    }

    /// The handshake after the device was reset, with `restore` for the virtio driver.
    ///
    /// # Errors
    ///
    /// That of [`Bound::acknowledge`], `EIO` if virtqueues are missing, `ENODEV` if the device
    /// does not offer the features any more, `EPROTO` if `restore` undoes the handshake, or the
    /// error of `restore`.
    fn bring_back(&self, restore: impl FnOnce() -> Result) -> Result {
        let (device, transport) = (self.device(), self.transport());
        let acknowledged = self.acknowledge()?;
        if !device.has_driver() {
            acknowledged.stop();
            return Ok(());
        }

        let features = legacy_features(transport, device)?;
        transport
            .negotiate(acknowledged, features)?
            .restore_queues(|| {
                transport.restoring.store(true, Relaxed);
                let restored = restore();
                transport.restoring.store(false, Relaxed);
                restored.inspect_err(|error| {
                    transport.report(Event::NotRestored(Errno(error.to_errno())));
                })?;
                transport.is_frozen.store(false, Relaxed);
                self.check_queues()
            })?
            .live()
            .map_err(|lost| {
                transport.report(Event::HandshakeLost(lost));
                protocol_error()
            })?;

        transport.counters.restored.add_one();
        device.deliver_config_changes();
        Ok(())
    }

    /// Makes sure that this is the device of before, by its configuration space.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is gone or is another one.
    fn check_identity(&self) -> Result {
        let identity = self.pci.read_identity().inspect_err(|_| {
            self.transport().report(Event::Gone);
        })?;
        if identity != self.pci.identity() {
            dev_err!(
                self.pci(),
                "{identity} in the slot of {}\n",
                self.pci.identity()
            );
            self.transport().record(Event::Replaced);
            return Err(ENODEV);
        }
        Ok(())
    }

    /// Begins the handshake.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device does not answer, `EIO` if it does not complete the reset.
    fn acknowledge(&self) -> Result<Handshake<'_, Transport, Acknowledged>> {
        let reset = self.transport().begin_handshake()?;
        Ok(reset.acknowledge(self.device().failed_before()))
    }

    /// Checks that the virtio driver has all its virtqueues again, and that they are connected.
    fn check_queues(&self) -> Result {
        let transport = self.transport();
        let now = transport.queue_count();
        let (lost, before, has_rings) = {
            let known = transport.known.lock();
            (known.lost, known.sizes.len(), known.has_rings)
        };
        if let Some(error) = lost {
            return Err(error);
        }
        if now < before || (now > 0 && !has_rings) {
            transport.report(Event::VirtqueuesMissing { now, before });
            return Err(EIO);
        }
        Ok(())
    }
}

impl Transport {
    /// Restores the virtio driver on a device that is not there any more, as far as it knows.
    ///
    /// Virtio drivers that were frozen must be restored before they are frozen again or removed:
    /// virtio-rng, for one, frees its data in both, and virtio-net takes itself from lists.
    ///
    /// # Errors
    ///
    /// That of `restore`.
    fn restore_disconnected(&self, device: &Device, restore: impl FnOnce() -> Result) -> Result {
        self.disconnect(legacy_features(self, device).unwrap_or(0));
        let result = if device.has_driver() && self.queue_count() == 0 {
            restore()
        } else {
            Ok(())
        };
        if result.is_ok() {
            self.is_frozen.store(false, Relaxed);
        }
        device.break_virtqueues();
        result
    }

    /// Restores a virtio driver that could not be restored when the machine woke up, for want of
    /// memory, say. Another error than that of then is not told.
    ///
    /// # Errors
    ///
    /// That of the virtio driver.
    pub(super) fn restore_late(&self, device: &Device) -> Result {
        if !self.is_frozen.load(Relaxed) {
            return Ok(());
        }
        device.with_driver_held(|| {
            if !self.is_frozen.load(Relaxed) {
                return Ok(());
            }
            self.restore_disconnected(device, || device.restore_driver())
        })
    }
}
