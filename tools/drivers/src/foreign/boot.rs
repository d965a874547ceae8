// SPDX-License-Identifier: GPL-2.0

//! A QEMU that runs until its guest powers off, is quiet, or the time is over.

use super::board::DEVICES;
use super::parts::{Parts, Touch};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked whether QEMU has ended.
const LOOK: Duration = Duration::from_millis(200);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The guest powered off or asked for a reboot.
    Off,
    /// No device was touched for a while.
    Quiet,
    /// The time was over.
    Late,
    /// QEMU ended with an error.
    Failed,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Off => "powers off",
            Self::Quiet => "is quiet",
            Self::Late => "runs on",
            Self::Failed => "QEMU fails",
        })
    }
}

/// How long a run may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// At the most.
    pub(super) time: Duration,
    /// Without any access to a device.
    pub(super) quiet: Duration,
}

/// QEMU, killed when dropped.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a run left.
pub(super) struct Run {
    /// How it ended.
    pub(super) end: End,
    /// After this many seconds.
    pub(super) seconds: u64,
    /// What QEMU said beside its trace.
    pub(super) said: Vec<String>,
    /// The accesses to QEMU's own devices.
    pub(super) parts: BTreeMap<&'static str, Parts>,
}

/// Runs QEMU; `accesses` tells how many there were to devices that are not QEMU's own.
pub(super) fn run(line: &[OsString], limits: Limits, accesses: &dyn Fn() -> usize) -> Result<Run> {
    // QEMU must not outlive this program, however that ends.
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .args(line)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start setpriv")?;
    let output = child.stderr.take().context("QEMU has no output")?;
    let mut qemu = Qemu(child);
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = seen.clone();
    let reader = thread::spawn(move || listen(output, &counter));
    let begin = Instant::now();
    let (mut last, mut touched) = (begin, 0);
    let end = loop {
        thread::sleep(LOOK);
        if let Some(status) = qemu.0.try_wait().context("cannot wait for QEMU")? {
            break if status.success() {
                End::Off
            } else {
                End::Failed
            };
        }
        let now = accesses() + seen.load(std::sync::atomic::Ordering::Relaxed);
        if now != touched {
            (last, touched) = (Instant::now(), now);
        }
        if begin.elapsed() > limits.time {
            break End::Late;
        }
        if touched != 0 && last.elapsed() > limits.quiet {
            break End::Quiet;
        }
    };
    let seconds = begin.elapsed().as_secs();
    drop(qemu);
    let (parts, said) = reader.join().unwrap_or_default();
    Ok(Run {
        end,
        seconds,
        said,
        parts,
    })
}

/// Reads what QEMU traces and says.
fn listen(
    output: ChildStderr,
    seen: &std::sync::atomic::AtomicUsize,
) -> (BTreeMap<&'static str, Parts>, Vec<String>) {
    let (mut places, mut said) = (Places::default(), Vec::new());
    let mut parts: BTreeMap<&'static str, Parts> = BTreeMap::new();
    let mut lines = BufReader::new(output).split(b'\n');
    while let Some(Ok(line)) = lines.next() {
        let line = String::from_utf8_lossy(&line);
        if line.ends_with("name 'virtio-pci'") {
            if let Some((device, touch)) = places.access(&line) {
                seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                parts.entry(device).or_default().push(touch, &line);
            }
        } else if line.starts_with("pci_update_mappings_add") {
            places.mapped(&line);
        } else if !line.starts_with("memory_region_ops_") && said.len() < 20 {
            said.push(line.into_owned());
        }
    }
    (parts, said)
}

/// Where the BARs of QEMU's devices are.
#[derive(Default)]
struct Places(BTreeMap<&'static str, (u64, u64)>);

impl Places {
    /// Takes a line as `pci_update_mappings_add virtio-blk 00:03.0 0,0xc000+0x80`.
    fn mapped(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_whitespace().rev();
        let (bar, place) = words.next()?.split_once(',')?;
        let (base, len) = place.split_once('+')?;
        let slot = words.next()?.split(['.', ':']).nth(1)?;
        let slot = u8::from_str_radix(slot, 16).ok()?;
        let (_, name, _) = DEVICES.iter().find(|(own, ..)| *own == slot)?;
        if bar == "0" {
            self.0.insert(name, (number(base)?, number(len)?));
        }
        Some(())
    }

    /// The device of a line of the trace, and what it does to it.
    fn access(&self, line: &str) -> Option<(&'static str, Touch)> {
        let mut words = line.split_whitespace();
        let write = words.next()?.ends_with("_write");
        let words: Vec<&str> = words.collect();
        let value = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            number(words.get(at + 1)?)
        };
        let (address, value) = (value("addr")?, value("value")?);
        let mut devices = self.0.iter();
        let (device, (base, _)) =
            devices.find(|(_, (base, len))| (*base..base + len).contains(&address))?;
        let offset = address - base;
        Some((
            device,
            Touch {
                offset,
                write,
                value,
            },
        ))
    }
}

fn number(text: &str) -> Option<u64> {
    virtio_check::access::number(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: &str = "memory_region_ops_write cpu 0 mr 0x55d0 addr 0xc012 value 0x3 size 1 \
                          name 'virtio-pci'";

    #[test]
    fn an_access_belongs_to_the_device_whose_bar_is_there() {
        let mut places = Places::default();
        assert_eq!(places.access(ACCESS), None);
        for line in [
            "pci_update_mappings_add virtio-blk 00:03.0 0,0xc000+0x80",
            "pci_update_mappings_add d=0x55d0 00:04.0 0,0xc080+0x20",
            "pci_update_mappings_add virtio-blk 00:03.0 1,0xfebf0000+0x1000",
            "pci_update_mappings_add VGA 00:02.0 0,0xc000+0x80",
        ] {
            places.mapped(line);
        }
        let touch = Touch {
            offset: 18,
            write: true,
            value: 3,
        };
        assert_eq!(places.access(ACCESS), Some(("blk", touch)));
        let other = ACCESS.replace("0xc012", "0xc092");
        assert_eq!(places.access(&other), Some(("net", touch)));
        assert_eq!(places.access(&ACCESS.replace("0xc012", "0xd012")), None);
    }
}
