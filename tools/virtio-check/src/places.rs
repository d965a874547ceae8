// SPDX-License-Identifier: GPL-2.0

//! Which device's BAR is where.

use crate::access::NO_VECTOR;
use crate::decode::{CONFIG_VECTOR, QUEUE_VECTOR};
use crate::read::{Event, RawAccess, Reader, Region};
use crate::run::DeviceInfo;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};

/// No legacy BAR is shorter, and each is aligned to its length.
const SHORTEST: u64 = 0x20;
/// Accesses that are farther apart are to a BAR that moved.
const FAR: u64 = 0x400;
/// No MSI-X table has more entries.
const VECTORS: u64 = 0x800;
/// How much of a region is remembered; only garbage has more.
const REMEMBERED: usize = 4096;

/// What a whole trace shows of where BARs are, before it is read again.
#[derive(Default)]
pub(crate) struct Survey {
    regions: BTreeMap<Region, Seen>,
    /// How many accesses and marks there are.
    pub(crate) events: u64,
    /// Whether phases are marked.
    pub(crate) marked: bool,
}

/// What was seen of a region.
#[derive(Default)]
struct Seen {
    /// The parts of [`SHORTEST`] bytes that were accessed.
    blocks: BTreeSet<u64>,
    /// Where 16 bits were written that may be a vector.
    vectors: BTreeSet<u64>,
}

impl Survey {
    /// Sees all events of a trace.
    pub(crate) fn of(input: impl Read) -> Result<Self> {
        let mut survey = Self::default();
        for event in Reader::new(BufReader::new(input))? {
            survey.see(&event?);
        }
        Ok(survey)
    }

    /// Sees the next event.
    pub(crate) fn see(&mut self, event: &Event) {
        self.events += 1;
        let Event::Access(access) = event else {
            self.marked = true;
            return;
        };
        let seen = self.regions.entry(access.region.clone()).or_default();
        if seen.blocks.len() < REMEMBERED {
            seen.blocks.insert(access.address / SHORTEST);
        }
        // No device has a field of 16 bits there that drivers write; a number of a vector is small.
        let number = access.value < VECTORS || access.value == u64::from(NO_VECTOR);
        let vector = access.write && access.size == 2 && number;
        if vector && seen.vectors.len() < REMEMBERED {
            seen.vectors.insert(access.address);
        }
    }

    /// Whether there are accesses to ports or memory, whose device must be told.
    pub(crate) fn has_bare_addresses(&self) -> bool {
        let mut regions = self.regions.keys();
        regions.any(|region| matches!(region, Region::Ports | Region::Memory))
    }
}

/// Which device's BAR is where.
pub(crate) struct Places {
    /// Each device once; whether it uses MSI-X is told or was found out.
    pub(crate) devices: Vec<DeviceInfo>,
    /// Device, base and length, as the caller gave them.
    given: Vec<(usize, u64, u64)>,
    /// The devices of regions.
    found: BTreeMap<Region, Found>,
}

/// The device of a region.
struct Found {
    device: usize,
    /// Where its BAR was, lowest first; it ends where the next one begins.
    bases: Vec<u64>,
    /// The length of the BAR, if the caller gave it; it moved away from where that was.
    length: Option<u64>,
}

impl Places {
    /// Places for what the caller told and what the trace shows.
    pub(crate) fn new(infos: &[DeviceInfo], survey: &Survey) -> Places {
        let mut places = Places {
            devices: Vec::new(),
            given: Vec::new(),
            found: BTreeMap::new(),
        };
        for info in infos {
            let device = places.device(&info.name);
            places.devices[device] = info.clone();
            places.given.push((device, info.bar_base, info.bar_len));
        }
        for (region, seen) in &survey.regions {
            places.find_region(region, seen);
        }
        for (region, seen) in &survey.regions {
            for address in &seen.vectors {
                let place = places.place(region, *address);
                if let Some((device, CONFIG_VECTOR | QUEUE_VECTOR)) = place {
                    places.devices[device].msix.get_or_insert(true);
                }
            }
        }
        places
    }

    /// The index of the device of this name, which is new if need be.
    fn device(&mut self, name: &str) -> usize {
        let known = self.devices.iter().position(|d| d.name == name);
        known.unwrap_or_else(|| {
            self.devices.push(DeviceInfo {
                name: name.to_owned(),
                ..DeviceInfo::default()
            });
            self.devices.len() - 1
        })
    }

