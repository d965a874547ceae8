// SPDX-License-Identifier: GPL-2.0

//! What the kernel crate does not have yet, in the shape in which it could go there.
//!
//! All unsafe code of this module is here. Nothing here knows a virtio status bit or a register of
//! the legacy interface.

pub(crate) mod clock;
mod command;
pub(crate) mod compat;
pub(crate) mod debugfs;
pub(crate) mod io;
pub(crate) mod irq;
pub(crate) mod pci;
pub(crate) mod pm;
mod shared;
mod sync;
pub(crate) mod virtio;
