// SPDX-License-Identifier: GPL-2.0

//! Processors that are taken off line and put on. The kernel refuses processors that are plugged by
//! QEMU unless it knows the hypervisor, which it does not with TCG.

use crate::cells::device::{check_bound, check_io};
use vm::failure::Outcome;
use vm::grade::Grade;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// Devices whose virtqueues belong to processors, and one whose do not.
const KINDS: [Kind; 3] = [Kind::Blk4, Kind::Scsi, Kind::Net];
/// Those whose input and output do not depend on how many processors there are.
const LOADED: Kind = Kind::Scsi;

fn check_devices(vm: &mut Vm) -> Outcome {
    for kind in KINDS {
        check_bound(vm, kind)?;
    }
    vm.ok(&format!("check_blk {}", Kind::Blk4.slot()))?;
    check_io(vm, LOADED)?;
    check_io(vm, Kind::Net)
}

fn off_and_on() -> Cell {
    let cell = Cell::new("taken off line and put on, with sleep between", |vm| {
        vm.ok("ensure_loaded")?;
        check_devices(vm)?;
        vm.ok(&format!("start_work {}", LOADED.slot()))?;
        vm.ok("set_processor 1 0 && has_processors 1")?;
        vm.ok("pm_test_cycles mem core 1")?;
        vm.suspend_to_memory()?;
        // The firmware has left it in a loop that slows QEMU down (docs/known-issues.md): the
        // kernel halts it.
        vm.ok("set_processor 1 1 && set_processor 1 0 && has_processors 1")?;
        vm.ok(&format!("check_blk {}", Kind::Blk4.slot()))?;
        vm.ok("set_processor 1 1 && has_processors 2")?;
        vm.ok("pm_test_cycles mem core 1")?;
        vm.ok(&format!("check_work {0} && stop_load {0}", LOADED.slot()))?;
        check_devices(vm)
    });
    cell.cycles(3)
        .on_c(Grade::Hangs, "a disk, after S3 with a processor off line")
}

/// The kernel is made to fail as it brings a processor up after S3: the devices are restored
/// without it, and it comes on line afterwards (`wake_processors` of the guest).
fn late() -> Cell {
    let cell = Cell::new("one that does not come back from S3", |vm| {
        vm.ok("ensure_loaded")?;
        vm.ok("fail_processor 1 irq/affinity:online")?;
        vm.suspend_to_memory()?;
        vm.ok("kernel_log | grep 'Error taking CPU1 up'")?;
        vm.ok("has_processors 2")?;
        check_devices(vm)
    });
    cell.cycles(1)
}

/// The test of processors.
pub(crate) fn all() -> Vec<Test> {
    vec![Test::new(
        "processors",
        "a processor that is taken off line and put on, with sleep between",
        Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&KINDS),
        vec![off_and_on(), late()],
    )]
}
