// SPDX-License-Identifier: GPL-2.0

//! Tests of the module's logic that needs no kernel.
//!
//! Without tests this crate is `no_std`, which shows that this logic depends on `core` alone.

#![cfg_attr(not(test), no_std)]

#[allow(
    dead_code,
    reason = "used by the parts of the module that need a kernel"
)]
#[path = "../../../legacy/core/mod.rs"]
mod legacy;

#[cfg(test)]
mod device;
#[cfg(test)]
mod size;

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod handshake_fault_tests;
#[cfg(test)]
mod handshake_tests;
#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod journal_tests;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod regs_tests;
#[cfg(test)]
mod ring_tests;
#[cfg(test)]
mod status_tests;
#[cfg(test)]
mod vectors_tests;
