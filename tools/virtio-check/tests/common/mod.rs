// SPDX-License-Identifier: GPL-2.0

//! The recorded traces, and edits of them.

#![allow(dead_code)]

use std::path::PathBuf;
use virtio_check::access::{Access, Register};
use virtio_check::{DeviceInfo, Phase, Run};

/// Where a fixture is.
pub(crate) fn fixture(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    folder.join(format!("{name}.txt"))
}

/// Loads a fixture: `c-msix`, `rust-msix`, `c-intx` or `rust-intx`.
pub(crate) fn load(name: &str) -> Run {
    let device = |name: &str, bar_base, bar_len| DeviceInfo {
        name: name.into(),
        bar_base,
        bar_len,
        ..DeviceInfo::default()
    };
    let devices = match name.ends_with("msix") {
        true => vec![device("blk", 0xc000, 0x80), device("rng", 0xc160, 0x20)],
        false => vec![device("rng", 0xc140, 0x20)],
    };
    Run::load(&fixture(name), &devices).unwrap()
}

/// The accesses of the first device's first such phase.
pub(crate) fn phase(run: &mut Run, phase: Phase) -> &mut Vec<Access> {
    let segments = &mut run.devices[0].segments;
    let segment = segments.iter_mut().find(|s| s.phase == phase).unwrap();
    &mut segment.accesses
}

/// Where the first write of a value is.
pub(crate) fn write_of(accesses: &[Access], register: Register, value: u64) -> usize {
    let found = |a: &Access| a.writes(register) && a.value == value;
    accesses.iter().position(found).unwrap()
}

/// Where the first write is.
pub(crate) fn write(accesses: &[Access], register: Register) -> usize {
    accesses.iter().position(|a| a.writes(register)).unwrap()
}

/// Where the first read is.
pub(crate) fn read(accesses: &[Access], register: Register) -> usize {
    accesses.iter().position(|a| a.reads(register)).unwrap()
}

/// An access that is in no trace.
pub(crate) fn access(register: Register, write: bool, value: u64) -> Access {
    Access {
        line: 0,
        time: None,
        cpu: 0,
        register,
        write,
        size: register.width().unwrap_or(1),
        value,
        times: 1,
    }
}
