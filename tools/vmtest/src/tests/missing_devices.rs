// SPDX-License-Identifier: GPL-2.0

//! Devices that are in another slot when the machine is resumed.

use crate::cells::resumed::{self, Change};
use vm::layout::Kind;
use vm::runner::Test;

/// A slot that is free.
const NOWHERE: u32 = 0x10;

const CHANGE: Change = Change {
    name: "missing-devices",
    about: "devices that are in another slot when the machine is resumed",
    set: |kind| {
        let slot = u32::from_str_radix(kind.slot(), 16).unwrap_or_default();
        vec![format!("device.{}.addr={:#x}", kind.id(), NOWHERE + slot)]
    },
    kinds: &Kind::FROZEN,
    event: Some("Absent"),
    rebinds: false,
};

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    vec![resumed::test(&CHANGE).in_check()]
}
