// SPDX-License-Identifier: GPL-2.0

//! QEMU's `memory_region_ops_read` and `memory_region_ops_write` as its `simple` backend writes
//! them: binary, with the names of the events in it (version 4, QEMU 2.11 and later).

use super::{in_region, size, Event, RawAccess, Region, LEGACY_REGION, MARK_REGIONS};
use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};

/// How a file begins: the id of the header, and the magic number.
pub(super) const BEGIN: [u8; 16] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xb4, 0x29, 0xa4, 0x0a, 0xcb, 0x77, 0xb1, 0xf2,
];
/// The version of the format.
const VERSION: u64 = 4;
/// The kinds of records.
const MAPPING: u64 = 0;
const EVENT: u64 = 1;
/// The id of a record that tells of others that were dropped.
const DROPPED: u64 = u64::MAX - 1;
/// No name of an event is longer, nor is any record.
const LONGEST: u64 = 1 << 16;
/// The header of an event: id, time, length, process.
const HEADER: u64 = 24;

/// What is known while records are read.
#[derive(Default)]
pub(super) struct Records {
    begun: bool,
    number: usize,
    /// Whether an event is a write, by its id.
    wanted: BTreeMap<u64, bool>,
    cut: bool,
}

/// The file ends in the midst of a record.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the file ends in the midst of a record")
    }
}

impl std::error::Error for Cut {}

impl Records {
    /// Whether the file ended in the midst of a record.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// The next event that matters here.
    pub(super) fn next(&mut self, input: &mut impl Read) -> Result<Option<Event>> {
        loop {
            match self.record(input) {
                Ok(Some(Some(event))) => return Ok(Some(event)),
                Ok(Some(None)) => {}
                Ok(None) => return Ok(None),
                Err(error) if error.is::<Cut>() => {
                    self.cut = true;
                    return Ok(None);
                }
                Err(error) => {
                    return Err(error.context(format!("trace line {} (record)", self.number)));
                }
            }
        }
    }

    /// Reads a record: none at the end, and an event if it is of one that matters.
    fn record(&mut self, input: &mut impl Read) -> Result<Option<Option<Event>>> {
        if !self.begun {
            let mut header = [0; BEGIN.len()];
            fill(input, &mut header)?;
            match number(input)? {
                VERSION => self.begun = true,
                other => bail!("version {other} of the simple backend's format; {VERSION} is read"),
            }
        }
        let mut kind = [0; 8];
        if !fill_or_end(input, &mut kind)? {
            return Ok(None);
        }
        self.number += 1;
        match u64::from_le_bytes(kind) {
            MAPPING => {
                let id = number(input)?;
                let name = string(input)?;
                match name.as_str() {
                    "memory_region_ops_write" => self.wanted.insert(id, true),
                    "memory_region_ops_read" => self.wanted.insert(id, false),
                    _ => None,
                };
                Ok(Some(None))
            }
            EVENT => self.event(input).map(Some),
            other => bail!("unknown kind of record {other}"),
        }
    }

    fn event(&mut self, input: &mut impl Read) -> Result<Option<Event>> {
        let id = number(input)?;
        let nanoseconds = number(input)?;
        let length = u64::from(word(input)?);
        let _process = word(input)?;
        if !(HEADER..=LONGEST).contains(&length) {
            bail!("a record of {length} bytes");
        }
        let mut rest = vec![0; usize::try_from(length - HEADER)?];
        fill(input, &mut rest)?;
        let (Some(&write), true) = (self.wanted.get(&id), id != DROPPED) else {
            return Ok(None);
        };
        let mut arguments = &rest[..];
        let arguments = &mut arguments;
        let mut next = || number(arguments).context("an argument is missing");
        let (cpu, region, address, value, width) = (next()?, next()?, next()?, next()?, next()?);
        let name = string(arguments).context("no region name")?;
        if name != LEGACY_REGION && !MARK_REGIONS.contains(&name.as_str()) {
            return Ok(None);
        }
        let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        let access = RawAccess {
            line: self.number,
            time: Some(format!("{seconds}.{rest:09}")),
            // As it was an int before it became 64 bits.
            cpu: cpu as u32 as i32,
            region: Region::Qemu(region),
            address,
            value,
            size: size(&width.to_string())?,
            write,
            msix: None,
            phase: None,
        };
        in_region(access, &name)
    }
}

