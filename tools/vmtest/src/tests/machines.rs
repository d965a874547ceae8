// SPDX-License-Identifier: GPL-2.0

//! The tests `pc-…`, `q35-…` and `virt-…`: each device on each machine.

use std::time::Duration;

use crate::cells::lifecycle::cells;
use vm::layout::{Board, Interrupts, Layout};
use vm::runner::Test;

/// Those that `make check` has: each board, each kind of interrupts, one processor and more.
const IN_CHECK: [(Board, Interrupts, u8); 4] = [
    (Board::Pc, Interrupts::PerQueue, 4),
    (Board::Pc, Interrupts::Intx, 1),
    (Board::Q35, Interrupts::Shared, 4),
    (Board::Q35, Interrupts::PerQueue, 1),
];

/// The test of one machine.
fn test(board: Board, interrupts: Interrupts, cpus: u8) -> Test {
    let layout = Layout::new(board, interrupts, cpus);
    let cells = cells(&layout.kinds);
    let mut test = Test::new(
        format!("{board}-{interrupts}-{cpus}cpu"),
        format!("every device on {board}, {interrupts} interrupts, {cpus} CPUs"),
        layout,
        cells,
    )
    .limit(Duration::from_secs(900));
    test.in_check = IN_CHECK.contains(&(board, interrupts, cpus));
    test
}

/// The tests of all machines.
pub(crate) fn all() -> Vec<Test> {
    let mut tests = Vec::new();
    for board in [Board::Pc, Board::Q35, Board::Virt] {
        for interrupts in [Interrupts::PerQueue, Interrupts::Shared, Interrupts::Intx] {
            for cpus in [1, 4] {
                tests.push(test(board, interrupts, cpus));
            }
        }
    }
    tests
}
