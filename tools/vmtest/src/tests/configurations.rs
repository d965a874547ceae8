// SPDX-License-Identifier: GPL-2.0

//! The main job on kernels of other configurations, each built when the first test on it is run.

use std::time::Duration;

use machine::Variant;

use super::sleep::{self, Cycles};
use crate::layout::{Board, Interrupts, Kind, Layout};
use crate::main_job;
use crate::runner::Test;
use crate::vm::BOOT;

fn test(name: String, kernel: Variant, interrupts: Interrupts, cpus: u8) -> Test {
    let mut layout = Layout::new(Board::Pc, interrupts, cpus).with_swap();
    layout.kernel = kernel;
    Test {
        about: format!("every device, I/O, every kind of sleep, {interrupts} interrupts offered"),
        cells: main_job::cells(Kind::TESTED, sleep::cells(layout.board, Cycles::ONE)),
        name,
        layout,
        boot: BOOT,
        limit: Duration::from_secs(1200),
    }
}

/// The tests.
pub(crate) fn all() -> Vec<Test> {
    let mut tests = Vec::new();
    for (kernel, cpus) in [(Variant::NoMsi, 2), (Variant::NoSmp, 1)] {
        for interrupts in [Interrupts::PerQueue, Interrupts::Intx] {
            let name = format!("{}-{interrupts}", kernel.name());
            tests.push(test(name, kernel, interrupts, cpus));
        }
    }
    tests
}
