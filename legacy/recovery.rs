// SPDX-License-Identifier: GPL-2.0

//! Detects dead devices, and decides what becomes of them and their virtio drivers.
//!
//! A device that is gone, or that no longer decodes its I/O ports, reads as all ones; one
//! that was reset behind the driver's back has lost its status. While only notifications are
//! written that stays unnoticed, and a driver that waits for used buffers waits forever. C has no
//! equivalent.
//! `docs/architecture.md` argues on one page why each step is right.

use core::num::NonZero;

use kernel::{
    prelude::*,
    time::delay::{
        fsleep,
        udelay, //
    },
    time::Delta, //
};

use super::{
    core::{
        handshake::{
            self,
            Handshake, //
            Registers as _,
        },
        journal::{
            Absence,
            Errno,
            Event, //
        },
        life::{
            Driver,
            Life,
            LifeEvent, //
        },
        regs,
        status::Status, //
    },
    counters::Count,
    device::LegacyDevice,
    life::LifeGuard,
    negotiate::{
        legacy_features,
        note_complete, //
    },
    quirks, //
};
use crate::{
    abstractions::{
        clock,
        compat::{
            self,
            Parameter, //
        },
        pci::Presence,
        virtio::Device, //
    },
    module_parameters, //
};

/// After how many ms a device that was found dead is checked again: one sample is no proof.
const RECHECK_MS: u32 = 1000;

/// The same when a sleep waits for it.
const RECHECK_AT_STOP: Delta = Delta::from_millis(100);

/// After how many ms what could not be done is tried again.
const AGAIN_MS: u32 = 2000;

/// Interval between polls of the first reset, in ms.
const POLL_RESET_MS: u32 = 100;

/// Number of tries at once to restore a virtio driver, which may fail for lack of memory, and the
/// pause after each.
const RESTORE_TRIES: u32 = 10;
const RESTORE_PAUSE: Delta = Delta::from_millis(100);

/// How often a notification checks the device again before it takes it for dead, and how long it
/// pauses before each: 10 ms in all, with interrupts off.
const NOTIFICATION_RECHECKS: u32 = 100;
const NOTIFICATION_PAUSE: Delta = Delta::from_micros(100);

/// Why a device is declared dead.
enum Dead {
    /// The status reads as all ones.
    AllOnes,
    /// The status was lost.
    StatusLost { written: Status, read: Status },
}

/// What `status` says of a live device to which `written` was written.
fn judge(status: Status, written: Status) -> Result<(), Dead> {
    // Other bits may have come from the device.
    let live = Status::ACKNOWLEDGE
        .with(Status::DRIVER)
        .with(Status::DRIVER_OK);
    if status == Status::GONE {
        Err(Dead::AllOnes)
    } else if status.contains(live) {
        Ok(())
    } else {
        Err(Dead::StatusLost {
            written,
            read: status,
        })
    }
}

/// Interval between checks of a live device, in ms.
fn interval() -> Option<NonZero<u32>> {
    NonZero::new(module_parameters::watchdog_s.get().saturating_mul(1000))
}

/// The virtio driver is ready.
pub(super) fn go_live(dev: &LegacyDevice, device: &Device) {
    if !dev.hw.is_reachable() {
        // Requests would be taken, and never be answered.
        device.break_virtqueues();
    }
    watch(dev, device);
}

/// Schedules the next [`work`]: at once if INTx is masked, the device is detached or its reset is
/// awaited, else after `watchdog_s`.
pub(super) fn watch(dev: &LegacyDevice, device: &Device) {
    match dev.life.get() {
        Life::AwaitingReset(_) | Life::Detached(_, None) => device.schedule_work(),
        Life::Working | Life::Suspect(_) => {
            if dev.hw.pci().intx_is_masked() && dev.irqs.uses_intx() {
                device.schedule_work();
            } else if let Some(millis) = interval().filter(|_| dev.state.is_live()) {
                device.schedule_work_after(millis);
            }
        }
        _ => {}
    }
}

/// The deferred work of a device; after how many ms it is to be done again.
pub(super) fn work(dev: &LegacyDevice, device: &Device) -> Option<NonZero<u32>> {
    match dev.life.get() {
        Life::AwaitingReset(_) => await_reset(dev, device),
        Life::Working | Life::Suspect(_) => check(dev, device),
        Life::Detached(_, None) => unregister_detached(dev, device),
        _ => None,
    }
}

/// Waits for the first reset of a device, without holding up others.
fn await_reset(dev: &LegacyDevice, device: &Device) -> Option<NonZero<u32>> {
    // A virtio driver that is probed asks for the features, and is put off or gets them.
    let Some(guard) = device.try_lock() else {
        return NonZero::new(POLL_RESET_MS);
    };
    // No sleep, reset or removal begins before this has ended.
    let mut life = dev.life.lock();
    let Life::AwaitingReset(since) = life.get() else {
        return None;
    };
    let limit = module_parameters::reset_timeout_ms.get();
    match Handshake::take_over(dev) {
        Ok(reset) => {
            note_complete(dev);
            life.apply(LifeEvent::ResetComplete, &dev.log).ok()?;
            reset.acknowledge(false).stop();
            dev.log.inform(Event::ResetComplete);
        }
        Err(_) if clock::monotonic_ms().wrapping_sub(since) < limit => {
            return NonZero::new(POLL_RESET_MS);
        }
        Err(status) => {
            let error = handshake::ResetError::Incomplete(status);
            dev.log.report(Event::ResetFailed(error));
            let _ = detach_locked(dev, &mut life, 0);
            return None;
        }
    }
    drop(life);
    drop(guard);
    device.attach_driver();
    None
}

