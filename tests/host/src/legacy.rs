// SPDX-License-Identifier: GPL-2.0

//! The files of `legacy/` that depend on `core` alone, as they are.

#[path = "../../../legacy/access.rs"]
pub(crate) mod access;
#[path = "../../../legacy/handshake.rs"]
pub(crate) mod handshake;
#[path = "../../../legacy/identity.rs"]
pub(crate) mod identity;
#[path = "../../../legacy/journal.rs"]
pub(crate) mod journal;
#[path = "../../../legacy/regs.rs"]
pub(crate) mod regs;
#[path = "../../../legacy/ring.rs"]
pub(crate) mod ring;
#[path = "../../../legacy/status.rs"]
pub(crate) mod status;
#[path = "../../../legacy/vectors.rs"]
pub(crate) mod vectors;
