// SPDX-License-Identifier: GPL-2.0

//! A register access with its meaning.

use anyhow::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The vector that stands for none.
pub const NO_VECTOR: u16 = 0xffff;
/// Device status: the guest has seen the device.
pub const ACKNOWLEDGE: u8 = 1;
/// Device status: the guest has a driver for it.
pub const DRIVER: u8 = 2;
/// Device status: the driver is ready.
pub const DRIVER_OK: u8 = 4;
/// Device status, not on the legacy interface: the features are accepted.
pub const FEATURES_OK: u8 = 8;
/// Device status, not on the legacy interface: the device has met an error.
pub const NEEDS_RESET: u8 = 0x40;
/// Device status: the driver has given up.
pub const FAILED: u8 = 0x80;

/// A device status and the names of its bits: `0x3 (ACKNOWLEDGE|DRIVER)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u8);

impl Status {
    /// The bits that have a name.
    pub const NAMED: [(u8, &str); 6] = [
        (ACKNOWLEDGE, "ACKNOWLEDGE"),
        (DRIVER, "DRIVER"),
        (DRIVER_OK, "DRIVER_OK"),
        (FEATURES_OK, "FEATURES_OK"),
        (NEEDS_RESET, "NEEDS_RESET"),
        (FAILED, "FAILED"),
    ];
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)?;
        let set = Self::NAMED.iter().filter(|(bit, _)| self.0 & bit != 0);
        let mut names: Vec<_> = set.map(|(_, name)| (*name).to_owned()).collect();
        let named = Self::NAMED.iter().fold(0, |all, (bit, _)| all | bit);
        if self.0 & !named != 0 {
            names.push(format!("{:#x}", self.0 & !named));
        }
        match names.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", names.join("|")),
        }
    }
}

/// The registers of the legacy interface, in the order of their offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Register {
    /// The features that the device offers.
    HostFeatures,
    /// The features that the driver accepts.
    GuestFeatures,
    /// The page of the selected virtqueue.
    QueuePfn,
    /// The size of the selected virtqueue.
    QueueNum,
    /// Which virtqueue is selected.
    QueueSel,
    /// A virtqueue has new buffers.
    QueueNotify,
    /// The device status.
    Status,
    /// The interrupt status.
    Isr,
    /// The MSI-X vector of configuration changes.
    ConfigVector,
    /// The MSI-X vector of the selected virtqueue.
    QueueVector,
    /// The device configuration, at this offset in it.
    Config(u16),
    /// An access that begins in a register but not at its start.
    Inside(u16),
}

impl Register {
    /// The registers with a name of their own.
    pub const NAMED: [Self; 10] = [
        Self::HostFeatures,
        Self::GuestFeatures,
        Self::QueuePfn,
        Self::QueueNum,
        Self::QueueSel,
        Self::QueueNotify,
        Self::Status,
        Self::Isr,
        Self::ConfigVector,
        Self::QueueVector,
    ];

    /// The register at an offset of the BAR.
    pub fn at(offset: u64, vectors: bool) -> Register {
        let offset = u16::try_from(offset).unwrap_or(u16::MAX);
        match offset {
            0 => Register::HostFeatures,
            4 => Register::GuestFeatures,
            8 => Register::QueuePfn,
            12 => Register::QueueNum,
            14 => Register::QueueSel,
            16 => Register::QueueNotify,
            18 => Register::Status,
            19 => Register::Isr,
            20 if vectors => Register::ConfigVector,
            22 if vectors => Register::QueueVector,
            24.. if vectors => Register::Config(offset - 24),
            20.. if !vectors => Register::Config(offset - 20),
            _ => Register::Inside(offset),
        }
    }

    /// The width in bytes; none for the device configuration.
    pub fn width(self) -> Option<u8> {
        match self {
            Register::HostFeatures | Register::GuestFeatures | Register::QueuePfn => Some(4),
            Register::QueueNum
            | Register::QueueSel
            | Register::QueueNotify
            | Register::ConfigVector
            | Register::QueueVector => Some(2),
            Register::Status | Register::Isr => Some(1),
            Register::Config(_) | Register::Inside(_) => None,
        }
    }