/// Checks that a live device responds, for a virtio driver that may wait for it; if it does not
/// twice, it is detached.
fn check(dev: &LegacyDevice, device: &Device) -> Option<NonZero<u32>> {
    // No sleep, reset or removal begins before this has ended.
    let mut life = dev.life.lock();
    let now = clock::monotonic_ms();
    let is_suspect = match life.get() {
        Life::Working => false,
        Life::Suspect(since) => {
            // An interrupt or a read of the status may ask for a check at any time.
            let early = RECHECK_MS.saturating_sub(now.wrapping_sub(since));
            if early > 0 {
                return NonZero::new(early);
            }
            true
        }
        _ => return None,
    };
    if !dev.state.is_live() {
        if is_suspect {
            let _ = life.apply(LifeEvent::AlarmWithdrawn, &dev.log);
        }
        return None;
    }
    dev.log.counters.add_one(Count::Checks);
    let (status, written) = (dev.read_status(), dev.state.status());
    match judge(status, written) {
        Ok(()) => {
            if is_suspect {
                let _ = life.apply(LifeEvent::AlarmWithdrawn, &dev.log);
                dev.log.inform(Event::AlarmWithdrawn);
            }
            if dev.irqs.uses_intx() {
                // What the line was masked for comes again, since it is a level.
                dev.hw.pci().set_intx_masked(false);
            }
            drop(life);
            if dev.hw.take_isr_all_ones() {
                // The read may have cleared a change of the configuration.
                device.config_changed();
            }
            if dev.state.take_broken_output() {
                dev.log.report(Event::OutputBroken);
            }
            note_complaint(dev, status, written);
            interval()
        }
        Err(_) if !is_suspect => {
            life.apply(LifeEvent::Alarm(now), &dev.log).ok()?;
            dev.log.record(Event::Alarm(status));
            NonZero::new(RECHECK_MS)
        }
        Err(dead) => {
            report_dead(dev, dead);
            let features = dev.state.features().unwrap_or(0);
            detach_locked(dev, &mut life, features).ok()?;
            drop(life);
            unregister_detached(dev, device)
        }
    }
}

/// Reports that the device is not content, once after each reset.
fn note_complaint(dev: &LegacyDevice, status: Status, written: Status) {
    let complaint = Status::NEEDS_RESET.with(Status::FAILED);
    if status.has_any(complaint) && !written.has_any(complaint) && dev.state.note_complaint() {
        dev.log.report(Event::Complaint(status));
    }
}

fn report_dead(dev: &LegacyDevice, dead: Dead) {
    dev.log.report(match dead {
        Dead::AllOnes => Event::Gone(match dev.hw.pci().presence() {
            Presence::Absent => Absence::Removed,
            Presence::NotDecoding(command) => Absence::NotDecoding(command),
            Presence::Present => Absence::NoRegisters,
        }),
        Dead::StatusLost { written, read } => Event::StatusLost { written, read },
    });
}

/// Checks that a live device that is about to be stopped responds, if its virtio driver may wait
/// for it; the state is `Stopping`, so that nothing else checks it. The status is kept for the
/// virtio core, which asks for it next.
pub(super) fn check_before_stop(dev: &LegacyDevice, device: &Device) -> Result {
    let may_wait = quirks::freeze_may_wait(device.device_type());
    if !may_wait || !dev.state.is_live() || !dev.hw.is_reachable() {
        return Ok(());
    }
    let written = dev.state.status();
    let mut status = dev.read_status();
    if judge(status, written).is_err() {
        fsleep(RECHECK_AT_STOP);
        status = dev.read_status();
    }
    match judge(status, written) {
        Ok(()) => dev.state.set_seen(Some(status)),
        Err(dead) => {
            report_dead(dev, dead);
            detach(dev, dev.state.features().unwrap_or(0))?;
        }
    }
    Ok(())
}

/// Whether a live device answers, for a notification after which the virtio driver spins. In any
/// context.
pub(super) fn answers_notification(dev: &LegacyDevice, device: &Device) -> bool {
    if !dev.state.is_live() {
        return true;
    }
    let is_alive = || {
        let status = Status::from_raw(dev.hw.read(&regs::STATUS, Status::GONE.raw()));
        status != Status::GONE && status.contains(Status::DRIVER_OK)
    };
    if is_alive() {
        return true;
    }
    for _ in 0..NOTIFICATION_RECHECKS {
        udelay(NOTIFICATION_PAUSE);
        if is_alive() {
            return true;
        }
    }
    dev.state.note_broken_output();
    device.schedule_work();
    false
}

