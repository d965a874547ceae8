// SPDX-License-Identifier: GPL-2.0

//! The log of the scripted device, which knows the phase and whether MSI-X is enabled.

use super::{hex, size, Event, RawAccess, Region};
use crate::phase::Phase;
use anyhow::{bail, Context, Result};

/// Reads a line; none if it is of something else.
///
/// `scripted blk: probe msix write 0x12 size 1 value 0x3`
pub(super) fn parse(number: usize, line: &str) -> Result<Option<Event>> {
    let Some(text) = line.strip_prefix("scripted ") else {
        return Ok(None);
    };
    let (name, text) = text.split_once(": ").context("no device")?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let [phase, mode, kind, offset, "size", width, "value", value] = words[..] else {
        bail!("not as the scripted device writes it");
    };
    let phase = Phase::ALL.into_iter().find(|known| known.name() == phase);
    let msix = match mode {
        "msix" => true,
        "intx" => false,
        _ => bail!("neither msix nor intx"),
    };
    let write = match kind {
        "write" => true,
        "read" => false,
        _ => bail!("neither read nor write"),
    };
    Ok(Some(Event::Access(RawAccess {
        line: number,
        time: None,
        cpu: 0,
        region: Region::Bar(name.to_owned()),
        address: hex(offset)?,
        value: hex(value)?,
        size: size(width)?,
        write,
        msix: Some(msix),
        phase: Some(phase.context("no phase")?),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "scripted blk: freeze msix write 0x12 size 1 value 0x0";

    #[test]
    fn the_phase_and_the_mode_are_told() {
        let Some(Event::Access(access)) = parse(1, LINE).unwrap() else {
            panic!("nothing read");
        };
        assert_eq!((access.address, access.value, access.size), (0x12, 0, 1));
        assert_eq!(
            (access.msix, access.phase),
            (Some(true), Some(Phase::Freeze))
        );
        assert_eq!(access.region, Region::Bar("blk".into()));
    }

    #[test]
    fn what_is_written_otherwise_is_an_error() {
        for (word, other) in [("freeze", "sleep"), ("msix", "msi"), ("write", "poke")] {
            assert!(parse(1, &LINE.replace(word, other)).is_err(), "{other}");
        }
        assert!(parse(1, "scripted ").is_err());
    }
}
