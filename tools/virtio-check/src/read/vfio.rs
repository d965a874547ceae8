// SPDX-License-Identifier: GPL-2.0

//! QEMU's `vfio_region_read` and `vfio_region_write`: a function that is passed through.
//!
//! BAR0 must not be mapped into the guest (`x-no-mmap=on`), or nothing of it is traced.

use super::{hex, seconds, size, Event, RawAccess, Region};
use anyhow::{Context, Result};

/// Reads a line; none if it is of another event or another BAR.
pub(super) fn parse(number: usize, line: &str) -> Result<Option<Event>> {
    let found = |name: &str| line.split_once(name);
    let (write, (prefix, text)) = match (found("vfio_region_write "), found("vfio_region_read ")) {
        (Some(found), _) => (true, found),
        (None, Some(found)) => (false, found),
        (None, None) => return Ok(None),
    };
    // (0000:06:0d.0:region0+0x12, 0x3, 1) or (0000:06:0d.0:region0+0x12, 1) = 0x3
    let text = text.trim().strip_prefix('(').context("no (")?;
    let (inside, after) = text.split_once(')').context("no )")?;
    let (place, rest) = inside.split_once(", ").context("no width")?;
    let (name, place) = place.rsplit_once(":region").context("no region")?;
    let (bar, offset) = place.split_once('+').context("no offset")?;
    if bar != "0" {
        return Ok(None);
    }
    let (value, width) = match write {
        true => rest.split_once(", ").context("no value")?,
        false => {
            let value = after.trim().strip_prefix("= ").context("no value")?;
            (value, rest)
        }
    };
    let time = prefix.rsplit_once('@').map_or(prefix, |(_, time)| time);
    Ok(Some(Event::Access(RawAccess {
        line: number,
        time: seconds(time),
        cpu: 0,
        region: Region::Bar(name.to_owned()),
        address: hex(offset)?,
        value: hex(value)?,
        size: size(width)?,
        write,
        msix: None,
        phase: None,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &str = "7@12.5:vfio_region_read  (0000:06:0d.0:region0+0x12, 1) = 0x3";
    const WRITE: &str = "vfio_region_write  (0000:06:0d.0:region0+0x12, 0x3, 1)";

    #[test]
    fn reads_and_writes_have_their_values_in_other_places() {
        for (line, write, time) in [(READ, false, Some("12.5")), (WRITE, true, None)] {
            let Some(Event::Access(access)) = parse(1, line).unwrap() else {
                panic!("{line}");
            };
            assert_eq!((access.address, access.value), (0x12, 3));
            assert_eq!((access.size, access.write), (1, write));
            assert_eq!(access.region, Region::Bar("0000:06:0d.0".into()));
            assert_eq!(access.time.as_deref(), time);
        }
    }

    #[test]
    fn other_bars_are_skipped_and_broken_lines_are_not() {
        assert_eq!(parse(1, &READ.replace("region0", "region2")).unwrap(), None);
        for line in [
            &READ[..READ.len() - 6],
            &WRITE.replace("0x3, ", ""),
            "vfio_region_read ",
        ] {
            assert!(parse(1, line).is_err(), "{line}");
        }
    }
}
