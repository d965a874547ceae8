// SPDX-License-Identifier: GPL-2.0

//! Suspend to memory and to disk, while I/O is running.

use std::time::Duration;

use crate::cells::sleep::{cells, Cycles};
use vm::layout::{Board, Interrupts, Layout};
use vm::runner::Test;

/// The test of one machine.
fn test(board: Board, interrupts: Interrupts, cpus: u8, cycles: Cycles) -> Test {
    let mut cycles = cycles;
    if board == Board::Q35 {
        // QEMU's q35 goes to S3 once a boot: after that, no request to sleep or to power off
        // reaches it, with either driver.
        cycles.suspend = 1;
    }
    Test::new(
        format!("sleep-{board}-{interrupts}-{cpus}cpu"),
        format!("every kind of sleep on {board}, {interrupts} interrupts, {cpus} CPUs"),
        Layout::new(board, interrupts, cpus).with_swap(),
        cells(board, cycles),
    )
    .limit(Duration::from_secs(3600))
}

/// The tests of sleep with this many cycles.
pub(crate) fn all(cycles: Cycles) -> Vec<Test> {
    vec![
        test(Board::Pc, Interrupts::PerQueue, 4, cycles).in_check(),
        test(Board::Pc, Interrupts::Shared, 1, cycles),
        test(Board::Pc, Interrupts::Intx, 1, cycles).in_check(),
        test(Board::Q35, Interrupts::PerQueue, 1, cycles),
        test(Board::Virt, Interrupts::PerQueue, 2, cycles),
        test(Board::Virt, Interrupts::Intx, 1, cycles),
    ]
}
