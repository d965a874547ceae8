// SPDX-License-Identifier: GPL-2.0

//! Devices that have changed their slots when the machine is resumed.

use crate::cells::resumed::{self, Change};
use vm::layout::Kind;
use vm::runner::Test;

const CHANGE: Change = Change {
    name: "other-devices",
    about: "devices that have changed their slots when the machine is resumed",
    set: |kind| {
        // The kernel gives each the other's base address registers, so these must have one size.
        let other = if kind == Kind::Scsi {
            Kind::Balloon
        } else {
            Kind::Scsi
        };
        vec![format!("device.{}.addr=0x{}", kind.id(), other.slot())]
    },
    kinds: &[Kind::Scsi, Kind::Balloon],
    event: Some("Replaced"),
    rebinds: false,
};

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    vec![resumed::test(&CHANGE).in_check()]
}
