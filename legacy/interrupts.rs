// SPDX-License-Identifier: GPL-2.0

//! Interrupt handlers that are not those of a single virtqueue.
//!
//! C: `vp_config_changed()`, `vp_vring_interrupt()` and `vp_interrupt()`.

use kernel::sync::{
    aref::ARef,
    Arc, //
};

use super::regs;
use crate::abstractions::{
    io::Reader,
    irq::{
        Handler,
        IrqReturn, //
    },
    pci,
    virtio::{
        Callbacks,
        Device, //
    }, //
};

/// Handles the vector for configuration changes.
pub(super) struct ConfigChange {
    pub(super) device: ARef<Device>,
}

impl Handler for ConfigChange {
    type Lent = ();

    fn handle(&self, _lent: Option<&()>) -> IrqReturn {
        self.device.config_changed();
        IrqReturn::Handled
    }
}

/// Handles the vector that all virtqueues share.
pub(super) struct SharedVirtqueues;

impl Handler for SharedVirtqueues {
    type Lent = Callbacks;

    fn handle(&self, virtqueues: Option<&Callbacks>) -> IrqReturn {
        if virtqueues.is_some_and(Callbacks::interrupt) {
            IrqReturn::Handled
        } else {
            IrqReturn::None
        }
    }
}

/// Handles INTx.
pub(super) struct Intx {
    pub(super) pci: Arc<pci::Device>,
    /// Reading this register clears it, and with it the interrupt.
    pub(super) isr: Reader<u8>,
    pub(super) device: ARef<Device>,
}

impl Intx {
    /// Handles an interrupt of the line when no device answers at the registers.
    #[cold]
    fn handle_gone(&self) -> IrqReturn {
        // A device that only does not decode its ports may have interrupted. Its register cannot take
        // the interrupt back then, which would come for ever.
        let is_asserted = self.pci.check_and_mask_intx();
        // The check unmasks INTx if the device is there.
        self.device.check_soon();
        if is_asserted {
            IrqReturn::Handled
        } else {
            IrqReturn::None
        }
    }
}

impl Handler for Intx {
    type Lent = Callbacks;

    #[inline]
    fn handle(&self, virtqueues: Option<&Callbacks>) -> IrqReturn {
        if self.pci.intx_is_masked() {
            // Another device on the same line. This one may be asleep or disconnected, and is left
            // alone.
            return IrqReturn::None;
        }
        let isr = self.isr.read();
        if isr == 0 {
            // Another device on the same line.
            return IrqReturn::None;
        }
        if isr == regs::ISR_GONE {
            return self.handle_gone();
        }
        if isr & regs::ISR_CONFIG != 0 {
            self.device.config_changed();
        }
        if let Some(virtqueues) = virtqueues {
            virtqueues.interrupt();
        }
        IrqReturn::Handled
    }
}