fn fill(input: &mut impl Read, bytes: &mut [u8]) -> Result<()> {
    match input.read_exact(bytes) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => bail!(Cut),
        Err(error) => Err(error).context("cannot read the trace"),
    }
}

/// Whether there was anything before the end.
fn fill_or_end(input: &mut impl Read, bytes: &mut [u8]) -> Result<bool> {
    let (first, rest) = bytes.split_at_mut(1);
    match fill(input, first) {
        Ok(()) => fill(input, rest).map(|()| true),
        Err(error) if error.is::<Cut>() => Ok(false),
        Err(error) => Err(error),
    }
}

fn number(input: &mut impl Read) -> Result<u64> {
    let mut bytes = [0; 8];
    fill(input, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn word(input: &mut impl Read) -> Result<u32> {
    let mut bytes = [0; 4];
    fill(input, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn string(input: &mut impl Read) -> Result<String> {
    let length = word(input)?;
    if u64::from(length) > LONGEST {
        bail!("a name of {length} bytes");
    }
    let mut bytes = vec![0; usize::try_from(length)?];
    fill(input, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Reader;
    use super::*;
    use crate::phase::Phase;

    fn text(name: &str) -> Vec<u8> {
        let mut bytes = (name.len() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(name.as_bytes());
        bytes
    }

    fn mapping(id: u64, name: &str) -> Vec<u8> {
        [&MAPPING.to_le_bytes()[..], &id.to_le_bytes(), &text(name)].concat()
    }

    fn event(id: u64, numbers: [u64; 5], name: &str) -> Vec<u8> {
        let numbers: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let arguments = [numbers, text(name)].concat();
        let length = HEADER as u32 + arguments.len() as u32;
        let mut bytes = EVENT.to_le_bytes().to_vec();
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes.extend_from_slice(&1_500_000_000u64.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&7u32.to_le_bytes());
        bytes.extend_from_slice(&arguments);
        bytes
    }

    fn file() -> Vec<u8> {
        let mut bytes = BEGIN.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend(mapping(3, "virtio_notify"));
        bytes.extend(mapping(8, "memory_region_ops_write"));
        bytes.extend(event(8, [u64::MAX, 0x1, 0x80, 1, 1], "ioport80"));
        bytes.extend(event(3, [0; 5], ""));
        bytes.extend(event(8, [0, 0x7f, 0xc012, 3, 1], "virtio-pci"));
        bytes.extend(event(8, [0, 0x7f, 0xc012, 3, 1], "apic-msi"));
        bytes
    }

    #[test]
    fn events_are_found_by_their_names() {
        let events: Vec<_> = Reader::new(&file()[..])
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0], Event::Mark(Phase::Probe));
        let Event::Access(access) = &events[1] else {
            panic!("{events:?}");
        };
        assert_eq!((access.address, access.value, access.line), (0xc012, 3, 5));
        assert_eq!(access.time.as_deref(), Some("1.500000000"));
        assert!(access.write);
    }

    #[test]
    fn a_file_may_end_anywhere() {
        let whole = file();
        for end in BEGIN.len()..whole.len() {
            let mut reader = Reader::new(&whole[..end]).unwrap();
            assert!(reader.by_ref().all(|event| event.is_ok()), "{end}");
        }
    }

    #[test]
    fn other_versions_and_garbage_are_errors() {
        let mut other = file();
        other[16] = 3;
        let error = Reader::new(&other[..])
            .unwrap()
            .next()
            .unwrap()
            .unwrap_err();
        assert!(format!("{error:#}").contains("version 3"), "{error:#}");
        let mut garbage = file();
        garbage.extend_from_slice(&9u64.to_le_bytes());
        let last = Reader::new(&garbage[..]).unwrap().last().unwrap();
        let error = format!("{:#}", last.unwrap_err());
        assert!(error.contains("unknown kind of record 9"), "{error}");
    }
}
