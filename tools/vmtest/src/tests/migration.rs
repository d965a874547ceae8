// SPDX-License-Identifier: GPL-2.0

//! Machines that are moved to another QEMU process, awake and asleep.

use crate::cells::stamps::{begin, end, goes_on, KINDS};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

fn test(interrupts: Interrupts) -> Test {
    let awake = Cell::new("awake", |vm| {
        begin(vm)?;
        vm.migrate()?;
        goes_on(vm)?;
        end(vm)
    });
    let asleep = Cell::new("in S3", |vm| {
        begin(vm)?;
        let id = vm.fall_asleep("suspend_to_memory")?;
        vm.migrate()?;
        vm.wake_up(id)?;
        goes_on(vm)?;
        end(vm)
    });
    let mut kinds = vec![Kind::Blk];
    kinds.extend(KINDS);
    let mut layout = Layout::new(Board::Pc, interrupts, 2).with_kinds(&kinds);
    layout.has_tools = false;
    Test::new(
        format!("migration-{interrupts}"),
        format!(
            "a machine that is moved to another QEMU, awake and in S3, {interrupts} interrupts"
        ),
        layout,
        vec![awake, asleep.cycles(1)],
    )
}

/// The tests of migration.
pub(crate) fn all() -> Vec<Test> {
    vec![test(Interrupts::PerQueue), test(Interrupts::Intx)]
}
