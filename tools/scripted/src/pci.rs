// SPDX-License-Identifier: GPL-2.0

//! The PCI configuration space of the function.

use crate::function::Config;

/// The PCI vendor of virtio devices.
const VENDOR: u16 = 0x1af4;
/// Device ids from here on, with the device type added, are legacy virtio devices (virtio 1.4,
/// 4.1.2.3), but none of those that firmware drives.
const DEVICE: u16 = 0x1020;
/// Length in bytes of the configuration space.
pub(crate) const CONFIG_LEN: usize = 256;
/// Where the MSI-X capability is.
const MSIX: usize = 0x40;
/// Where the power management capability is.
const POWER: usize = 0x50;
/// The BAR with the table and the pending bits of MSI-X.
const MSIX_BAR: u32 = 1;
/// Where in that BAR the pending bits are.
const PENDING_AT: u32 = 0x800;

const COMMAND: usize = 0x04;
const COMMAND_MASTER: u16 = 1 << 2;
const STATUS: usize = 0x06;
const STATUS_CAPABILITIES: u16 = 1 << 4;
const INTERRUPT_PIN: usize = 0x3d;
const MSIX_ENABLE: u16 = 1 << 15;
const MSIX_MASK_ALL: u16 = 1 << 14;
const NO_SOFT_RESET: u16 = 1 << 3;
const D3: u16 = 3;

/// How BAR0, with the registers, is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// This many I/O ports.
    Ports(u64),
    /// This many bytes of memory.
    Memory(u64),
    /// There is none.
    None,
}

impl Bar {
    /// Its length in bytes.
    pub(crate) fn len(self) -> u64 {
        match self {
            Self::Ports(len) | Self::Memory(len) => len,
            Self::None => 0,
        }
    }
}

/// What the function says of D3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It has no power states.
    Unmanaged,
    /// It keeps its state in D3.
    KeepsState,
    /// It loses its state in D3, by which the PCI core can reset it.
    LosesState,
}

/// The PCI configuration space of the function.
pub(crate) struct ConfigSpace {
    bytes: [u8; CONFIG_LEN],
    vectors: u16,
}

impl ConfigSpace {
    /// A function that is as it is to be; without vectors there is no MSI-X capability.
    pub(crate) fn new(config: &Config) -> Self {
        let Config {
            kind,
            bar,
            vectors,
            power,
            ..
        } = config;
        let (bar, vectors, power) = (*bar, *vectors, *power);
        let mut space = Self {
            bytes: [0; CONFIG_LEN],
            vectors,
        };
        let device_type = kind.device_type();
        space.put(0x00, VENDOR);
        let id = match config.listed_id {
            true => kind.listed_id(),
            false => DEVICE + device_type,
        };
        space.put(0x02, id);
        space.put(0x0a, 0x00ff);
        space.bytes[0x0b] = 0xff;
        space.put(0x10, u16::from(matches!(bar, Bar::Ports(_))));
        space.put(0x2c, VENDOR);
        space.put(0x2e, device_type);
        space.bytes[INTERRUPT_PIN] = u8::from(config.has_pin);
        let mut last = 0x34;
        if vectors > 0 {
            space.link(&mut last, MSIX, 0x11);
            space.put(MSIX + 2, vectors - 1);
            space.put(MSIX + 4, MSIX_BAR as u16);
            space.put(MSIX + 8, (PENDING_AT | MSIX_BAR) as u16);
        }
        if power != Power::Unmanaged {
            space.link(&mut last, POWER, 0x01);
            space.put(POWER + 2, 3);
            if power == Power::KeepsState {
                space.put(POWER + 4, NO_SOFT_RESET);
            }
        }
        space
    }

    fn link(&mut self, last: &mut usize, at: usize, id: u8) {
        self.bytes[*last] = at as u8;
        self.bytes[at] = id;
        *last = at + 1;
        self.put(STATUS, STATUS_CAPABILITIES);
    }

