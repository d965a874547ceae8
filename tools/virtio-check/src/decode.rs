// SPDX-License-Identifier: GPL-2.0

//! Gives raw accesses their register, which needs to know when MSI-X is enabled.

use std::collections::BTreeMap;

use crate::access::{Access, Register, NO_VECTOR};
use crate::parse::RawAccess;

const CONFIG_VECTOR: u64 = 20;
const QUEUE_VECTOR: u64 = 22;

/// The device configuration, as far as it was read or written.
#[derive(Default)]
struct Known(BTreeMap<u16, u8>);

impl Known {
    fn bytes(offset: u16, raw: &RawAccess) -> impl Iterator<Item = (u16, u8)> {
        (offset..).zip(raw.value.to_le_bytes().into_iter().take(raw.size.into()))
    }

    fn learn(&mut self, register: Register, raw: &RawAccess) {
        if let Register::Config(offset) = register {
            self.0.extend(Self::bytes(offset, raw));
        }
    }

    /// Whether a read agrees with what is known of all that it would have read there.
    fn agrees(&self, register: Register, raw: &RawAccess) -> bool {
        match register {
            Register::Config(offset) if !raw.write => {
                Self::bytes(offset, raw).all(|(at, byte)| self.0.get(&at) == Some(&byte))
            }
            _ => false,
        }
    }
}

/// Whether a device's driver uses MSI-X: only vectors are written in 16 bits and read back.
pub(crate) fn uses_msix<'a>(accesses: impl Iterator<Item = (u64, &'a RawAccess)>) -> bool {
    let mut written = None;
    for (offset, access) in accesses {
        let vector = access.size == 2 && matches!(offset, CONFIG_VECTOR | QUEUE_VECTOR);
        if vector && !access.write && written == Some(offset) {
            return true;
        }
        written = (vector && access.write).then_some(offset);
    }
    false
}

/// Decodes the accesses of one device, given with their offsets in the BAR.
///
/// The BAR does not show when the driver enables MSI-X, but the first vector that is written
/// does, and taking the configuration vector away, or a reset, is the last thing before it is
/// disabled. In between, the device configuration begins at 24, otherwise at 20. A driver may also
/// leave it enabled over a reset: then the next field that is read is what it was only at 24.
pub(crate) fn decode<'a>(
    accesses: impl Iterator<Item = (u64, &'a RawAccess)>,
    msix: bool,
) -> Vec<Access> {
    let mut enabled = false;
    let mut ends = false;
    let mut left = false;
    let mut known = Known::default();
    accesses
        .map(|(offset, raw)| {
            let vector = raw.size == 2 && matches!(offset, CONFIG_VECTOR | QUEUE_VECTOR);
            let read_back = ends && !raw.write && vector && offset == CONFIG_VECTOR;
            enabled &= !ends || read_back;
            ends = false;
            if msix && vector && raw.write {
                enabled = true;
                ends = offset == CONFIG_VECTOR && raw.value == u64::from(NO_VECTOR);
            }
            let at = |enabled| Register::at(offset, enabled);
            if left && !enabled && known.agrees(at(true), raw) && !known.agrees(at(false), raw) {
                enabled = true;
            }
            let access = Access {
                line: raw.line,
                time: raw.time.clone(),
                cpu: raw.cpu,
                register: at(enabled),
                write: raw.write,
                size: raw.size,
                value: raw.value,
            };
            known.learn(access.register, raw);
            if access.is_reset() || read_back {
                left |= enabled && !read_back;
                enabled = false;
            }
            access
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(write: bool, size: u8, value: u64) -> RawAccess {
        RawAccess {
            line: 0,
            time: None,
            cpu: 0,
            region: 0,
            address: 0,
            value,
            size,
            write,
        }
    }

    #[test]
    fn the_configuration_moves_with_msix() {
        let none = u64::from(NO_VECTOR);
        let accesses = [
            (20, raw(false, 2, 80)),
            (20, raw(true, 2, 0)),
            (20, raw(false, 2, 0)),
            (24, raw(false, 4, 1)),
            (20, raw(true, 2, none)),
            (20, raw(false, 2, none)),
            (20, raw(false, 2, 80)),
            (22, raw(true, 2, 1)),
            (18, raw(true, 1, 0)),
            (24, raw(false, 4, 1)),
        ];
        let accesses = || accesses.iter().map(|(offset, raw)| (*offset, raw));
        assert!(uses_msix(accesses()));
        let registers: Vec<_> = decode(accesses(), true)
            .iter()
            .map(|a| a.register)
            .collect();
        let expected = [
            Register::Config(0),
            Register::ConfigVector,
            Register::ConfigVector,
            Register::Config(0),
            Register::ConfigVector,
            Register::ConfigVector,
            Register::Config(0),
            Register::QueueVector,
            Register::Status,
            Register::Config(4),
        ];
        assert_eq!(registers, expected);
    }

    #[test]
    fn taking_the_vector_away_without_reading_it_back_is_enough() {
        let accesses = [
            (20, raw(true, 2, 0)),
            (20, raw(true, 2, u64::from(NO_VECTOR))),
            (24, raw(false, 1, 1)),
        ];
        let accesses = accesses.iter().map(|(offset, raw)| (*offset, raw));
        let decoded = decode(accesses, true);
        assert_eq!(decoded[2].register, Register::Config(4));
    }

    #[test]
    fn msix_may_stay_enabled_over_a_reset() {
        let accesses = [
            (20, raw(true, 2, 0)),
            (24, raw(false, 2, 0x11)),
            (26, raw(false, 2, 0x22)),
            (28, raw(false, 2, 0x33)),
            (18, raw(true, 1, 0)),
            (18, raw(true, 1, 0)),
            (28, raw(false, 2, 0x33)),
            (18, raw(true, 1, 0)),
            (24, raw(false, 2, 0x33)),
        ];
        let accesses = accesses.iter().map(|(offset, raw)| (*offset, raw));
        let decoded = decode(accesses, true);
        assert_eq!(decoded[6].register, Register::Config(4), "left enabled");
        assert_eq!(decoded[8].register, Register::Config(4), "disabled");
    }

    #[test]
    fn reads_in_16_bits_alone_are_of_the_configuration() {
        let accesses = [(20, raw(false, 2, 80)), (22, raw(false, 2, 25))];
        let accesses = || accesses.iter().map(|(offset, raw)| (*offset, raw));
        assert!(!uses_msix(accesses()));
        let registers: Vec<_> = decode(accesses(), false)
            .iter()
            .map(|a| a.register)
            .collect();
        assert_eq!(registers, [Register::Config(0), Register::Config(2)]);
    }
}
