// SPDX-License-Identifier: GPL-2.0

//! What the device knows after each access.

use crate::access::{Access, Register, NO_VECTOR};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A virtqueue as the device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct QueueState {
    /// The ring's page, 0 while the virtqueue is not live.
    #[serde(skip)]
    pub pfn: u32,
    /// Its vector.
    pub vector: u16,
}

/// The state that the driver has brought the device to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceState {
    /// The device status; none before the first write.
    pub status: Option<u8>,
    /// The accepted features.
    pub features: Option<u32>,
    /// The vector of configuration changes.
    pub config_vector: u16,
    /// The virtqueues that were touched since the reset.
    pub queues: BTreeMap<u16, QueueState>,
    /// Which virtqueue is selected, if it was since the reset.
    #[serde(skip)]
    pub selected: Option<u16>,
}

impl Default for DeviceState {
    fn default() -> Self {
        DeviceState {
            status: None,
            features: None,
            config_vector: NO_VECTOR,
            queues: BTreeMap::new(),
            selected: None,
        }
    }
}

impl DeviceState {
    /// Follows an access. As in QEMU, a ring address of 0 resets the whole device.
    pub fn apply(&mut self, access: &Access) {
        if !access.write {
            return;
        }
        let value = access.value;
        match access.register {
            Register::Status if value == 0 => self.reset(),
            Register::Status => self.status = Some(access.status()),
            Register::GuestFeatures => self.features = Some(value as u32),
            Register::ConfigVector => self.config_vector = value as u16,
            Register::QueueSel => self.selected = Some(value as u16),
            Register::QueuePfn if value == 0 => {
                let selected = self.selected;
                self.reset();
                self.selected = selected;
            }
            Register::QueuePfn => {
                if let Some(queue) = self.queue() {
                    queue.pfn = value as u32;
                }
            }
            Register::QueueVector => {
                if let Some(queue) = self.queue() {
                    queue.vector = value as u16;
                }
            }
            _ => {}
        }
    }

    /// Whether this virtqueue has a ring.
    pub fn is_live(&self, index: u16) -> bool {
        self.queues.get(&index).is_some_and(|q| q.pfn != 0)
    }

    /// How many virtqueues have a ring.
    pub fn live_queues(&self) -> usize {
        self.queues.values().filter(|q| q.pfn != 0).count()
    }

    fn reset(&mut self) {
        *self = DeviceState {
            status: Some(0),
            ..DeviceState::default()
        };
    }

    fn queue(&mut self) -> Option<&mut QueueState> {
        let index = self.selected?;
        Some(self.queues.entry(index).or_insert(QueueState {
            pfn: 0,
            vector: NO_VECTOR,
        }))
    }
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "status {status:#04x}")?,
            None => f.write_str("status unknown")?,
        }
        if let Some(features) = self.features {
            write!(f, ", features {features:#010x}")?;
        }
        if self.config_vector != NO_VECTOR {
            write!(f, ", config vector {}", self.config_vector)?;
        }
        for (index, queue) in &self.queues {
            match queue.pfn {
                0 if queue.vector == NO_VECTOR => continue,
                0 => write!(f, ", queue {index} dead")?,
                _ => write!(f, ", queue {index} live")?,
            }
            if queue.vector != NO_VECTOR {
                write!(f, " vector {}", queue.vector)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(writes: &[(Register, u64)]) -> DeviceState {
        let mut state = DeviceState::default();
        for &(register, value) in writes {
            state.apply(&Access {
                line: 0,
                time: None,
                cpu: 0,
                register,
                write: true,
                size: register.width().unwrap_or(1),
                value,
                times: 1,
            });
        }
        state
    }

    const LIVE: [(Register, u64); 8] = [
        (Register::Status, 0),
        (Register::Status, 3),
        (Register::GuestFeatures, 0x10),
        (Register::ConfigVector, 0),
        (Register::QueueSel, 2),
        (Register::QueuePfn, 0x1234),
        (Register::QueueVector, 1),
        (Register::Status, 7),
    ];

    #[test]
    fn what_the_driver_wrote_is_shown_without_ring_addresses() {
        let text = "status 0x07, features 0x00000010, config vector 0, queue 2 live vector 1";
        assert_eq!(after(&LIVE).to_string(), text);
        assert_eq!(DeviceState::default().to_string(), "status unknown");
    }

    #[test]
    fn a_reset_and_a_ring_address_of_0_drop_everything() {
        for last in [(Register::Status, 0), (Register::QueuePfn, 0)] {
            let writes: Vec<_> = LIVE.into_iter().chain([last]).collect();
            assert_eq!(after(&writes).to_string(), "status 0x00");
        }
    }

    #[test]
    fn reads_change_nothing() {
        let mut state = after(&LIVE);
        state.apply(&Access {
            line: 0,
            time: None,
            cpu: 0,
            register: Register::Status,
            write: false,
            size: 1,
            value: 0xff,
            times: 1,
        });
        assert_eq!(state, after(&LIVE));
    }
}
