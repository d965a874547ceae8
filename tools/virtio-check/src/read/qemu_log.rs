// SPDX-License-Identifier: GPL-2.0

//! QEMU's `memory_region_ops_read` and `memory_region_ops_write`, as its `log` backend has them.

use super::{hex, in_region, size, Event, RawAccess, Region, LEGACY_REGION, MARK_REGIONS};
use anyhow::{anyhow, Context, Result};

/// Reads a line; none if it is of another event or another region.
pub(super) fn parse(number: usize, line: &str) -> Result<Option<Event>> {
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
        .and_then(|(_, rest)| rest.trim_end().strip_suffix('\''))
        .ok_or_else(|| anyhow!("no region name"))?;
    if name != LEGACY_REGION && !MARK_REGIONS.contains(&name) {
        return Ok(None);
    }
    let mut field = |key: &str| -> Result<&str> {
        match (words.next(), words.next()) {
            (Some(found), Some(value)) if found == key => Ok(value),
            _ => Err(anyhow!("no {key}")),
        }
    };
    let access = RawAccess {
        line: number,
        time: time(prefix),
        cpu: field("cpu")?.parse().context("cpu")?,
        region: Region::Qemu(hex(field("mr")?)?),
        address: hex(field("addr")?)?,
        value: hex(field("value")?)?,
        size: size(field("size")?)?,
        write,
        msix: None,
        phase: None,
    };
    in_region(access, name)
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
    use crate::phase::Phase;

    const PLAIN: &str = "memory_region_ops_write cpu 0 mr 0x55558ae1ce80 addr 0xc012 \
                         value 0x3 size 1 name 'virtio-pci'";

    fn access(line: &str) -> RawAccess {
        match parse(1, line).unwrap() {
            Some(Event::Access(access)) => access,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn timestamps_of_old_and_new_qemu() {
        assert_eq!(access(PLAIN).time, None);
        let old = access(&format!("4711@1792060259.789992:{PLAIN}"));
        assert_eq!(old.time.as_deref(), Some("1792060259.789992"));
        let new = access(&format!("2026-11-22T14:30:59.789992Z {PLAIN}\r"));
        assert_eq!(new.time.as_deref(), Some("2026-11-22T14:30:59.789992Z"));
        assert_eq!((new.address, new.value, new.size), (0xc012, 3, 1));
        assert_eq!(new.region, Region::Qemu(0x5555_8ae1_ce80));
        assert!(new.write);
    }

    #[test]
    fn marks_come_from_the_monitor_only() {
        let mark_in = |region: &str, cpu: i32, value: u8| {
            let line = format!(
                "memory_region_ops_write cpu {cpu} mr 0x1 addr 0x80 value {value:#x} size 1 \
                 name '{region}'"
            );
            parse(1, &line)
        };
        let mark = |cpu, value| mark_in("ioport80", cpu, value);
        assert_eq!(mark(-1, 1).unwrap(), Some(Event::Mark(Phase::Probe)));
        // A machine without that port has its accesses in the region of all ports.
        assert_eq!(
            mark_in("io", -1, 1).unwrap(),
            Some(Event::Mark(Phase::Probe))
        );
        assert_eq!(mark_in("ioport60", -1, 1).unwrap(), None);
        assert_eq!(mark(0, 1).unwrap(), None);
        assert!(mark(-1, 99).is_err());
    }

    #[test]
    fn a_width_that_no_access_has_is_an_error() {
        assert!(parse(1, &PLAIN.replace("size 1", "size 0")).is_err());
        assert!(parse(1, &PLAIN.replace("size 1", "size 3")).is_err());
    }
}
