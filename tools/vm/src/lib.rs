// SPDX-License-Identifier: GPL-2.0

//! VMs for tests of a virtio transport: which machine, how it is booted, commanded and watched, and
//! how what comes of it is told. Nothing here knows a test.

pub mod accel;
pub mod channel;
pub mod driver;
pub mod evidence;
pub mod failure;
pub mod grade;
pub mod guest_program;
pub mod initramfs;
pub mod known;
pub mod ktap;
pub mod layout;
pub mod lines;
pub mod log_scan;
pub mod module;
pub mod names;
pub mod outputs;
pub mod qemu;
pub mod qmp;
pub mod races;
pub mod runner;
pub mod scripted_slot;
pub mod setup;
pub mod table;
pub mod terminal;
pub mod verdict;
mod vm;

pub use vm::{prepare, succeeded, Vm, BOOT, COMMAND};
