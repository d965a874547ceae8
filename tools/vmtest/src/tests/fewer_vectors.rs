// SPDX-License-Identifier: GPL-2.0

//! Devices that have no MSI-X when the machine is resumed.

use crate::cells::resumed::{self, Change};
use vm::layout::Kind;
use vm::runner::Test;

const CHANGE: Change = Change {
    name: "fewer-vectors",
    about: "devices that have no MSI-X when the machine is resumed",
    set: |kind| vec![format!("device.{}.vectors=0", kind.id())],
    kinds: &Kind::FROZEN,
    event: None,
    rebinds: false,
};

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    vec![resumed::test(&CHANGE)]
}