/// Keeps the device from accessing memory, and ends all accesses to registers.
///
/// A virtio driver that uses `features` finds a device with which it can be restored and removed.
///
/// # Errors
///
/// `EPROTO` (logged) if the device cannot be lost now.
pub(super) fn detach(dev: &LegacyDevice, features: u32) -> Result {
    detach_locked(dev, &mut dev.life.lock(), features)
}

fn detach_locked(dev: &LegacyDevice, life: &mut LifeGuard<'_>, features: u32) -> Result {
    life.apply(LifeEvent::Lost, &dev.log)?;
    // No reset is awaited now.
    dev.hw.hold_writes(false);
    if dev.hw.detach() {
        let pci = dev.hw.pci();
        pci.set_master(false);
        if dev.irqs.uses_intx() {
            // The handler leaves the device alone, whatever interrupts on the line.
            pci.set_intx_masked(true);
        }
        dev.log.report(Event::Detached);
    }
    dev.state.assume(features);
    Ok(())
}

/// Unregisters the virtio device of a detached device, if `remove` of its virtio driver ends. A
/// driver that is frozen is restored first.
fn unregister_detached(dev: &LegacyDevice, device: &Device) -> Option<NonZero<u32>> {
    // What waits for the device ends, also a driver that is being probed.
    device.break_virtqueues();
    // What has seen a virtqueue that was not broken yet, with interrupts off as drivers do, has
    // added its buffer by then.
    compat::synchronize_rcu();

    let life = dev.life.get();
    if !matches!(life, Life::Detached(_, None)) {
        return None;
    }
    if life.frozen().is_some() {
        // The lock is not waited for: a driver that is being removed may have it forever.
        let restored = device
            .try_lock()
            .is_some_and(|_guard| restore_frozen(dev, device, life).is_ok());
        if !restored {
            return NonZero::new(AGAIN_MS);
        }
    }
    if !device.is_registered() {
        return NonZero::new(AGAIN_MS);
    }
    if !quirks::remove_ends(device.device_type(), &dev.vqs, &dev.config) {
        if dev.state.note_kept() {
            dev.log.report(Event::Kept);
        }
        return None;
    }
    let mut life = dev.life.lock();
    if life.get().may_leave() && life.apply(LifeEvent::Leave, &dev.log).is_ok() {
        drop(life);
        dev.log.inform(Event::Unregistered);
        device.unregister();
    }
    None
}

/// Restores the frozen virtio driver of a detached device, if its state is still `life`. The caller
/// has the lock of `device`, or user space is frozen and the state has a cause, so that the work
/// does nothing.
///
/// Virtio drivers that were frozen must be restored before they are frozen again or removed:
/// virtio-rng, for one, frees its data in both, and virtio-net takes itself from lists.
///
/// # Errors
///
/// That of the virtio driver.
fn restore_frozen(dev: &LegacyDevice, device: &Device, life: Life) -> Result {
    dev.state.assume(legacy_features(dev, device).unwrap_or(0));
    let restored = if dev.vqs.count() > 0 {
        Ok(())
    } else {
        dev.life.restore_driver(life).map(drop)
    };
    device.break_virtqueues();
    restored?;
    dev.life.apply(LifeEvent::DriverRestored, &dev.log)?;
    Ok(())
}

/// As [`restore_frozen`], if the virtio driver is frozen: a few times if need be, with a line if
/// that fails. [`work`] tries again later.
pub(super) fn restore_detached(dev: &LegacyDevice, device: &Device) -> Result {
    let life = dev.life.get();
    if life.frozen().is_none() {
        device.break_virtqueues();
        return Ok(());
    }
    let mut result = Ok(());
    for _ in 0..RESTORE_TRIES {
        result = restore_frozen(dev, device, life);
        if result.is_ok() {
            return Ok(());
        }
        fsleep(RESTORE_PAUSE);
    }
    result.inspect_err(|error| {
        dev.log.report(Event::NotRestored(Errno(error.to_errno())));
    })
}

/// Prepares the removal of the PCI device: its virtio driver must not wait for a device that was
/// pulled out, nor be frozen.
pub(super) fn prepare_removal(dev: &LegacyDevice, device: &Device) {
    let life = dev.life.get();
    let is_stopped = matches!(life, Life::Stopped(..));
    if is_stopped || (dev.hw.is_reachable() && dev.hw.pci().presence() != Presence::Present) {
        let _ = detach(dev, dev.state.features().unwrap_or(0));
    }
    if matches!(dev.life.get(), Life::Detached(_, Some(_))) {
        let _ = dev.life.apply(LifeEvent::Started, &dev.log);
    }
    if let Life::Detached(driver, _) = dev.life.get() {
        device.break_virtqueues();
        let _guard = device.lock();
        if matches!(driver, Driver::Frozen(_)) && restore_detached(dev, device).is_err() {
            dev_err!(
                dev.log.device(),
                "virtio driver removed while frozen: it may use freed memory; reboot\n"
            );
        }
    }
}
