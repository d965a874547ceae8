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

use kernel::sync::SpinLockIrq;

impl<T: Unpin> super::command::Lock<T> for SpinLockIrq<T> {
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.lock())
    }
}
