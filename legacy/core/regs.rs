// SPDX-License-Identifier: GPL-2.0

//! Registers of the legacy virtio PCI interface, at the start of BAR0.
//!
//! Virtio 1.4, 4.1.4.10 "Legacy Interfaces: A Note on PCI Device Layout"; names are those of
//! [`include/uapi/linux/virtio_pci.h`](srctree/include/uapi/linux/virtio_pci.h) without their
//! prefix. The registers are little-endian; the device configuration after them has the byte
//! order of the guest.

use core::marker::PhantomData;

/// A register at a fixed offset, accessed with the width of `W` and no other.
pub(crate) struct Register<W> {
    offset: u8,
    width: PhantomData<W>,
}

impl<W> Register<W> {
    const fn new(offset: u8) -> Self {
        Self {
            offset,
            width: PhantomData,
        }
    }

    /// Offset from the start of BAR0, in bytes.
    pub(crate) const fn offset(&self) -> usize {
        // CAST: `u8` to `usize` cannot lose anything; `usize::from` is not const.
        self.offset as usize
    }
}

/// Features that the device offers (read-only).
pub(crate) const HOST_FEATURES: Register<u32> = Register::new(0);
/// Features that the driver accepts.
pub(crate) const GUEST_FEATURES: Register<u32> = Register::new(4);
/// Physical address of the selected virtqueue, in pages of 4096 bytes; 0 is "not in use".
pub(crate) const QUEUE_PFN: Register<u32> = Register::new(8);
/// Size of the selected virtqueue, in entries; 0 is "there is none" (read-only).
pub(crate) const QUEUE_NUM: Register<u16> = Register::new(12);
/// Selects the virtqueue for the other queue registers.
pub(crate) const QUEUE_SEL: Register<u16> = Register::new(14);
/// Tells the device that a virtqueue has available buffers (write-only).
pub(crate) const QUEUE_NOTIFY: Register<u16> = Register::new(16);
/// The device status.
pub(crate) const STATUS: Register<u8> = Register::new(18);
/// Interrupt status; reading clears it (read-only).
pub(crate) const ISR: Register<u8> = Register::new(19);
/// MSI-X vector for configuration changes; there while MSI-X is enabled.
pub(crate) const MSI_CONFIG_VECTOR: Register<u16> = Register::new(20);
/// MSI-X vector of the selected virtqueue; there while MSI-X is enabled.
pub(crate) const MSI_QUEUE_VECTOR: Register<u16> = Register::new(22);

/// Bit of [`ISR`]: the device configuration has changed.
pub(crate) const ISR_CONFIG: u8 = 0x2;

/// What [`ISR`] reads as if no device answers; the device sets only the lowest two bits.
pub(crate) const ISR_GONE: u8 = 0xff;

/// Where the device configuration begins, in bytes from the start of BAR0.
pub(crate) const fn config_offset(msix_enabled: bool) -> usize {
    if msix_enabled {
        24
    } else {
        20
    }
}
