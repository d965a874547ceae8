// SPDX-License-Identifier: GPL-2.0

//! What [`super::command`] and [`super::shared`] synchronise with. The host tests have another
//! `sync`, on loom.

pub(super) use core::cell::UnsafeCell;

pub(super) use kernel::sync::atomic::{
    Acquire,
    AtomicFlag,
    Relaxed,
    Release, //
};

use kernel::{
    bindings,
    prelude::*,
    static_lock_class,
    types::Opaque, //
};

use super::{
    command::Lock,
    compat::with_lock_irq, //
};

/// A spinlock that handlers take as well. From 7.3 on, the crate's `SpinLockIrq` would do.
///
/// # Invariants
///
/// `lock` is initialised, and held while `data` is used.
#[pin_data]
pub(super) struct IrqLock<T> {
    #[pin]
    lock: Opaque<bindings::spinlock_t>,
    data: UnsafeCell<T>,
}

// SAFETY: By the type invariant, the data are used by one thread or handler at a time.
unsafe impl<T: Send> Sync for IrqLock<T> {}

impl<T> IrqLock<T> {
    /// A lock that protects `data`.
    pub(super) fn new(data: T) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: The function initialises the lock, whose name and class are static.
            lock <- Opaque::ffi_init(|lock| unsafe {
                bindings::__spin_lock_init(
                    lock,
                    c"virtio_pci_rs_irq_lock".as_char_ptr(),
                    static_lock_class!().as_ptr(),
                )
            }),
            data: UnsafeCell::new(data),
        })
    }
}

impl<T> Lock<T> for IrqLock<T> {
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: By the type invariant, the lock is initialised. `f` cannot take it again, since
        // the data it protects know nothing of it.
        unsafe {
            with_lock_irq(self.lock.get(), || {
                // SAFETY: The lock is held, so nothing else uses the data.
                f(&mut *self.data.get())
            })
        }
    }
}
