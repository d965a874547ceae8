// SPDX-License-Identifier: GPL-2.0

//! Traces made small enough to be kept.

use crate::cut::line;
use crate::phase::{Phase, MARK_PORT};
use crate::read::{self, Event, Region};
use anyhow::Result;
use std::fmt::Write;

/// Keeps the marks of a trace and the accesses in the phases that are compared, in QEMU's form.
///
/// Memory regions are numbered as they come, and timestamps are left out, so that two runs of the
/// same thing give nearly the same text.
///
/// # Errors
///
/// The trace is broken.
pub fn reduce(text: &str) -> Result<String> {
    let mut kept = String::from("# SPDX-License-Identifier: GPL-2.0\n");
    let mut regions: Vec<Region> = Vec::new();
    let mut phase = Phase::Ignore;
    for event in read::parse(text)? {
        match event {
            Event::Mark(mark) => {
                phase = mark;
                let value = mark.mark();
                let _ = writeln!(
                    kept,
                    "memory_region_ops_write cpu -1 mr 0x1 addr {MARK_PORT:#x} value {value:#x} \
                     size 1 name 'ioport80'"
                );
            }
            Event::Access(access) if phase.is_compared() => {
                line(&mut kept, &access, &mut regions);
            }
            Event::Access(_) => {}
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(region: u64, value: u64) -> String {
        format!(
            "7@1.5:memory_region_ops_read cpu 0 mr {region:#x} addr 0xc012 value {value:#x} size 1 \
             name 'virtio-pci'\n"
        )
    }

    fn mark(phase: Phase) -> String {
        format!(
            "memory_region_ops_write cpu -1 mr 0x99 addr 0x80 value {:#x} size 1 name 'ioport80'\n",
            phase.mark()
        )
    }

    #[test]
    fn what_is_not_compared_is_left_out() {
        let text = [
            access(7, 1),
            mark(Phase::Probe),
            access(7, 2),
            access(5, 3),
            access(7, 4),
            mark(Phase::Io),
            access(7, 5),
            mark(Phase::Remove),
            access(5, 6),
        ]
        .concat();
        let kept = reduce(&text).unwrap();
        let found: Vec<(Region, u64)> = read::parse(&kept)
            .unwrap()
            .into_iter()
            .filter_map(|event| match event {
                Event::Access(access) => Some((access.region, access.value)),
                Event::Mark(_) => None,
            })
            .collect();
        let expected = [(0x100, 2), (0x200, 3), (0x100, 4), (0x200, 6)];
        assert_eq!(
            found,
            expected.map(|(region, value)| (Region::Qemu(region), value))
        );
        assert_eq!(kept.matches("ioport80").count(), 3);
        assert_eq!(reduce(&kept).unwrap(), kept);
    }
}
