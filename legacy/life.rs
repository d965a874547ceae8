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
use crate::abstractions::{
    compat::protocol_error,
    virtio::{
        Frozen,
        Restored, //
    },
};

/// The state of the life cycle, and the virtio driver while it is frozen.
///
/// Its lock comes after that of the virtio device and before all others. It is held for a check
/// of the device, so that no sleep, reset or removal begins before it ends, and never while a
/// virtio driver is called or a reset is waited for.
#[pin_data]
pub(super) struct LifeCycle {
    #[pin]
    inner: Mutex<Inner>,
}

struct Inner {
    life: Life,
    /// The virtio driver, from its freeze until it is restored.
    frozen: Option<Frozen>,
}

impl LifeCycle {
    /// Starts with a new device.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- new_mutex!(Inner {
                life: Life::New,
                frozen: None,
            }),
        })
    }

    /// The state at the moment.
    pub(super) fn get(&self) -> Life {
        self.inner.lock().life
    }

    /// Goes to the state after `event`, and returns it.
    ///
    /// # Errors
    ///
    /// `EPROTO` (logged) if the event is illegal; the state stays.
    pub(super) fn apply(&self, event: LifeEvent, log: &Log) -> Result<Life> {
        self.lock().apply(event, log)
    }

    /// Keeps a virtio driver that was frozen, for [`LifeCycle::restore_driver`].
    pub(super) fn put_frozen(&self, frozen: Frozen) {
        self.inner.lock().frozen = Some(frozen);
    }

    /// Whether a virtio driver that was frozen is still bound.
    pub(super) fn has_frozen(&self) -> bool {
        self.inner
            .lock()
            .frozen
            .as_ref()
            .is_some_and(Frozen::is_bound)
    }

    /// Restores the virtio driver, if it is frozen.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if the state is not `expected`, or that of the virtio driver, which stays frozen.
    pub(super) fn restore_driver(&self, expected: Life) -> Result<Option<Restored>> {
        let mut inner = self.inner.lock();
        if inner.life != expected {
            return Err(EAGAIN);
        }
        let Some(frozen) = inner.frozen.take() else {
            return Ok(None);
        };
        // The lock is not held while the driver is called.
        drop(inner);
        frozen.restore().map(Some).map_err(|(error, frozen)| {
            self.put_frozen(frozen);
            error
        })
    }

    /// Keeps the state as it is until the result is dropped.
    pub(super) fn lock(&self) -> LifeGuard<'_> {
        LifeGuard(self.inner.lock())
    }
}

/// The state of the life cycle, locked.
pub(super) struct LifeGuard<'a>(Guard<'a, Inner, MutexBackend>);

impl LifeGuard<'_> {
    /// Whether [`LifeCycle::restore_driver`] has the virtio driver of a detached device restored at
    /// this moment.
    pub(super) fn is_restoring_late(&self) -> bool {
        self.get().frozen().is_some() && self.0.frozen.is_none()
    }

    /// The state.
    pub(super) fn get(&self) -> Life {
        self.0.life
    }

    /// As [`LifeCycle::apply`].
    pub(super) fn apply(&mut self, event: LifeEvent, log: &Log) -> Result<Life> {
        match self.get().after(event) {
            Ok(next) => {
                self.0.life = next;
                if event == LifeEvent::DriverRestored {
                    // One that has virtqueues is not restored again.
                    self.0.frozen.take().map(Frozen::into_restored);
                }
                Ok(next)
            }
            Err(illegal) => {
                dev_err!(log.device(), "illegal {illegal}: ignored\n");
                Err(protocol_error())
            }
        }
    }
}
