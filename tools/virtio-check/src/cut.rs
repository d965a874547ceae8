// SPDX-License-Identifier: GPL-2.0

//! Cuts a trace to what its verdict needs.

use crate::access::{Access, Register, DRIVER_OK};
use crate::decode::Decoder;
use crate::places::{Places, Survey};
use crate::read::{self, Event, RawAccess, Region};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many accesses of a kind are kept while a device is live.
const KEPT: usize = 6;

/// What is known of a device while its trace is cut.
struct Device {
    decoder: Decoder,
    live: bool,
    /// How many accesses of a kind there were since the device is live.
    count: BTreeMap<(Register, bool), usize>,
    last: Option<Access>,
}

impl Device {
    /// Whether an access can tell anything that those before it do not.
    fn keeps(&mut self, access: &Access) -> bool {
        if access.writes(Register::Status) {
            self.live = access.status() & DRIVER_OK != 0;
            self.count.clear();
        }
        let again = self.last.as_ref().is_some_and(|last| last.same(access));
        let last = self.last.replace(access.clone());
        let is_polled = match access.register {
            Register::QueueNotify | Register::Isr | Register::Config(_) => true,
            Register::Status => !access.write,
            _ => false,
        };
        if self.live && is_polled {
            let kind = match access.register {
                Register::Config(_) => Register::Config(0),
                other => other,
            };
            let count = self.count.entry((kind, access.write)).or_default();
            *count += 1;
            return *count <= KEPT;
        }
        // Of a poll, the first two reads are enough.
        let polled = again && !access.write && last.is_some_and(|last| last.times > 1);
        if again {
            if let Some(last) = &mut self.last {
                last.times = 2;
            }
        }
        !polled
    }
}

/// Keeps the accesses of a QEMU trace without marks that its verdict needs, in QEMU's form.
///
/// Memory regions are numbered as they come, and timestamps are left out. What a driver does over
/// and over, as reading ISR or notifying a live virtqueue, is kept a few times only.
///
/// # Errors
///
/// The trace is broken.
pub fn cut(text: &str) -> Result<String> {
    let events = read::parse(text)?;
    let mut survey = Survey::default();
    events.iter().for_each(|event| survey.see(event));
    let places = Places::new(&[], &survey);
    let devices = places.devices.iter().map(|info| Device {
        decoder: Decoder::new(info.msix.unwrap_or_default()),
        live: false,
        count: BTreeMap::new(),
        last: None,
    });
    let mut devices: Vec<_> = devices.collect();
    let mut regions: Vec<Region> = Vec::new();
    let mut kept = String::new();
    for event in events {
        let Event::Access(access) = event else {
            continue;
        };
        let Some((at, offset)) = places.find(&access) else {
            continue;
        };
        let device = &mut devices[at];
        let decoded = device.decoder.decode(offset, &access);
        if device.keeps(&decoded) {
            line(&mut kept, &access, &mut regions);
        }
    }
    Ok(kept)
}

/// Writes an access as QEMU does, its region numbered.
pub(crate) fn line(kept: &mut String, access: &RawAccess, regions: &mut Vec<Region>) {
    let RawAccess {
        cpu,
        region,
        address,
        value,
        size,
        write,
        ..
    } = access;
    let known = regions.iter().position(|known| known == region);
    let region = known.unwrap_or_else(|| {
        regions.push(region.clone());
        regions.len() - 1
    });
    let region = 0x100 * (region + 1);
    let kind = if *write { "write" } else { "read" };
    let _ = writeln!(
        kept,
        "memory_region_ops_{kind} cpu {cpu} mr {region:#x} addr {address:#x} value {value:#x} \
         size {size} name 'virtio-pci'"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lane, Measure};

    fn trace(text: &str) -> String {
        let words = text.split_whitespace().map(|word| {
            let (kind, rest) = word.split_at(1);
            let (address, value) = rest.split_once('=').unwrap();
            let kind = if kind == "w" { "write" } else { "read" };
            format!(
                "1@2.5:memory_region_ops_{kind} cpu 0 mr 0x77 addr 0xc0{address} value {value} \
                 size 1 name 'virtio-pci'\n"
            )
        });
        words.collect()
    }

    #[test]
    fn polls_are_cut_and_the_verdict_stays() {
        let polls = "r13=0 w10=0 ".repeat(50);
        let reset = format!("w12=0 {} w12=1 w12=3 w12=7 {polls}", "r12=5 ".repeat(9));
        let whole = trace(&format!("{reset} w12=0 {reset}"));
        let cut = cut(&whole).unwrap();
        assert_eq!(cut.matches("addr 0xc012 value 5").count(), 0);
        assert_eq!(cut.matches("addr 0xc012 value 0x5").count(), 4);
        assert_eq!(cut.matches("addr 0xc013").count(), 2 * KEPT);
        assert_eq!(super::cut(&cut).unwrap(), cut);
        let measure = Measure::default();
        let outcomes = |text: &str| -> Vec<_> {
            let lane = Lane::of("lane", text.as_bytes(), &[]).unwrap();
            let results = measure.results(&lane, 0);
            results.iter().map(|j| (j.rule.id, j.outcome)).collect()
        };
        assert_eq!(outcomes(&whole), outcomes(&cut));
    }
}
