// SPDX-License-Identifier: GPL-2.0

//! The COMMAND register of a PCI device, where a handler and other code change it.
//!
//! `pci_set_master()`, `pci_clear_master()` and `pci_intx()` read, modify and write the register
//! without a lock, which a handler that masks INTx may undo or have undone. Here one lock covers
//! each change and what is known of it.
//!
//! Upstream: `pci_intx()` and its like would take `pci_lock`, and this would go.
//!
//! The host tests check this file with loom.

use core::ops::DerefMut;

use super::sync::{
    AtomicFlag,
    Relaxed, //
};

/// The accesses to the register. Each may take several steps, which the lock makes one.
pub(crate) trait Register {
    /// Whether INTx is disabled, and whether the device may access memory.
    fn read(&self) -> Known;

    /// Enables or disables INTx.
    fn set_intx(&self, on: bool);

    /// Disables INTx if the device asserts it. Returns whether it did.
    fn mask_asserted_intx(&self) -> bool;

    /// Lets the device access memory, or keeps it from that.
    fn set_master(&self, on: bool);
}

/// A lock that a handler may take.
pub(crate) trait Lock<T> {
    /// Takes the lock, and gives what it protects.
    fn lock(&self) -> impl DerefMut<Target = T>;
}

/// What is known of the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whether INTx is disabled.
    pub(crate) intx_disabled: bool,
    /// Whether the device may access memory.
    pub(crate) master: bool,
}

impl Known {
    /// Of a device that is not enabled. Another driver may have left INTx disabled.
    pub(crate) const DISABLED: Self = Self {
        intx_disabled: true,
        master: false,
    };
}

/// The register with all that belongs to it.
pub(crate) struct Command<'a, R, L> {
    /// How it is accessed.
    pub(crate) register: R,
    /// What is known of it.
    pub(crate) known: &'a L,
    /// A copy of [`Known::intx_disabled`] for handlers, which take no lock to read it.
    pub(crate) intx_masked: &'a AtomicFlag,
}

impl<R: Register, L: Lock<Known>> Command<'_, R, L> {
    /// Records what the PCI core has made of the register. The device may not access memory
    /// before [`Command::set_master`].
    pub(crate) fn enabled(&self) {
        let mut known = self.known.lock();
        *known = self.register.read();
        if known.master {
            self.register.set_master(false);
            known.master = false;
        }
        self.intx_masked.store(known.intx_disabled, Relaxed);
    }

    /// Records what the PCI core has made of the register without this.
    pub(crate) fn refresh(&self) {
        let mut known = self.known.lock();
        *known = self.register.read();
        self.intx_masked.store(known.intx_disabled, Relaxed);
    }

    /// Records that another device is in the slot, which is left alone: handlers do so too.
    pub(crate) fn forget(&self) {
        let mut known = self.known.lock();
        known.master = false;
        self.note_intx(&mut known, true);
    }

    /// Records that the device is about to be disabled.
    pub(crate) fn disabled(&self) {
        self.known.lock().master = false;
    }

    /// Lets the device access memory, or keeps it from that.
    pub(crate) fn set_master(&self, on: bool) {
        let mut known = self.known.lock();
        if known.master != on {
            self.register.set_master(on);
            known.master = on;
        }
    }

    /// Masks or unmasks INTx.
    pub(crate) fn set_intx_masked(&self, masked: bool) {
        let mut known = self.known.lock();
        if known.intx_disabled != masked {
            self.register.set_intx(!masked);
            self.note_intx(&mut known, masked);
        }
    }

    /// Masks INTx if the device asserts it. Returns whether it did. For handlers.
    pub(crate) fn mask_asserted_intx(&self) -> bool {
        let mut known = self.known.lock();
        let asserted = self.register.mask_asserted_intx();
        if asserted {
            self.note_intx(&mut known, true);
        }
        asserted
    }

    fn note_intx(&self, known: &mut Known, masked: bool) {
        known.intx_disabled = masked;
        self.intx_masked.store(masked, Relaxed);
    }
}
