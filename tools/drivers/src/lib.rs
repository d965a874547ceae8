// SPDX-License-Identifier: GPL-2.0

//! What the legacy virtio drivers that packages bring do, as a matrix of drivers and rules.
//!
//! [`run`] starts each of them on QEMU and cuts what it traced; [`Matrix`] judges the cut traces,
//! which are kept in `fixtures/`, and [`page`] writes `docs/drivers.md` of them.

pub mod catalogue;
pub mod foreign;
pub mod guest;
mod initramfs;
mod matrix;
pub mod page;
pub mod picture;
pub mod run;

pub use matrix::{Cell, Column, Matrix};
