// SPDX-License-Identifier: GPL-2.0

//! Reads the trace files of QEMU's `log` backend.

use crate::phase::{Phase, MARK_PORT};
use anyhow::{anyhow, Context, Result};

/// The name of the legacy BAR's memory region in QEMU.
const LEGACY_REGION: &str = "virtio-pci";

/// An access to some device's legacy BAR, not yet decoded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawAccess {
    /// The line in the trace file, from 1.
    pub(crate) line: usize,
    /// The timestamp as QEMU wrote it, if the trace has them.
    pub(crate) time: Option<String>,
    /// The virtual CPU.
    pub(crate) cpu: i32,
    /// The memory region, which stays the same when the BAR moves.
    pub(crate) region: u64,
    /// The absolute port or address.
    pub(crate) address: u64,
    /// The value read or written.
    pub(crate) value: u64,
    /// Bytes.
    pub(crate) size: u8,
    /// Whether it is a write.
    pub(crate) write: bool,
}

/// What a trace file holds that matters here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// A register access.
    Access(RawAccess),
    /// The beginning of a phase.
    Mark(Phase),
}

/// Parses a whole trace; lines of other events are skipped.
pub(crate) fn parse(text: &str) -> Result<Vec<Event>> {
    text.lines()
        .enumerate()
        .filter_map(|(n, line)| {
            parse_line(n + 1, line)
                .with_context(|| format!("trace line {}: {line}", n + 1))
                .transpose()
        })
        .collect()
}

fn parse_line(number: usize, line: &str) -> Result<Option<Event>> {
    let Some(start) = line.find("memory_region_ops_") else {
        return Ok(None);
    };
    let (prefix, event) = line.split_at(start);
    let mut words = event.split_whitespace();
    let write = match words.next() {
        Some("memory_region_ops_write") => true,
        Some("memory_region_ops_read") => false,
        _ => return Ok(None),
    };
    let name = event
        .split_once("name '")
        .and_then(|(_, rest)| rest.strip_suffix('\''))
        .ok_or_else(|| anyhow!("no region name"))?;
    if name != LEGACY_REGION && name != "ioport80" {
        return Ok(None);
    }
    let mut field = |key: &str| -> Result<&str> {
        match (words.next(), words.next()) {
            (Some(found), Some(value)) if found == key => Ok(value),
            _ => Err(anyhow!("no {key}")),
        }
    };
    let cpu: i32 = field("cpu")?.parse().context("cpu")?;
    let region = hex(field("mr")?)?;
    let address = hex(field("addr")?)?;
    let value = hex(field("value")?)?;
    let size: u8 = field("size")?.parse().context("size")?;
    if name == LEGACY_REGION {
        return Ok(Some(Event::Access(RawAccess {
            line: number,
            time: time(prefix),
            cpu,
            region,
            address,
            value,
            size,
            write,
        })));
    }
    // The guest's own writes to the port (delays, POST codes) have its CPU.
    if !write || cpu != -1 || address != MARK_PORT {
        return Ok(None);
    }
    let phase = Phase::from_mark(value).ok_or_else(|| anyhow!("unknown mark {value}"))?;
    Ok(Some(Event::Mark(phase)))
}

fn hex(word: &str) -> Result<u64> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    u64::from_str_radix(digits, 16).with_context(|| format!("not a number: {word}"))
}

/// The timestamp before an event: `pid@seconds.microseconds:` or ISO 8601.
fn time(prefix: &str) -> Option<String> {
    let stamp = prefix.split_once('@').map_or(prefix, |(_, time)| time);
    let stamp = stamp.trim().trim_end_matches(':');
    (!stamp.is_empty()).then(|| stamp.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "memory_region_ops_write cpu 0 mr 0x55558ae1ce80 addr 0xc012 \
                         value 0x3 size 1 name 'virtio-pci'";

    fn access(line: &str) -> RawAccess {
        match parse_line(1, line).unwrap() {
            Some(Event::Access(access)) => access,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn timestamps_of_old_and_new_qemu() {
        assert_eq!(access(PLAIN).time, None);
        let old = access(&format!("4711@1792060259.789992:{PLAIN}"));
        assert_eq!(old.time.as_deref(), Some("1792060259.789992"));
        let new = access(&format!("2026-11-22T14:30:59.789992Z {PLAIN}"));
        assert_eq!(new.time.as_deref(), Some("2026-11-22T14:30:59.789992Z"));
        assert_eq!((new.address, new.value, new.size), (0xc012, 3, 1));
        assert!(new.write);
    }

    #[test]
    fn marks_come_from_the_monitor_only() {
        let mark = |cpu: i32, value: u8| {
            let line = format!(
                "memory_region_ops_write cpu {cpu} mr 0x1 addr 0x80 value {value:#x} size 1 \
                 name 'ioport80'"
            );
            parse_line(1, &line)
        };
        assert_eq!(mark(-1, 1).unwrap(), Some(Event::Mark(Phase::Probe)));
        assert_eq!(mark(0, 1).unwrap(), None);
        assert!(mark(-1, 99).is_err());
    }

    #[test]
    fn other_lines_are_skipped_and_broken_ones_reported() {
        let other = PLAIN.replace("virtio-pci", "apic-msi");
        assert_eq!(
            parse(&format!("{other}\nvirtio_notify vdev 0x1\n")).unwrap(),
            []
        );
        let broken = PLAIN.replace("0xc012", "nothing");
        let error = format!("{:#}", parse(&broken).unwrap_err());
        assert!(error.starts_with("trace line 1:"), "{error}");
    }
}
