// SPDX-License-Identifier: GPL-2.0

//! A legacy virtio PCI function over vfio-user.
//!
//! QEMU's device `vfio-user-pci` connects to the socket of a [`Device`]. In strict mode
//! ([`Config::strict`]) the device holds its driver to each rule that can be seen from there; with
//! a script ([`Lie`]) it is not what it says, which its driver must survive.
//!
//! The guest's memory must be shared, and each write is to have arrived when the guest goes on:
//!
//! ```text
//! -machine pc,memory-backend=m -object memory-backend-memfd,id=m,size=256M,share=on
//! -device '{"driver":"vfio-user-pci","x-no-posted-writes":true,
//!           "socket":{"type":"unix","path":"SOCKET"}}'
//! ```

mod function;
#[cfg(test)]
mod function_tests;
mod interrupts;
mod lie;
mod log;
mod memory;
mod models;
mod oracle;
mod pci;
mod ring;
mod script;
mod server;

pub use function::Config;
pub use lie::{Deed, Lie, Target, Time};
pub use models::Kind;
pub use pci::{Bar, Power};
pub use script::Script;
pub use server::Device;
