// SPDX-License-Identifier: GPL-2.0

//! The hardware of a device: its registers, whether they are accessed, and where they are.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Full,
            Relaxed, //
        },
        Arc, //
    }, //
};

use super::core::regs::{
    self,
    Register, //
};
use crate::abstractions::{
    compat::AtomicFlag,
    io::{
        Bar,
        Value, //
    },
    pci, //
};

/// The PCI device with its registers in BAR0.
pub(super) struct Hw {
    pci: Arc<pci::Device>,
    bar: Arc<Bar>,
    /// Whether registers are accessed.
    reachable: AtomicFlag,
    /// Whether register writes are held, because the first reset is not complete.
    writes_held: AtomicFlag,
    /// Whether MSI-X is enabled, which moves the device configuration.
    msix_enabled: AtomicFlag,
    /// Whether the ISR read as all ones since the last check; shared with the handler of INTx.
    isr_all_ones: Arc<AtomicFlag>,
}

impl Hw {
    /// Starts with a device whose registers are accessed.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(pci: Arc<pci::Device>, bar: Arc<Bar>) -> Result<Self> {
        Ok(Self {
            pci,
            bar,
            reachable: AtomicFlag::new(true),
            writes_held: AtomicFlag::new(false),
            msix_enabled: AtomicFlag::new(false),
            isr_all_ones: Arc::new(AtomicFlag::new(false), GFP_KERNEL)?,
        })
    }

    /// The PCI device.
    pub(super) fn pci(&self) -> &Arc<pci::Device> {
        &self.pci
    }

    /// BAR0.
    pub(super) fn bar(&self) -> &Arc<Bar> {
        &self.bar
    }

    /// Reads a register; `absent` is what it reads as when the device is detached.
    ///
    /// Probe has refused devices that lack a register.
    pub(super) fn read<T: Value>(&self, register: &Register<T>, absent: T) -> T {
        self.is_reachable()
            .then(|| self.bar.read(register.offset()))
            .flatten()
            .unwrap_or(absent)
    }

    /// Writes a register, unless the device is detached or is waited for. Returns whether it was
    /// written.
    pub(super) fn write<T: Value>(&self, register: &Register<T>, value: T) -> bool {
        let writable = self.is_reachable() && !self.writes_held.load(Relaxed);
        // Probe has refused devices that lack a register.
        writable && self.bar.write(register.offset(), value).is_some()
    }

    /// Whether registers are accessed.
    pub(super) fn is_reachable(&self) -> bool {
        self.reachable.load(Relaxed)
    }

    /// Ends all accesses to registers. Returns whether there were any.
    pub(super) fn detach(&self) -> bool {
        self.reachable.xchg(false, Full)
    }

    /// Allows register accesses again, for a device that gets another chance.
    pub(super) fn attach(&self) {
        self.reachable.store(true, Relaxed);
    }

    /// Whether the ISR read as all ones since this was asked last.
    pub(super) fn take_isr_all_ones(&self) -> bool {
        self.isr_all_ones.xchg(false, Full)
    }

    /// What the handler of INTx sets when the ISR reads as all ones.
    pub(super) fn isr_all_ones(&self) -> &Arc<AtomicFlag> {
        &self.isr_all_ones
    }

    /// Holds or releases register writes.
    pub(super) fn hold_writes(&self, held: bool) {
        self.writes_held.store(held, Relaxed);
    }

    /// Whether registers are not written.
    pub(super) fn holds_writes(&self) -> bool {
        self.writes_held.load(Relaxed)
    }

    /// Records whether MSI-X is enabled.
    pub(super) fn set_msix_enabled(&self, enabled: bool) {
        self.msix_enabled.store(enabled, Relaxed);
    }

    /// Whether the device configuration begins after the vector registers.
    pub(super) fn has_vector_registers(&self) -> bool {
        self.msix_enabled.load(Relaxed)
    }

    /// Where the device configuration begins in BAR0, in bytes.
    pub(super) fn config_offset(&self) -> usize {
        regs::config_offset(self.has_vector_registers())
    }
}
