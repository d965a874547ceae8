// SPDX-License-Identifier: GPL-2.0

//! Size and place of a virtqueue's ring, as the legacy interface wants them.
//!
//! Virtio 1.4, 2.7.2 "Legacy Interfaces: A Note on Virtqueue Layout" and 4.1.5.1.3.1.

use core::fmt;

/// Rings are aligned to this many bytes (`VIRTIO_PCI_VRING_ALIGN`).
pub(crate) const ALIGN: u32 = 4096;

/// The page of a page frame number has `1 << PFN_SHIFT` bytes (`VIRTIO_PCI_QUEUE_ADDR_SHIFT`),
/// whatever the page size of the kernel is.
const PFN_SHIFT: u32 = 12;

/// Why a virtqueue cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RingError {
    /// The device has no such virtqueue.
    Absent,
    /// The size is not a power of two.
    BadSize(u16),
    /// The device says that the virtqueue is in use.
    InUse(u32),
    /// The ring is not aligned, at address 0, or ends above what a page frame number can reach.
    BadAddress {
        /// DMA address of the ring.
        start: u64,
        /// DMA address of its last byte.
        last: u64,
    },
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("the device does not have it"),
            Self::BadSize(num) => write!(f, "size {num} is not a power of 2"),
            Self::InUse(pfn) => write!(f, "already in use, QUEUE_PFN {pfn:#x}"),
            Self::BadAddress { start, last } => write!(
                f,
                "ring at {start:#x}-{last:#x}, a legacy device reaches {ALIGN:#x}-{:#x}, \
                 aligned to {ALIGN:#x}",
                (1u64 << (32 + PFN_SHIFT)) - 1,
            ),
        }
    }
}

/// Checks the size in entries that the device gives for a virtqueue.
pub(crate) fn check_size(num: u16) -> Result<(), RingError> {
    match num {
        0 => Err(RingError::Absent),
        num if !num.is_power_of_two() => Err(RingError::BadSize(num)),
        _ => Ok(()),
    }
}

/// Checks the page frame number that the device gives for a virtqueue before it is set up.
pub(crate) fn check_unused(pfn: u32) -> Result<(), RingError> {
    match pfn {
        0 => Ok(()),
        pfn => Err(RingError::InUse(pfn)),
    }
}

/// Length in bytes of a ring with `num` entries (`vring_size()`).
const fn ring_len(num: u16) -> u64 {
    // CAST: both widen; `u64::from` is not const.
    let (num, align) = (num as u64, ALIGN as u64);
    let descriptors = 16 * num;
    let available = 2 * (3 + num);
    let used = 2 * 3 + 8 * num;
    (descriptors + available).next_multiple_of(align) + used
}

/// Page frame number of a ring with `num` entries at the DMA address `start`.
pub(crate) fn pfn(start: u64, num: u16) -> Result<u32, RingError> {
    let last = start.saturating_add(ring_len(num) - 1);
    let error = RingError::BadAddress { start, last };
    let fits = start % u64::from(ALIGN) == 0 && u32::try_from(last >> PFN_SHIFT).is_ok();
    match u32::try_from(start >> PFN_SHIFT) {
        // A page frame number of 0 takes a virtqueue out of use.
        Ok(pfn) if fits && pfn != 0 => Ok(pfn),
        _ => Err(error),
    }
}
