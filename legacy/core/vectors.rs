// SPDX-License-Identifier: GPL-2.0

//! Interrupt policies: which virtqueue gets which MSI-X vector.
//!
//! C: `vp_find_vqs()` in drivers/virtio/virtio_pci_common.c, whose order this keeps. C's policy
//! between the first two, a shared vector for slow-path virtqueues, serves the admin virtqueue,
//! which the legacy interface lacks.

use core::fmt;

/// The register value for "no vector" (`VIRTIO_MSI_NO_VECTOR`).
pub(crate) const NO_VECTOR: u16 = 0xffff;

/// The vector for configuration changes, where there are vectors.
pub(crate) const CONFIG_VECTOR: u16 = 0;

/// The vector that all virtqueues share, where they share one.
pub(crate) const SHARED_VECTOR: u16 = 1;

/// The first vector of a virtqueue that does not share it.
const FIRST_OWN_VECTOR: u16 = 1;

/// The largest number of entries that an MSI-X table has.
const TABLE_MAX: u16 = 0x800;

/// How the virtqueues of a device interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// MSI-X: one vector for configuration changes and one for each virtqueue with a callback.
    PerQueue,
    /// MSI-X: one vector for configuration changes and one that all virtqueues share.
    Shared,
    /// The INTx line of the device, with a read of the ISR for each interrupt.
    Intx,
}

impl Policy {
    /// All policies, the best one first.
    pub(crate) const BEST_FIRST: [Self; 3] = [Self::PerQueue, Self::Shared, Self::Intx];

    /// The policies in the order in which they are tried: the one that is ready, if there is one,
    /// then all.
    pub(crate) fn in_order(ready: Option<Self>) -> impl Iterator<Item = Self> {
        ready.into_iter().chain(Self::BEST_FIRST)
    }

    /// Number of MSI-X vectors that `callbacks` virtqueues with a callback need.
    ///
    /// 0 means INTx. `None` if no MSI-X table has that many entries.
    pub(crate) fn vectors_needed(self, callbacks: usize) -> Option<u16> {
        match self {
            Self::PerQueue => u16::try_from(callbacks)
                .ok()
                .and_then(|callbacks| callbacks.checked_add(1))
                .filter(|&vectors| vectors <= TABLE_MAX),
            Self::Shared => Some(2),
            Self::Intx => Some(0),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PerQueue => "one MSI-X vector per virtqueue",
            Self::Shared => "one shared MSI-X vector",
            Self::Intx => "INTx",
        })
    }
}

/// Allocates vectors to the virtqueues of a device, in the order of their index.
pub(crate) struct VectorAllocator {
    policy: Policy,
    next: u16,
}

impl VectorAllocator {
    /// Starts with the first vector of `policy`.
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            next: FIRST_OWN_VECTOR,
        }
    }

    /// The vector of the next virtqueue; [`NO_VECTOR`] if it needs none, or if there are more
    /// virtqueues than [`Policy::vectors_needed`] allows.
    pub(crate) fn allocate(&mut self, has_callback: bool) -> u16 {
        match self.policy {
            _ if !has_callback => NO_VECTOR,
            Policy::PerQueue if self.next < TABLE_MAX => {
                let vector = self.next;
                self.next += 1;
                vector
            }
            Policy::PerQueue | Policy::Intx => NO_VECTOR,
            Policy::Shared => SHARED_VECTOR,
        }
    }
}
