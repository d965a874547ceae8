// SPDX-License-Identifier: GPL-2.0

//! The device status, and which writes of it the legacy interface allows.
//!
//! Virtio 1.4, 2.1 "Device Status Field" and 3.1.2 "Legacy Interface: Device Initialization";
//! bits as in [`include/uapi/linux/virtio_config.h`](srctree/include/uapi/linux/virtio_config.h).

use core::fmt;

/// A value of the device status register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(u8);

impl Status {
    /// After a reset.
    pub(crate) const RESET: Self = Self(0x00);
    /// The device has been noticed.
    pub(crate) const ACKNOWLEDGE: Self = Self(0x01);
    /// A driver for it has been found.
    pub(crate) const DRIVER: Self = Self(0x02);
    /// The driver is ready.
    pub(crate) const DRIVER_OK: Self = Self(0x04);
    /// Modern devices only: feature negotiation is complete.
    const FEATURES_OK: Self = Self(0x08);
    /// The device itself asks for a reset.
    pub(crate) const NEEDS_RESET: Self = Self(0x40);
    /// The driver has given up on the device.
    pub(crate) const FAILED: Self = Self(0x80);
    /// What a device that is gone, or whose I/O is not decoded, reads as.
    pub(crate) const GONE: Self = Self(0xff);

    /// Bits that a driver may add on the legacy interface, and those that the device may have.
    const KNOWN: u8 = Self::ACKNOWLEDGE.0
        | Self::DRIVER.0
        | Self::DRIVER_OK.0
        | Self::NEEDS_RESET.0
        | Self::FAILED.0;

    const NAMES: &'static [(Self, &'static str)] = &[
        (Self::ACKNOWLEDGE, "ACKNOWLEDGE"),
        (Self::DRIVER, "DRIVER"),
        (Self::DRIVER_OK, "DRIVER_OK"),
        (Self::FEATURES_OK, "FEATURES_OK"),
        (Self::NEEDS_RESET, "NEEDS_RESET"),
        (Self::FAILED, "FAILED"),
    ];

    /// The status that the register value `raw` stands for.
    pub(crate) const fn from_raw(raw: u8) -> Self {
        Self(raw)
    }

    /// The value for the register.
    pub(crate) const fn raw(self) -> u8 {
        self.0
    }

    /// Whether all bits of `other` are set.
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    pub(crate) const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What to make of this status when the device gives it and `written` was written last.
    ///
    /// Only the device sets NEEDS_RESET, and both sides set FAILED. Any other unwritten bit is
    /// bogus; masking it avoids virtio core warnings.
    pub(crate) const fn mask_unwritten(self, written: Self) -> Self {
        Self(self.0 & (written.0 | Self::NEEDS_RESET.0 | Self::FAILED.0))
    }

    /// This status with the bits of `other` added.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)?;
        if *self == Self::GONE {
            return f.write_str(" (all ones: no device answers)");
        }
        let mut separator = " (";
        for &(bit, name) in Self::NAMES {
            if self.contains(bit) {
                write!(f, "{separator}{name}")?;
                separator = "|";
            }
        }
        if separator == "|" {
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// Why a status is not written to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// A status of 0 is a reset, which has an operation of its own.
    Zero,
    /// The new status was made from one that no device answered with.
    Gone,
    /// Only a reset clears bits; the device was reset behind the driver's back.
    ClearsBits,
    /// The bit does not exist on the legacy interface.
    UnknownBit,
    /// DRIVER is set without ACKNOWLEDGE.
    DriverBeforeAcknowledge,
    /// DRIVER_OK is set without DRIVER.
    LiveBeforeDriver,
    /// DRIVER_OK is set before the features are accepted.
    LiveBeforeFeatures,
}

/// What each [`WriteError`] says, in their order.
const WRITE_ERRORS: [&str; WriteError::LiveBeforeFeatures as usize + 1] = [
    "a status of 0 is a reset",
    "no device answers",
    "only a reset clears status bits",
    "not a status bit of the legacy interface",
    "DRIVER before ACKNOWLEDGE",
    "DRIVER_OK before DRIVER",
    "DRIVER_OK before the features are accepted",
];

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // CAST: The number of a variant.
        f.write_str(WRITE_ERRORS.get(*self as usize).unwrap_or(&""))
    }
}

/// Checks that `wanted` may follow `current`, the status that was written last.
///
/// FAILED may be added at any time; a device that failed before a freeze goes through the whole
/// handshake with it. `features_accepted` tells whether the features were written since the last
/// reset.
pub(crate) fn check_write(
    current: Status,
    features_accepted: bool,
    wanted: Status,
) -> Result<(), WriteError> {
    let added = wanted.0 & !current.0;
    if wanted == Status::RESET {
        Err(WriteError::Zero)
    } else if wanted == Status::GONE {
        Err(WriteError::Gone)
    } else if !wanted.contains(current) {
        Err(WriteError::ClearsBits)
    } else if added & !Status::KNOWN != 0 {
        Err(WriteError::UnknownBit)
    } else if added & Status::DRIVER.0 != 0 && !wanted.contains(Status::ACKNOWLEDGE) {
        Err(WriteError::DriverBeforeAcknowledge)
    } else if added & Status::DRIVER_OK.0 != 0 && !wanted.contains(Status::DRIVER) {
        Err(WriteError::LiveBeforeDriver)
    } else if added & Status::DRIVER_OK.0 != 0 && !features_accepted {
        Err(WriteError::LiveBeforeFeatures)
    } else {
        Ok(())
    }
}

/// The status to write after `current` when the virtio core asks for `wanted`.
///
/// As [`check_write`], but FAILED is added also to a device that has lost its other bits, by what
/// is known of them.
pub(crate) fn next_status(
    current: Status,
    features_accepted: bool,
    wanted: Status,
) -> Result<Status, WriteError> {
    match check_write(current, features_accepted, wanted) {
        Ok(()) => Ok(wanted),
        Err(WriteError::ClearsBits)
            if wanted.contains(Status::FAILED) && !current.contains(Status::FAILED) =>
        {
            Ok(current.with(Status::FAILED))
        }
        Err(error) => Err(error),
    }
}
