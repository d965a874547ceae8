// SPDX-License-Identifier: GPL-2.0

//! Reads a trace file and judges each device in it.
//!
//! The file is read twice, since where BARs are shows at its end only. Of the accesses, no more is
//! kept than is shown.

use crate::decode::Decoder;
use crate::judge::{Judge, Verdict};
use crate::phase::Phase;
use crate::places::{Places, Survey};
use crate::read::{Event, Reader, TraceFile};
use crate::run::DeviceInfo;
use anyhow::{bail, Context, Result};
use std::io::{BufReader, Read};
use std::path::Path;

/// A trace that was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Its name.
    pub name: String,
    /// Whether its end was cut off.
    pub cut: bool,
    /// What was found, device by device.
    pub verdicts: Vec<Verdict>,
}

impl Lane {
    /// Judges a trace; `-` is the standard input.
    ///
    /// # Errors
    ///
    /// The file cannot be read, a line of it is wrong, or no register access is in it.
    pub fn read(name: &str, path: &Path, devices: &[DeviceInfo]) -> Result<Lane> {
        let file = TraceFile::open(path)?;
        let judge = || -> Result<Lane> {
            let survey = Survey::of(file.begin()?)?;
            Lane::judge(name, file.begin()?, devices, &survey)
        };
        judge().with_context(|| path.display().to_string())
    }

    /// Judges a trace that is in memory.
    ///
    /// # Errors
    ///
    /// A line of it is wrong, or no register access is in it.
    pub fn of(name: &str, trace: &[u8], devices: &[DeviceInfo]) -> Result<Lane> {
        let survey = Survey::of(trace)?;
        Lane::judge(name, trace, devices, &survey)
    }

    fn judge(
        name: &str,
        input: impl Read,
        devices: &[DeviceInfo],
        survey: &Survey,
    ) -> Result<Lane> {
        let places = Places::new(devices, survey);
        if places.devices.is_empty() && survey.has_bare_addresses() {
            bail!("the trace has addresses only: tell where BARs are, as --device blk=0xc000+0x40");
        }
        let begin = match survey.marked {
            true => Phase::Ignore,
            false => Phase::Between,
        };
        let mut phase = begin;
        let mut devices: Vec<(Judge, Decoder, bool)> = places
            .devices
            .iter()
            .map(|info| {
                let msix = info.msix.unwrap_or_default();
                (Judge::new(&info.name), Decoder::new(msix), msix)
            })
            .collect();
        let mut reader = Reader::new(BufReader::new(input))?;
        for event in &mut reader {
            match event? {
                Event::Mark(mark) => {
                    phase = mark;
                    devices.iter_mut().for_each(|(judge, ..)| judge.begin(mark));
                }
                Event::Access(access) if phase != Phase::Ignore => {
                    let Some((device, offset)) = places.find(&access) else {
                        continue;
                    };
                    let Some((judge, decoder, msix)) = devices.get_mut(device) else {
                        continue;
                    };
                    if let Some(told) = access.phase {
                        judge.enter(told);
                    }
                    let decoded = decoder.decode(offset, &access);
                    judge.judge(&decoded, access.msix.unwrap_or(decoder.is_enabled()));
                    *msix = access.msix == Some(true) || *msix && decoder.may_use_msix();
                }
                Event::Access(_) => {}
            }
        }
        let verdicts = devices
            .into_iter()
            .map(|(judge, _, msix)| judge.finish(msix));
        let verdicts: Vec<_> = verdicts.filter(|verdict| verdict.accesses != 0).collect();
        if verdicts.is_empty() {
            bail!(
                "no access to a legacy virtio device in {} events: docs/tracing.md tells how to \
                 trace",
                survey.events
            );
        }
        Ok(Lane {
            name: name.to_owned(),
            cut: reader.is_cut(),
            verdicts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads and writes of a register at an offset, `w0e=0`, with its own width.
    fn trace(text: &str) -> String {
        let line = |word: &str| {
            let (kind, rest) = word.split_at(1);
            let (offset, value) = rest.split_once('=').unwrap();
            let kind = if kind == "w" { "write" } else { "read" };
            let size = match offset {
                "00" | "04" | "08" => 4,
                "12" | "13" => 1,
                _ => 2,
            };
            format!(
                "memory_region_ops_{kind} cpu 0 mr 0x7 addr 0xc0{offset} value {value} size {size} \
                 name 'virtio-pci'\n"
            )
        };
        text.split_whitespace().map(line).collect()
    }

    fn broken(text: &str) -> Vec<&'static str> {
        let lane = Lane::of("lane", trace(text).as_bytes(), &[]).unwrap();
        let findings = lane.verdicts[0].findings.iter();
        findings
            .filter(|(_, f)| f.broken != 0)
            .map(|(rule, _)| rule.id)
            .collect()
    }

    #[test]
    fn firmware_without_msix_is_not_judged_by_the_kernel_behind_it() {
        let set_up = "w12=0 r12=0 w12=1 w12=3 r00=0 w04=0 w0e=0 r0c=40 w08=1";
        let firmware = format!("{set_up} w12=7 w10=0 r13=1");
        let kernel = format!("{set_up} w16=1 r16=1 w12=7 w10=0");
        assert_eq!(broken(&format!("{firmware} {kernel}")), Vec::<&str>::new());
        assert_eq!(broken(&format!("{kernel} r13=1")), ["isr-with-msix"]);
    }
}
