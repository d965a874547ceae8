// SPDX-License-Identifier: GPL-2.0

//! A traced test run: for each device its accesses, phase by phase.

use crate::access::Access;
use crate::decode::Decoder;
use crate::phase::Phase;
use crate::places::{Places, Survey};
use crate::read::{Event, RawAccess, Reader, TraceFile};
use crate::sleep;
use anyhow::{bail, Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::Path;
use std::str::FromStr;

/// What the caller knows about a device.
///
/// A device whose BAR was at several places has several of these, all with its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// The name in tables, the same for both drivers.
    pub name: String,
    /// Where its legacy BAR begins.
    pub bar_base: u64,
    /// How long the BAR is.
    pub bar_len: u64,
    /// Whether the driver uses MSI-X; deduced from the accesses if not given.
    pub msix: Option<bool>,
    /// How many virtqueues there must be, if that is known.
    pub queues: Option<u16>,
}

impl FromStr for DeviceInfo {
    type Err = anyhow::Error;

    /// Reads `NAME=BASE+LENGTH`, with `:msix` or `:intx` behind it if that is known.
    fn from_str(text: &str) -> Result<Self> {
        let (name, rest) = text.split_once('=').context("no = in the device")?;
        let (place, msix) = match rest.split_once(':') {
            None => (rest, None),
            Some((place, "msix")) => (place, Some(true)),
            Some((place, "intx")) => (place, Some(false)),
            Some((_, mode)) => bail!("unknown mode {mode}"),
        };
        let (base, len) = place.split_once('+').context("no + in the device")?;
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        Ok(DeviceInfo {
            name: name.to_owned(),
            bar_base: number(base).context("base")?,
            bar_len: number(len).context("length")?,
            msix,
            queues: None,
        })
    }
}

/// One phase of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// What the guest did.
    pub phase: Phase,
    /// How many times the device had this phase before.
    pub round: usize,
    /// The accesses, oldest first.
    pub accesses: Vec<Access>,
}

/// All that was traced of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceTrace {
    /// The name in tables.
    pub name: String,
    /// Whether the driver uses MSI-X.
    pub msix: bool,
    /// How many virtqueues there must be, if that is known.
    pub queues: Option<u16>,
    /// Its phases, oldest first.
    pub segments: Vec<Segment>,
}

impl DeviceTrace {
    /// The phase of this kind and round.
    pub fn segment(&self, phase: Phase, round: usize) -> Option<&Segment> {
        self.segments
            .iter()
            .find(|s| s.phase == phase && s.round == round)
    }

    fn number_rounds(&mut self) {
        let mut rounds = BTreeMap::new();
        for segment in &mut self.segments {
            let round = rounds.entry(segment.phase).or_insert(0);
            segment.round = *round;
            *round += 1;
        }
    }
}

/// A test run with one driver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The devices, in the order in which they were named or seen.
    pub devices: Vec<DeviceTrace>,
}

impl Run {
    /// Reads a trace file; of lines that are no register accesses nothing is kept.
    pub fn load(path: &Path, devices: &[DeviceInfo]) -> Result<Run> {
        let file = TraceFile::open(path)?;
        let read = || -> Result<Run> {
            let survey = Survey::of(file.begin()?)?;
            Run::read(file.begin()?, devices, &survey)
        };
        read().with_context(|| path.display().to_string())
    }

    /// Reads a trace; what comes before the first mark is firmware's and left out.
    pub fn parse(text: &str, devices: &[DeviceInfo]) -> Result<Run> {
        let survey = Survey::of(text.as_bytes())?;
        Run::read(text.as_bytes(), devices, &survey)
    }

    fn read(input: impl Read, devices: &[DeviceInfo], survey: &Survey) -> Result<Run> {
        let places = Places::new(devices, survey);
        let mut phase = match survey.marked {
            true => Phase::Ignore,
            false => Phase::Between,
        };
        let mut gathered: Vec<Gathered> = places.devices.iter().map(Gathered::new).collect();
        gathered.iter_mut().for_each(|device| device.begin(phase));
        for event in Reader::new(BufReader::new(input))? {
            let access = match event? {
                Event::Mark(mark) => {
                    phase = mark;
                    gathered.iter_mut().for_each(|device| device.begin(phase));
                    continue;
                }
                Event::Access(access) if phase != Phase::Ignore => access,
                Event::Access(_) => continue,
            };
            if let Some(told) = access.phase.filter(|told| *told != phase) {
                phase = told;
                gathered.iter_mut().for_each(|device| device.begin(phase));
            }
            if let Some((device, offset)) = places.find(&access) {
                if let Some(device) = gathered.get_mut(device) {
                    device.push(offset, &access, !survey.marked);
                }
            }
        }
        let devices = places.devices.iter().zip(gathered);
        Ok(Run {
            devices: devices.map(|(info, device)| device.finish(info)).collect(),
        })
    }

    /// Puts the run of a later QEMU process behind this one, as after hibernation.
    pub fn join(mut self, later: Run) -> Result<Run> {
        for next in later.devices {
            let Some(device) = self.devices.iter_mut().find(|d| d.name == next.name) else {
                bail!("{} is only in the later trace", next.name);
            };
            device.segments.push(Segment {
                phase: Phase::PowerOn,
                round: 0,
                accesses: Vec::new(),
            });
            device.msix |= next.msix;
            device.segments.extend(next.segments);
            device.number_rounds();
        }
        Ok(self)
    }

    /// The device of this name.
    pub fn device(&self, name: &str) -> Option<&DeviceTrace> {
        self.devices.iter().find(|d| d.name == name)
    }
}

