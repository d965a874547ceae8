// SPDX-License-Identifier: GPL-2.0

//! Devices that lack a feature when the machine is resumed.

use crate::cells::resumed::{self, Change};
use vm::layout::Kind;
use vm::runner::Test;

const CHANGE: Change = Change {
    name: "fewer-features",
    about: "devices that lack a feature when the machine is resumed",
    set: |kind| vec![format!("device.{}.event_idx=off", kind.id())],
    kinds: &Kind::FROZEN,
    event: Some("FeaturesMissing 0x20000000"),
    rebinds: true,
};

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    vec![resumed::test(&CHANGE).in_check()]
}
