// SPDX-License-Identifier: GPL-2.0

//! The state of a device, as it was written last.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Full,
            Relaxed, //
        },
        new_mutex,
        Mutex, //
    }, //
};

use super::{
    core::{
        handshake::ResetError,
        journal::Event,
        regs,
        status::{
            self,
            Status, //
        }, //
    },
    hw::Hw,
    log::Log, //
};
use crate::abstractions::compat::{
    protocol_error,
    AtomicFlag, //
};

/// What is known of the device. Of the locks of this module, only that of [`Log`] is taken while
/// its lock is held.
#[pin_data]
pub(super) struct State {
    #[pin]
    inner: Mutex<Inner>,
    /// The status that was written last has DRIVER_OK. For notifications, which take no lock.
    is_live: AtomicFlag,
    /// The device was reset after DRIVER_OK.
    was_live: AtomicFlag,
    /// A virtqueue was broken because the device did not answer at a notification.
    broke_output: AtomicFlag,
}

struct Inner {
    /// The status that was written last.
    status: Status,
    /// The features that were accepted since the last reset.
    features: Option<u32>,
    /// Whether the device was shown a virtqueue since the last reset.
    has_rings: bool,
    /// Why the last reset did not complete.
    reset_error: Option<ResetError>,
    /// Whether it was reported that the device is not content, since the last reset.
    complained: bool,
    /// Whether it was reported that the virtio device stays registered.
    kept: bool,
    /// The status that was read at the beginning of a freeze, for the virtio core.
    seen: Option<Status>,
}

/// Proof that virtqueues may be set up: the device has a driver and accepted features.
pub(super) struct Negotiated {
    features: u32,
}

impl Negotiated {
    /// The accepted features.
    pub(super) fn features(&self) -> u32 {
        self.features
    }
}

/// A status that was not written.
pub(super) struct Refused {
    /// The status that was written last.
    pub(super) current: Status,
    /// Why not.
    pub(super) why: status::WriteError,
}

impl Inner {
    fn write_status(&mut self, hw: &Hw, log: &Log, status: Status) {
        if hw.write(&regs::STATUS, status.raw()) {
            log.record(Event::StatusWritten(status));
        }
        self.status = status;
        if status == Status::RESET {
            self.features = None;
            self.complained = false;
        }
    }

    fn has_driver(&self) -> bool {
        self.status
            .contains(Status::ACKNOWLEDGE.with(Status::DRIVER))
    }
}