/// The accesses to a device, as they are read.
struct Gathered {
    decoder: Decoder,
    segments: Vec<Segment>,
}

impl Gathered {
    fn new(info: &DeviceInfo) -> Self {
        Self {
            decoder: Decoder::new(info.msix.unwrap_or_default()),
            segments: Vec::new(),
        }
    }

    fn begin(&mut self, phase: Phase) {
        self.segments.push(Segment {
            phase,
            round: 0,
            accesses: Vec::new(),
        });
    }

    /// Takes an access; one that only repeats the last one is counted if `polls` are.
    fn push(&mut self, offset: u64, raw: &RawAccess, polls: bool) {
        let access = self.decoder.decode(offset, raw);
        let Some(segment) = self.segments.last_mut() else {
            return;
        };
        match segment.accesses.last_mut() {
            Some(last) if polls && last.same(&access) && !access.is_reset() => {
                last.times += access.times;
            }
            _ => segment.accesses.push(access),
        }
    }

    fn finish(mut self, info: &DeviceInfo) -> DeviceTrace {
        self.segments.retain(|s| s.phase != Phase::Ignore);
        let mut trace = DeviceTrace {
            name: info.name.clone(),
            msix: info.msix.unwrap_or_default() && self.decoder.may_use_msix(),
            queues: info.queues,
            segments: sleep::split(self.segments),
        };
        trace.number_rounds();
        trace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Register;

    const READ_STATUS: (u64, u64) = (18, 0);

    fn line(region: u64, base: u64, (offset, value): (u64, u64)) -> String {
        format!(
            "memory_region_ops_read cpu 0 mr {region:#x} addr {:#x} value {value:#x} size 1 \
             name 'virtio-pci'\n",
            base + offset
        )
    }

    fn mark(phase: Phase) -> String {
        format!(
            "memory_region_ops_write cpu -1 mr 0x1 addr 0x80 value {:#x} size 1 \
             name 'ioport80'\n",
            phase.mark()
        )
    }

    fn named(name: &str, bar_base: u64) -> DeviceInfo {
        DeviceInfo {
            name: name.into(),
            bar_base,
            bar_len: 0x40,
            ..DeviceInfo::default()
        }
    }

    fn counts(run: &Run) -> Vec<(&str, usize)> {
        let count = |d: &DeviceTrace| d.segments.iter().map(|s| s.accesses.len()).sum();
        run.devices
            .iter()
            .map(|d| (d.name.as_str(), count(d)))
            .collect()
    }

    #[test]
    fn firmware_is_left_out_and_phases_are_numbered() {
        let access = line(1, 0xc000, READ_STATUS);
        let (probe, ignore) = (mark(Phase::Probe), mark(Phase::Ignore));
        let text = [&access, &probe, &access, &ignore, &access, &probe].map(String::as_str);
        let run = Run::parse(&text.concat(), &[named("blk", 0xc000)]).unwrap();
        assert_eq!(counts(&run), [("blk", 1)]);
        let rounds: Vec<_> = run.devices[0]
            .segments
            .iter()
            .map(|s| (s.phase, s.round))
            .collect();
        assert_eq!(rounds, [(Phase::Probe, 0), (Phase::Probe, 1)]);
    }

    #[test]
    fn a_bar_that_moves_stays_with_its_device() {
        let text = line(1, 0xc000, READ_STATUS) + &line(1, 0xd040, (18, 1));
        let given = Run::parse(&text, &[named("blk", 0xc000), named("blk", 0xd040)]).unwrap();
        assert_eq!(counts(&given), [("blk", 2)]);
        let deduced = Run::parse(&text, &[named("blk", 0xc000)]).unwrap();
        assert_eq!(counts(&deduced), [("blk", 2)]);
        assert_eq!(
            deduced.devices[0].segments[0].accesses[1].register,
            Register::Status
        );
    }

    #[test]
    fn devices_without_names_are_told_apart() {
        let text = line(1, 0xc000, READ_STATUS)
            + &line(2, 0xc020, READ_STATUS)
            + &line(1, 0xc000, (40, 0))
            + &line(3, 0xc000, READ_STATUS);
        let run = Run::parse(&text, &[]).unwrap();
        assert_eq!(counts(&run), [("device@c000", 3), ("device@c020", 1)]);
    }

    #[test]
    fn polls_are_counted_unless_phases_are_marked() {
        let polls = line(1, 0xc000, READ_STATUS).repeat(3);
        let times = |text: &str| -> Vec<u64> {
            let run = Run::parse(text, &[]).unwrap();
            let segments = run.devices[0].segments.iter();
            let accesses = segments.flat_map(|segment| &segment.accesses);
            accesses.map(|access| access.times).collect()
        };
        assert_eq!(times(&polls), [3]);
        assert_eq!(times(&(mark(Phase::Probe) + &polls)), [1, 1, 1]);
    }

    #[test]
    fn a_later_process_is_put_behind() {
        let text = mark(Phase::Probe) + &line(1, 0xc000, READ_STATUS);
        let run = || Run::parse(&text, &[named("blk", 0xc000)]).unwrap();
        let joined = run().join(run()).unwrap();
        let phases: Vec<_> = joined.devices[0]
            .segments
            .iter()
            .map(|s| (s.phase, s.round))
            .collect();
        assert_eq!(
            phases,
            [(Phase::Probe, 0), (Phase::PowerOn, 0), (Phase::Probe, 1)]
        );
        assert!(Run::default().join(run()).is_err());
    }
}
