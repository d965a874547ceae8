// SPDX-License-Identifier: GPL-2.0

//! Interrupts whose affinity the user has set keep it while the machine is suspended.

use std::time::Duration;

use crate::cells::device::check_io;
use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// Sets the affinity of these interrupts of the device, sleeps, and looks at it again.
fn keeps(names: &str, sleep: impl Fn(&mut Vm) -> Outcome, vm: &mut Vm) -> Outcome {
    let slot = Kind::Rng.slot();
    vm.ok("ensure_loaded")?;
    vm.ok(&format!("set_affinity {slot} 2 {names}"))?;
    // The kernel moves an interrupt when the next one arrives, and forgets the move if the
    // processor goes off line before.
    check_io(vm, Kind::Rng)?;
    sleep(vm)?;
    vm.ok(&format!("check_affinity {slot} 2 {names}"))?;
    check_io(vm, Kind::Rng)
}

fn cells() -> Vec<Cell> {
    let mut cells = vec![Cell::new("mem, pm_test devices", |vm| {
        let sleep = |vm: &mut Vm| vm.ok("pm_test_cycles mem devices 2").map(drop);
        keeps("config input", sleep, vm)
    })];
    // The other processors go off and on during it. An interrupt that is in use moves away from
    // them, with any driver: that for configuration changes, not that of the virtqueue.
    cells.push(Cell::new("suspend to memory", |vm| {
        keeps("input", Vm::suspend_to_memory, vm)
    }));
    cells
}

/// The test of interrupts that are kept.
pub(crate) fn all() -> Vec<Test> {
    vec![Test::new(
        "affinity",
        "the affinity of interrupts that the user has set, over a suspend",
        Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&[Kind::Rng]),
        cells(),
    )
    .in_check()
    .limit(Duration::from_secs(120))]
}
