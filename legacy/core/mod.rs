// SPDX-License-Identifier: GPL-2.0

//! The logic of the transport that needs no kernel.
//!
//! These files depend on the crate `core` alone; the host tests compile them as they are.

pub(crate) mod access;
pub(crate) mod handshake;
pub(crate) mod identity;
pub(crate) mod journal;
pub(crate) mod life;
pub(crate) mod regs;
pub(crate) mod ring;
pub(crate) mod status;
pub(crate) mod vectors;
