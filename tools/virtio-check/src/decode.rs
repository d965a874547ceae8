// SPDX-License-Identifier: GPL-2.0

//! Gives raw accesses their register, which needs to know when MSI-X is enabled.

use std::collections::BTreeMap;

use crate::access::{Access, Register, NO_VECTOR};
use crate::read::RawAccess;

/// Where the vector of configuration changes is, while MSI-X is enabled.
pub(crate) const CONFIG_VECTOR: u64 = 20;
/// Where the vector of the selected virtqueue is, while MSI-X is enabled.
pub(crate) const QUEUE_VECTOR: u64 = 22;

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

/// Gives the accesses to one device their registers, one after the other.
///
/// The BAR does not show when the driver enables MSI-X, but the first vector that is written
/// does, and taking the configuration vector away, or a reset, is the last thing before it is
/// disabled. In between, the device configuration begins at 24, otherwise at 20. A driver may also
/// leave it enabled over a reset: then the next field that is read is what it was only at 24. A
/// vector reads as it was written, or as none: any other value is the device configuration, and the
/// driver takes MSI-X for enabled which is not.
#[derive(Default)]
pub(crate) struct Decoder {
    msix: bool,
    enabled: bool,
    ends: bool,
    left: bool,
    /// The vector that was written last, until the next access.
    written: Option<(u64, u64)>,
    known: Known,
}

impl Decoder {
    /// Begins with a device whose driver uses MSI-X, or does not.
    pub(crate) fn new(msix: bool) -> Decoder {
        Decoder {
            msix,
            ..Decoder::default()
        }
    }

    /// Whether the driver may use vectors: nothing has shown yet that there are none.
    pub(crate) fn may_use_msix(&self) -> bool {
        self.msix
    }

    /// Whether vectors are in use, as far as the accesses show.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The access at an offset of the BAR.
    pub(crate) fn decode(&mut self, offset: u64, raw: &RawAccess) -> Access {
        let vector = raw.size == 2 && matches!(offset, CONFIG_VECTOR | QUEUE_VECTOR);
        let read_back = self.ends && !raw.write && vector && offset == CONFIG_VECTOR;
        self.enabled &= !self.ends || read_back;
        self.ends = false;
        if self.msix && vector && raw.write {
            self.enabled = true;
            self.ends = offset == CONFIG_VECTOR && raw.value == u64::from(NO_VECTOR);
        }
        let at = |enabled| Register::at(offset, enabled);
        let guessed = self.left && !self.enabled && self.known.agrees(at(true), raw);
        if guessed && !self.known.agrees(at(false), raw) {
            self.enabled = true;
        }
        if let Some(told) = raw.msix {
            self.enabled = told;
        }
        let read_as = |vector| raw.value != vector && raw.value != u64::from(NO_VECTOR);
        let other = match self.written.take() {
            Some((at, vector)) if raw.size == 2 && !raw.write && at == offset => read_as(vector),
            _ => false,
        };
        let shows = vector && raw.write && raw.value != u64::from(NO_VECTOR);
        self.written = shows.then_some((offset, raw.value));
        let access = Access {
            line: raw.line,
            time: raw.time.clone(),
            cpu: raw.cpu,
            register: at(self.enabled),
            write: raw.write,
            size: raw.size,
            value: raw.value,
            times: 1,
        };
        if other && raw.msix.is_none() {
            // The access is what the driver takes it for.
            (self.msix, self.enabled) = (false, false);
        }
        self.known.learn(access.register, raw);
        if access.is_reset() || read_back {
            self.left |= self.enabled && !read_back;
            self.enabled = false;
        }
        access
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::Region;

    fn decode(accesses: &[(u64, RawAccess)], msix: bool) -> Vec<Register> {
        let mut decoder = Decoder::new(msix);
        let accesses = accesses.iter();
        accesses
            .map(|(offset, raw)| decoder.decode(*offset, raw).register)
            .collect()
    }

    fn raw(write: bool, size: u8, value: u64) -> RawAccess {
        RawAccess {
            line: 0,
            time: None,
            cpu: 0,
            region: Region::Ports,
            address: 0,
            value,
            size,
            write,
            msix: None,
            phase: None,
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
        let registers = decode(&accesses, true);
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
        let decoded = decode(&accesses, true);
        assert_eq!(decoded[2], Register::Config(4));
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
        let decoded = decode(&accesses, true);
        assert_eq!(decoded[6], Register::Config(4), "left enabled");
        assert_eq!(decoded[8], Register::Config(4), "disabled");
    }

    #[test]
    fn a_vector_that_reads_as_something_else_is_none() {
        let accesses = [
            (20, raw(true, 2, 0)),
            (20, raw(false, 2, 0x5452)),
            (20, raw(true, 2, u64::from(NO_VECTOR))),
            (24, raw(false, 2, 0x5634)),
        ];
        let registers = decode(&accesses, true);
        let expected = [
            Register::ConfigVector,
            Register::ConfigVector,
            Register::Config(0),
            Register::Config(4),
        ];
        assert_eq!(registers, expected);
        let refused = [
            (22, raw(true, 2, 1)),
            (22, raw(false, 2, u64::from(NO_VECTOR))),
            (22, raw(true, 2, 0)),
        ];
        assert_eq!(decode(&refused, true)[2], Register::QueueVector);
        let mut lie = raw(false, 2, 7);
        lie.msix = Some(true);
        let mut next = raw(true, 2, 0);
        next.msix = Some(true);
        let told = [(22, raw(true, 2, 1)), (22, lie), (22, next)];
        assert_eq!(decode(&told, true)[2], Register::QueueVector);
    }

    #[test]
    fn reads_in_16_bits_alone_are_of_the_configuration() {
        let accesses = [(20, raw(false, 2, 80)), (22, raw(false, 2, 25))];
        let registers = decode(&accesses, false);
        assert_eq!(registers, [Register::Config(0), Register::Config(2)]);
    }

    #[test]
    fn what_the_trace_tells_of_msix_is_believed() {
        let mut told = raw(false, 1, 0);
        told.msix = Some(true);
        assert_eq!(decode(&[(24, told.clone())], false), [Register::Config(0)]);
        told.msix = Some(false);
        let accesses = [(20, raw(true, 2, 0)), (24, told)];
        assert_eq!(decode(&accesses, true)[1], Register::Config(4));
    }
}
