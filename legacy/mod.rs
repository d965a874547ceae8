// SPDX-License-Identifier: GPL-2.0

//! The legacy virtio PCI transport.
//!
//! C: drivers/virtio/virtio_pci_common.c, virtio_pci_legacy.c and virtio_pci_legacy_dev.c.
//!
//! What needs no kernel ([`access`], [`handshake`], [`identity`], [`journal`], [`regs`], [`ring`],
//! [`status`], [`vectors`]) depends on `core` alone, so that tests on the host compile it as it is.

#![forbid(unsafe_code)]

mod access;
mod config;
mod counters;
mod debugfs;
mod driver;
mod features;
mod handshake;
mod identity;
mod interrupts;
pub(crate) mod journal;
mod lint;
mod messages;
mod power;
mod queues;
mod regs;
mod ring;
mod status;
mod transport;
mod vectors;
mod watchdog;
mod wiring;

pub(crate) use self::driver::Legacy;
