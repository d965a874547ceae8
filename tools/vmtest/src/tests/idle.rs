// SPDX-License-Identifier: GPL-2.0

//! Suspend to idle, under load.

use std::time::Duration;

use crate::cells::sleep::{check_idle_devices, under_load, Cycles};
use vm::layout::{Board, Interrupts, Layout};
use vm::runner::{Cell, Test};

/// How long a cycle of suspend-to-idle under load may take.
const IDLE: Duration = Duration::from_secs(20);

/// Suspend to idle, twice as often as S3.
fn test(interrupts: Interrupts, cpus: u8, cycles: Cycles) -> Test {
    let cycles = 2 * cycles.suspend;
    let cell = Cell::new(format!("suspend to idle, {cycles} times"), move |vm| {
        under_load(vm, |vm| (0..cycles).try_for_each(|_| vm.suspend_to_idle()))?;
        check_idle_devices(vm)
    });
    Test::new(
        format!("idle-{interrupts}-{cpus}cpu"),
        format!("suspend to idle under load, {interrupts} interrupts, {cpus} CPUs"),
        Layout::new(Board::Pc, interrupts, cpus).with_swap(),
        vec![cell.cycles(cycles)],
    )
    .limit(Duration::from_secs(300) + IDLE * cycles)
}

/// The tests of suspend to idle.
pub(crate) fn all(cycles: Cycles) -> Vec<Test> {
    vec![
        test(Interrupts::PerQueue, 2, cycles).in_check(),
        test(Interrupts::Intx, 1, cycles),
    ]
}
