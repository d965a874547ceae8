// SPDX-License-Identifier: GPL-2.0

//! What [`super::command`] and [`super::shared`] synchronise with. The host tests have another
//! `sync`, on loom.

use core::ops::DerefMut;

pub(super) use core::cell::UnsafeCell;

pub(super) use kernel::sync::atomic::{
    Acquire,
    Relaxed,
    Release, //
};

pub(super) use super::compat::AtomicFlag;

use super::{
    command::Lock,
    compat::SpinLockIrq, //
};

impl<T: Unpin> Lock<T> for SpinLockIrq<T> {
    #[inline]
    fn lock(&self) -> impl DerefMut<Target = T> {
        SpinLockIrq::lock(self)
    }
}