    fn put(&mut self, at: usize, value: u16) {
        self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    fn get(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// Reads bytes; what is outside reads as zeros.
    pub(crate) fn read(&self, offset: u64, data: &mut [u8]) {
        let at = usize::try_from(offset).unwrap_or(CONFIG_LEN);
        for (byte, at) in data.iter_mut().zip(at..) {
            *byte = self.bytes.get(at).copied().unwrap_or(0);
        }
    }

    /// Writes what can be written: the command, MSI-X control, the power state. Whether the
    /// function comes back from D3 and has lost its state there.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> bool {
        let was_in_d3 = self.is_in_d3();
        let at = usize::try_from(offset).unwrap_or(CONFIG_LEN);
        for (&byte, at) in data.iter().zip(at..) {
            let mask = match at {
                0x04 | 0x05 | 0x3c => 0xff,
                _ if at == MSIX + 3 && self.vectors > 0 => {
                    ((MSIX_ENABLE | MSIX_MASK_ALL) >> 8) as u8
                }
                _ if at == POWER + 4 && self.bytes[POWER] != 0 => 0x03,
                _ => 0,
            };
            if let Some(old) = self.bytes.get_mut(at) {
                *old = *old & !mask | byte & mask;
            }
        }
        was_in_d3 && !self.is_in_d3() && self.get(POWER + 4) & NO_SOFT_RESET == 0
    }

    fn is_in_d3(&self) -> bool {
        self.bytes[POWER] != 0 && self.get(POWER + 4) & D3 == D3
    }

    /// Whether the function may access memory.
    pub(crate) fn is_master(&self) -> bool {
        self.get(COMMAND) & COMMAND_MASTER != 0
    }

    /// Whether MSI-X is enabled.
    pub(crate) fn has_msix_enabled(&self) -> bool {
        self.vectors > 0 && self.get(MSIX + 2) & MSIX_ENABLE != 0
    }

    /// What a reset of the function leaves.
    pub(crate) fn reset(&mut self) {
        self.put(COMMAND, 0);
        if self.vectors > 0 {
            self.put(MSIX + 2, self.vectors - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Kind;

    #[test]
    fn only_what_may_change_changes() {
        let mut space = ConfigSpace::new(&Config {
            power: Power::KeepsState,
            ..Config::new("rng", Kind::Rng, 2)
        });
        let before = space.bytes;
        space.write(0, &[0xff; 64]);
        let changed: Vec<_> = (0..64)
            .filter(|&at| space.bytes[at] != before[at])
            .collect();
        assert_eq!(changed, [0x04, 0x05, 0x3c]);
        assert!(space.is_master() && !space.has_msix_enabled());
        space.write(MSIX as u64 + 2, &[0xff, 0xff]);
        assert!(space.has_msix_enabled());
        assert_eq!(space.get(MSIX + 2) & 0x7ff, 1);
        space.reset();
        assert!(!space.is_master() && !space.has_msix_enabled());
    }

    #[test]
    fn only_a_function_that_loses_its_state_is_reset_by_d3() {
        for (power, is_reset) in [
            (Power::Unmanaged, false),
            (Power::KeepsState, false),
            (Power::LosesState, true),
        ] {
            let mut space = ConfigSpace::new(&Config {
                power,
                ..Config::new("rng", Kind::Rng, 2)
            });
            assert!(!space.write(POWER as u64 + 4, &[0x03, 0x00]));
            assert!(!space.write(0x04, &[0x07]));
            assert_eq!(space.write(POWER as u64 + 4, &[0x00, 0x00]), is_reset);
        }
    }

    #[test]
    fn the_identity_is_that_of_a_legacy_device() {
        let mut config = Config {
            bar: Bar::Memory(4096),
            ..Config::new("console", Kind::Console, 0)
        };
        let id = |config: &Config| {
            let mut id = [0; 4];
            ConfigSpace::new(config).read(0, &mut id);
            id
        };
        assert_eq!(id(&config), [0xf4, 0x1a, 0x23, 0x10]);
        config.listed_id = true;
        assert_eq!(id(&config), [0xf4, 0x1a, 0x03, 0x10]);
        let space = ConfigSpace::new(&config);
        assert_eq!(space.get(0x2e), 3);
        assert_eq!(space.bytes[0x10] & 1, 0);
        assert_eq!(space.get(STATUS), 0);
    }
}