impl State {
    /// Starts with a device to which nothing was written.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- new_mutex!(Inner {
                status: Status::RESET,
                features: None,
                has_rings: false,
                reset_error: None,
                complained: false,
                kept: false,
                seen: None,
            }),
            is_live: AtomicFlag::new(false),
            was_live: AtomicFlag::new(false),
            broke_output: AtomicFlag::new(false),
        })
    }

    /// The status that was written last.
    pub(super) fn status(&self) -> Status {
        self.inner.lock().status
    }

    /// The features that were accepted since the last reset.
    pub(super) fn features(&self) -> Option<u32> {
        self.inner.lock().features
    }

    /// Whether the device knows that it has a driver.
    pub(super) fn has_driver(&self) -> bool {
        self.inner.lock().has_driver()
    }

    /// Whether the device was shown a virtqueue since the last reset.
    pub(super) fn has_rings(&self) -> bool {
        self.inner.lock().has_rings
    }

    /// Why the last reset did not complete.
    pub(super) fn reset_error(&self) -> Option<ResetError> {
        self.inner.lock().reset_error
    }

    /// Whether DRIVER_OK was written. In any context.
    pub(super) fn is_live(&self) -> bool {
        self.is_live.load(Relaxed)
    }

    /// Whether the device was reset after DRIVER_OK and nothing was written since. In any context.
    pub(super) fn was_live(&self) -> bool {
        self.was_live.load(Relaxed)
    }

    /// Records that a virtqueue was broken because the device did not answer. In any context.
    pub(super) fn note_broken_output(&self) {
        self.broke_output.store(true, Relaxed);
    }

    /// Whether [`State::note_broken_output`] was called since this was asked last.
    pub(super) fn take_broken_output(&self) -> bool {
        self.broke_output.xchg(false, Full)
    }

    /// Writes the status, which the caller knows to be right.
    pub(super) fn write_status(&self, hw: &Hw, log: &Log, status: Status) {
        self.inner.lock().write_status(hw, log, status);
        self.note_live(status);
    }

    /// Writes the status that the virtio core asks for, if it may follow; returns what was written.
    pub(super) fn try_write_status(
        &self,
        hw: &Hw,
        log: &Log,
        wanted: Status,
    ) -> Result<Status, Refused> {
        let mut inner = self.inner.lock();
        let current = inner.status;
        let status = status::next_status(current, inner.features.is_some(), wanted)
            .map_err(|why| Refused { current, why })?;
        inner.write_status(hw, log, status);
        drop(inner);
        self.note_live(status);
        Ok(status)
    }

    /// Adds FAILED.
    pub(super) fn add_failed(&self, hw: &Hw, log: &Log) {
        let status = self.status().with(Status::FAILED);
        self.write_status(hw, log, status);
    }

    fn note_live(&self, status: Status) {
        let is_live = status.contains(Status::DRIVER_OK);
        let was_live = self.is_live.xchg(is_live, Full);
        if status != Status::RESET {
            self.was_live.store(false, Relaxed);
        } else if was_live {
            self.was_live.store(true, Relaxed);
        }
    }

    /// Records features that were accepted.
    pub(super) fn accept_features(&self, features: u32) {
        self.inner.lock().features = Some(features);
    }

    /// Records that the device is shown a virtqueue.
    pub(super) fn note_ring(&self) {
        self.inner.lock().has_rings = true;
    }

    /// Forgets what was written while the reset was waited for, which did not reach the device: the
    /// virtio core writes FAILED if a driver is put off.
    pub(super) fn forget_status(&self) {
        self.inner.lock().status = Status::RESET;
    }

    /// Records how a reset went.
    pub(super) fn note_reset(&self, error: Option<ResetError>) {
        let mut inner = self.inner.lock();
        inner.reset_error = error;
        // A device that fails a reset cannot release its rings.
        inner.has_rings = false;
    }

    /// Presents a detached device to its virtio driver as one that has accepted `features`.
    pub(super) fn assume(&self, features: u32) {
        let status = Status::ACKNOWLEDGE.with(Status::DRIVER);
        let mut inner = self.inner.lock();
        inner.status = status;
        inner.features = Some(features);
        inner.has_rings = false;
        drop(inner);
        self.note_live(status);
    }

    /// Whether a complaint of the device is the first one since the last reset.
    pub(super) fn note_complaint(&self) -> bool {
        !core::mem::replace(&mut self.inner.lock().complained, true)
    }

    /// Whether it is reported for the first time that the virtio device stays registered.
    pub(super) fn note_kept(&self) -> bool {
        !core::mem::replace(&mut self.inner.lock().kept, true)
    }

    /// Remembers a status that was read for the virtio core, or forgets it.
    pub(super) fn set_seen(&self, seen: Option<Status>) {
        self.inner.lock().seen = seen;
    }

    /// The status that [`State::set_seen`] remembers.
    pub(super) fn seen(&self) -> Option<Status> {
        self.inner.lock().seen
    }

    /// Whether the handshake has come so far that virtqueues may be set up.
    ///
    /// # Errors
    ///
    /// `EPROTO` if it has not.
    pub(super) fn negotiated(&self) -> Result<Negotiated> {
        let inner = self.inner.lock();
        match inner.features {
            Some(features) if inner.has_driver() => Ok(Negotiated { features }),
            _ => Err(protocol_error()),
        }
    }
}