    fn find_region(&mut self, region: &Region, seen: &Seen) {
        let found = match region {
            // Who is behind an address must be told.
            Region::Ports | Region::Memory => return,
            Region::Bar(name) => Found {
                device: self.device(name),
                bases: vec![0],
                length: None,
            },
            Region::Qemu(_) => {
                let mut told = seen.blocks.iter().map(|block| block * SHORTEST);
                let told = told.find_map(|address| {
                    let near = |&&(_, base, len): &&(usize, u64, u64)| {
                        address + SHORTEST > base && address < base.saturating_add(len)
                    };
                    self.given.iter().find(near).copied()
                });
                match told {
                    Some((device, base, length)) => Found {
                        device,
                        bases: vec![base],
                        length: Some(length),
                    },
                    None => self.by_address(seen),
                }
            }
        };
        self.found.insert(region.clone(), found);
    }

    /// A device that is named by where its BAR was first.
    fn by_address(&mut self, seen: &Seen) -> Found {
        let mut bases: Vec<u64> = Vec::new();
        let mut last = 0;
        for block in &seen.blocks {
            let address = block * SHORTEST;
            if bases.is_empty() || address - last > FAR {
                bases.push(address);
            }
            last = address;
        }
        let name = format!("device@{:x}", bases.first().copied().unwrap_or(0));
        Found {
            device: self.device(&name),
            bases,
            length: None,
        }
    }

    /// The device and the offset in its BAR.
    pub(crate) fn find(&self, access: &RawAccess) -> Option<(usize, u64)> {
        self.place(&access.region, access.address)
    }

    fn place(&self, region: &Region, address: u64) -> Option<(usize, u64)> {
        if !matches!(region, Region::Bar(_)) {
            let inside =
                |&&(_, base, len): &&(usize, u64, u64)| address >= base && address - base < len;
            if let Some(&(device, base, _)) = self.given.iter().find(inside) {
                return Some((device, address - base));
            }
        }
        let Found {
            device,
            bases,
            length,
        } = self.found.get(region)?;
        let offset = match length {
            Some(length) => address % (*length).max(1),
            None => address - bases.iter().rev().find(|base| **base <= address)?,
        };
        Some((*device, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(region: Region, address: u64, size: u8, write: bool) -> Event {
        Event::Access(RawAccess {
            line: 1,
            time: None,
            cpu: 0,
            region,
            address,
            value: 0,
            size,
            write,
            msix: None,
            phase: None,
        })
    }

    fn places(infos: &[&str], events: &[Event]) -> Places {
        let mut survey = Survey::default();
        events.iter().for_each(|event| survey.see(event));
        let infos: Vec<_> = infos.iter().map(|info| info.parse().unwrap()).collect();
        Places::new(&infos, &survey)
    }

    fn found<'a>(places: &'a Places, event: &Event) -> Option<(&'a str, u64)> {
        let Event::Access(access) = event else {
            return None;
        };
        let (device, offset) = places.find(access)?;
        Some((&places.devices[device].name, offset))
    }

    #[test]
    fn a_bar_may_move_while_firmware_looks_for_a_place() {
        let status = |address| access(Region::Qemu(7), address, 1, true);
        let events = [
            status(0xc012),
            status(0x6052),
            access(Region::Qemu(7), 0x60a0, 1, true),
        ];
        let places = places(&[], &events);
        assert_eq!(places.devices.len(), 1);
        assert_eq!(found(&places, &events[0]), Some(("device@6040", 0x12)));
        assert_eq!(found(&places, &events[1]), Some(("device@6040", 0x12)));
        assert_eq!(found(&places, &events[2]), Some(("device@6040", 0x60)));
    }

    #[test]
    fn addresses_belong_to_devices_that_were_told() {
        let events = [
            access(Region::Ports, 0xc012, 1, true),
            access(Region::Ports, 0x3f8, 1, true),
            access(Region::Memory, 0xfe00_0012, 1, true),
        ];
        let told = ["blk=0xc000+0x40", "net=0xfe000000+0x1000"];
        let places = places(&told, &events);
        assert_eq!(found(&places, &events[0]), Some(("blk", 0x12)));
        assert_eq!(found(&places, &events[1]), None);
        assert_eq!(found(&places, &events[2]), Some(("net", 0x12)));
    }

    #[test]
    fn vectors_tell_that_msix_is_used() {
        let msix = |offset, size, write| {
            let event = access(Region::Bar("blk".into()), offset, size, write);
            places(&[], &[event]).devices[0].msix
        };
        assert_eq!(msix(20, 2, true), Some(true));
        assert_eq!(msix(22, 2, true), Some(true));
        assert_eq!(msix(22, 2, false), None);
        assert_eq!(msix(22, 1, true), None);
        assert_eq!(msix(14, 2, true), None);
    }
}
