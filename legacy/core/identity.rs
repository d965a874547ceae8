// SPDX-License-Identifier: GPL-2.0

//! Which devices this transport drives.
//!
//! Virtio 1.4, 4.1.2.3 "Legacy Interfaces: A Note on PCI Device Discovery".

use core::fmt;

/// PCI device ids of devices that have, or may have, a legacy interface.
const DEVICE_IDS: core::ops::RangeInclusive<u16> = 0x1000..=0x103f;

/// The PCI revision of the legacy interface (`VIRTIO_PCI_ABI_VERSION`).
const REVISION: u8 = 0;

/// What is known of a PCI device before its registers are mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// PCI device id.
    pub(crate) device: u16,
    /// PCI revision.
    pub(crate) revision: u8,
    /// Length of BAR0 in bytes, 0 if there is none.
    pub(crate) bar0_len: u64,
    /// Whether the device has an MSI-X capability, and with it two more registers.
    pub(crate) has_msix: bool,
    /// Whether the device has the capabilities of the modern interface.
    pub(crate) is_transitional: bool,
}

/// Why a device is left to other drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The device has no legacy interface.
    ModernOnly(u16),
    /// The device has another revision.
    Revision(u8),
    /// The device has the modern interface too, and is to be driven by that.
    Transitional,
    /// There is no BAR0.
    NoBar,
    /// BAR0 has not all registers.
    ShortBar {
        /// Length in bytes.
        len: u64,
        /// Length in bytes of all registers.
        needed: usize,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModernOnly(device) => {
                write!(f, "device id {device:#06x} has no legacy interface")
            }
            Self::Revision(revision) => {
                write!(
                    f,
                    "revision {revision:#04x}, the legacy interface has {REVISION:#04x}"
                )
            }
            Self::Transitional => f.write_str("transitional device, and transitional=0"),
            Self::NoBar => f.write_str("no BAR0"),
            Self::ShortBar { len, needed } => {
                write!(f, "BAR0 has {len} bytes, the registers need {needed}")
            }
        }
    }
}

/// Checks that a device is one for this transport; `transitional` tells whether it drives devices
/// that have the modern interface too.
pub(crate) fn check(identity: &Identity, transitional: bool) -> Result<(), Refusal> {
    let needed = super::regs::config_offset(identity.has_msix);
    if !DEVICE_IDS.contains(&identity.device) {
        Err(Refusal::ModernOnly(identity.device))
    } else if identity.revision != REVISION {
        Err(Refusal::Revision(identity.revision))
    } else if identity.is_transitional && !transitional {
        Err(Refusal::Transitional)
    } else if identity.bar0_len == 0 {
        Err(Refusal::NoBar)
    } else if usize::try_from(identity.bar0_len).is_ok_and(|len| len < needed) {
        Err(Refusal::ShortBar {
            len: identity.bar0_len,
            needed,
        })
    } else {
        Ok(())
    }
}
