// SPDX-License-Identifier: GPL-2.0

//! The life cycle of a device, with its lock.

use kernel::{
    prelude::*,
    sync::{
        lock::mutex::MutexBackend,
        lock::Guard,
        new_mutex,
        Mutex, //
    }, //
};

use super::{
    core::life::{
        Life,
        LifeEvent, //
    },
    log::Log, //
};
use crate::abstractions::compat::protocol_error;

/// The state of the life cycle.
///
/// Its lock comes after that of the virtio device and before all others. It is held for a look at
/// the device, so that no sleep, reset or removal begins during the look, and never while a virtio
/// driver is called or a reset is waited for.
#[pin_data]
pub(super) struct LifeCycle {
    #[pin]
    life: Mutex<Life>,
}

impl LifeCycle {
    /// Starts with a new device.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            life <- new_mutex!(Life::New),
        })
    }

    /// The state at the moment.
    pub(super) fn get(&self) -> Life {
        *self.life.lock()
    }

    /// Goes to the state after `event`, and returns it.
    ///
    /// # Errors
    ///
    /// `EPROTO` with a line if the event is illegal; the state stays.
    pub(super) fn apply(&self, event: LifeEvent, log: &Log) -> Result<Life> {
        self.lock().apply(event, log)
    }

    /// Keeps the state as it is until the result is dropped.
    pub(super) fn lock(&self) -> LifeGuard<'_> {
        LifeGuard(self.life.lock())
    }
}

/// The state of the life cycle, locked.
pub(super) struct LifeGuard<'a>(Guard<'a, Life, MutexBackend>);

impl LifeGuard<'_> {
    /// The state.
    pub(super) fn get(&self) -> Life {
        *self.0
    }

    /// As [`LifeCycle::apply`].
    pub(super) fn apply(&mut self, event: LifeEvent, log: &Log) -> Result<Life> {
        match self.get().after(event) {
            Ok(next) => {
                *self.0 = next;
                Ok(next)
            }
            Err(illegal) => {
                dev_err!(log.device(), "illegal {illegal}: ignored\n");
                Err(protocol_error())
            }
        }
    }
}
