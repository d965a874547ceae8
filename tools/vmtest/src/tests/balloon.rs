// SPDX-License-Identifier: GPL-2.0

//! A balloon that is inflated, over every kind of sleep; and one that dies.

use std::time::Duration;

use crate::cells::config_space::{configure, COMMAND, MEMORY_AND_MASTER};
use crate::cells::device::{
    await_balloon, balloon_size, check_bound, check_io, set_balloon, MEBIBYTE,
};
use vm::evidence::AWAKE;
use vm::failure::Outcome;
use vm::grade::Grade;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// What it takes from the guest.
const TAKEN: u64 = 64 * MEBIBYTE;

/// Inflates it, sleeps, and finds it as it was.
fn inflated(name: &str, cycles: u32, sleep: impl Fn(&mut Vm) -> Outcome + 'static) -> Cell {
    let cell = Cell::new(format!("inflated, {name}"), move |vm| {
        vm.ok(&format!("ensure_loaded && swap_on {}", Kind::Swap.slot()))?;
        check_bound(vm, Kind::Balloon)?;
        let full = balloon_size(vm)?;
        set_balloon(vm, full - TAKEN)?;
        sleep(vm)?;
        // A driver deflates it when it is frozen, and a new QEMU process wants it empty.
        check_bound(vm, Kind::Balloon)?;
        set_balloon(vm, full - TAKEN)?;
        await_balloon(vm, full - TAKEN)?;
        set_balloon(vm, full)?;
        check_io(vm, Kind::Balloon)?;
        check_io(vm, Kind::Blk)
    });
    cell.cycles(cycles)
}

fn cells() -> Vec<Cell> {
    vec![
        inflated("mem, pm_test core", 2, |vm| {
            vm.ok("pm_test_cycles mem core 2").map(drop)
        }),
        inflated("disk, pm_test devices", 2, |vm| {
            vm.ok("pm_test_cycles disk devices 2").map(drop)
        }),
        inflated("test_resume", 1, |vm| vm.ok("test_resume").map(drop)),
        inflated("hibernation", 1, Vm::hibernate),
        inflated("suspend to memory", 2, |vm| {
            (0..2).try_for_each(|_| vm.suspend_to_memory())
        }),
        Cell::new("rmmod", |vm| {
            vm.ok("ensure_loaded; stop_swap; unload_driver").map(drop)
        }),
    ]
}

/// It dies inflated, and the machine is to sleep before the driver has looked.
fn dies() -> Cell {
    let cell = Cell::new("inflated, dies: no sleep that hangs", |vm| {
        vm.allow(&[
            "returns -16",
            "failed to suspend",
            "failed to freeze",
            AWAKE,
        ]);
        vm.ok("ensure_unloaded && load_driver")?;
        check_bound(vm, Kind::Balloon)?;
        let full = balloon_size(vm)?;
        set_balloon(vm, full - TAKEN)?;
        configure(vm, Kind::Balloon, COMMAND, MEMORY_AND_MASTER)?;
        for state in ["mem", "disk"] {
            vm.ok_within(
                &format!("check_sleep_refused {state}"),
                Duration::from_secs(60),
            )?;
            check_io(vm, Kind::Blk)?;
        }
        vm.ok(&format!("journal_has {} NotFrozen", Kind::Balloon.slot()))
            .map(drop)
    });
    cell.on_c(Grade::Hangs, "in its freeze")
}

/// The tests of balloons.
pub(crate) fn all() -> Vec<Test> {
    let layout =
        Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&[Kind::Balloon, Kind::Blk]);
    let inflated = Test::new(
        "balloon-inflated",
        "a balloon that is inflated, over every kind of sleep",
        layout.clone().with_swap(),
        cells(),
    );
    let dies = Test::new(
        "balloon-dies",
        "a balloon that dies inflated",
        layout,
        vec![dies()],
    );
    vec![inflated, dies.in_check()]
}