    /// Whether only the device may change it.
    pub fn is_read_only(self) -> bool {
        matches!(
            self,
            Register::HostFeatures | Register::QueueNum | Register::Isr
        )
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Register::HostFeatures => f.write_str("HOST_FEATURES"),
            Register::GuestFeatures => f.write_str("GUEST_FEATURES"),
            Register::QueuePfn => f.write_str("QUEUE_PFN"),
            Register::QueueNum => f.write_str("QUEUE_NUM"),
            Register::QueueSel => f.write_str("QUEUE_SEL"),
            Register::QueueNotify => f.write_str("QUEUE_NOTIFY"),
            Register::Status => f.write_str("STATUS"),
            Register::Isr => f.write_str("ISR"),
            Register::ConfigVector => f.write_str("CONFIG_VECTOR"),
            Register::QueueVector => f.write_str("QUEUE_VECTOR"),
            Register::Config(offset) => write!(f, "config+{offset}"),
            Register::Inside(offset) => write!(f, "inside+{offset}"),
        }
    }
}

impl FromStr for Register {
    type Err = Error;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(offset) = text.strip_prefix("config+") {
            return Ok(Self::Config(offset.parse()?));
        }
        if let Some(offset) = text.strip_prefix("inside+") {
            return Ok(Self::Inside(offset.parse()?));
        }
        let named = Self::NAMED.into_iter().find(|r| r.to_string() == text);
        named.with_context(|| format!("{text} is no register"))
    }
}

/// A number: hexadecimal if it begins with `0x`.
///
/// # Errors
///
/// It is none, or does not fit.
pub fn number(text: &str) -> Result<u64> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.with_context(|| format!("{text} is no number"))
}

/// One access to one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// The line in the trace file, from 1.
    pub line: usize,
    /// The timestamp as QEMU wrote it, if the trace has them.
    pub time: Option<String>,
    /// The virtual CPU.
    pub cpu: i32,
    /// What is accessed.
    pub register: Register,
    /// Whether it is a write.
    pub write: bool,
    /// Bytes.
    pub size: u8,
    /// The value read or written.
    pub value: u64,
    /// How often in a row it was made.
    #[serde(default = "once")]
    pub times: u64,
}

fn once() -> u64 {
    1
}

impl Access {
    /// Whether it is a write to this register.
    pub fn writes(&self, register: Register) -> bool {
        self.write && self.register == register
    }

    /// Whether it is the other one again.
    pub fn same(&self, other: &Access) -> bool {
        (self.register, self.write, self.size, self.value)
            == (other.register, other.write, other.size, other.value)
    }

    /// Whether it is a read of this register.
    pub fn reads(&self, register: Register) -> bool {
        !self.write && self.register == register
    }

    /// Whether it resets the device: 0 written to the status.
    pub fn is_reset(&self) -> bool {
        self.writes(Register::Status) && self.value == 0
    }

    /// Whether it is in the device configuration.
    pub fn is_config(&self) -> bool {
        matches!(self.register, Register::Config(_))
    }

    /// The value as a device status.
    pub fn status(&self) -> u8 {
        self.value as u8
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.write { "=" } else { "? " };
        write!(f, "{}{sign}", self.register)?;
        match (self.register, u8::try_from(self.value)) {
            (Register::Status, Ok(status)) => write!(f, "{}", Status(status))?,
            _ => write!(f, "{:#x}", self.value)?,
        }
        if self.register.width() != Some(self.size) {
            let bytes = if self.size == 1 { "byte" } else { "bytes" };
            write!(f, " ({} {bytes})", self.size)?;
        }
        if self.times > 1 {
            write!(f, " ×{}", self.times)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_shown_with_the_names_of_its_bits() {
        for (status, text) in [
            (0, "0x0"),
            (0x83, "0x83 (ACKNOWLEDGE|DRIVER|FAILED)"),
            (0x4c, "0x4c (DRIVER_OK|FEATURES_OK|NEEDS_RESET)"),
            (0x31, "0x31 (ACKNOWLEDGE|0x30)"),
        ] {
            assert_eq!(Status(status).to_string(), text);
        }
    }

    #[test]
    fn a_register_is_read_as_it_is_written() {
        let others = [Register::Config(8), Register::Inside(21)];
        for register in Register::NAMED.into_iter().chain(others) {
            assert_eq!(register.to_string().parse::<Register>().unwrap(), register);
        }
        for text in ["", "NOTHING", "config+", "config+x", "inside+-1"] {
            assert!(text.parse::<Register>().is_err(), "{text}");
        }
    }
}
