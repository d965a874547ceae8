// SPDX-License-Identifier: GPL-2.0

//! The legacy virtio PCI transport.
//!
//! C: drivers/virtio/virtio_pci_common.c, virtio_pci_legacy.c and virtio_pci_legacy_dev.c.
//!
//! - [`core`]: logic that needs no kernel.
//! - [`hw`], [`log`], [`life`], [`state`], [`queues`], [`irqs`], [`config`], [`lint`],
//!   [`counters`]: the parts of a device, each with its own state.
//! - [`device`]: composes them.
//! - [`negotiate`], [`vqs`], [`recovery`], [`pm`]: what is done with a device. [`quirks`]: what is
//!   known of virtio drivers.
//! - [`ops`], [`driver`], [`debugfs`]: the ways in, from the virtio core, the PCI core and user
//!   space.

#![forbid(unsafe_code)]

mod config;
pub(crate) mod core;
mod counters;
mod debugfs;
mod device;
mod driver;
mod hw;
mod irqs;
mod life;
mod lint;
mod log;
mod messages;
mod negotiate;
mod ops;
mod pm;
mod queues;
mod quirks;
mod recovery;
mod state;
mod vqs;

pub(crate) use self::driver::Legacy;
#[cfg(CONFIG_KUNIT = "y")]
pub(crate) use self::log::empty_entries;
