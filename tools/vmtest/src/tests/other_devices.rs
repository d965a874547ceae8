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
    says: Some("1af4:[0-9a-f]* (subsystem 1af4:[0-9a-f]*) in the slot of 1af4:"),
    rebinds: false,
};

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    vec![resumed::test(&CHANGE).in_check()]
}
