// SPDX-License-Identifier: GPL-2.0

//! A kernel that delays the release of each device.

use std::time::Duration;

use machine::Variant;

use crate::cells::leaks::no_leaks;
use crate::cells::{main_job, sleep};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::Test;

/// Devices that are no disks. Where releases are delayed no disk can be removed, with any driver:
/// the block layer frees a disk that still holds a kobject.
const NO_DISKS: [Kind; 5] = [
    Kind::Net,
    Kind::Console,
    Kind::Rng,
    Kind::Balloon,
    Kind::NineP,
];

/// The test on it.
pub(crate) fn all() -> Vec<Test> {
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&NO_DISKS);
    layout.kernel = Variant::DelayedRelease;
    let mut cells = main_job::cells_and_rebinds(&NO_DISKS, sleep::shallow(&NO_DISKS));
    cells.push(no_leaks());
    let test = Test::new(
        "delayed-release",
        "every device but disks, where releases of devices are delayed",
        layout,
        cells,
    );
    vec![test.limit(Duration::from_secs(1200))]
}
