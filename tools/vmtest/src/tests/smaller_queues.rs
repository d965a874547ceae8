// SPDX-License-Identifier: GPL-2.0

//! Disks whose virtqueues are smaller when the machine is resumed.

use crate::cells::resumed::{self, Change};
use vm::layout::Kind;
use vm::runner::Test;

const CHANGE: Change = Change {
    name: "smaller-queues",
    about: "disks whose virtqueues are smaller when the machine is resumed",
    set: |kind| vec![format!("device.{}.queue-size=64", kind.id())],
    kinds: &[Kind::Blk, Kind::Blk4],
    event: None,
    rebinds: true,
};

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    vec![resumed::test(&CHANGE)]
}
