// SPDX-License-Identifier: GPL-2.0

//! A folder that is mounted when its device dies.

use std::time::Duration;

use crate::cells::config_space::{configure_behind, COMMAND, MEMORY_AND_MASTER};
use crate::cells::device::{check_bound, check_io};
use vm::driver::Driver;
use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// How long a sleep may take that must not wait for a device.
const SLEEP: Duration = Duration::from_secs(60);

/// Mounts a folder, and has its device die, unless that was done before.
fn dies_mounted(vm: &mut Vm) -> Outcome {
    let slot = Kind::NineP.slot();
    if vm.ok("grep -c ' /mnt/9p ' /proc/mounts; true")? == "1" {
        return Ok(());
    }
    vm.ok("ensure_unloaded && load_driver_with watchdog_s=1")?;
    check_bound(vm, Kind::NineP)?;
    vm.ok("mount_9p")?;
    configure_behind(vm, Kind::NineP, COMMAND, MEMORY_AND_MASTER)?;
    if vm.driver() == Driver::Rust {
        vm.ok(&format!("await 20 journal_has {slot} Gone"))?;
    }
    Ok(())
}

/// Its virtio driver waits for the unmount, and nothing else is to wait for it.
pub(crate) fn all() -> Vec<Test> {
    let sleeps = Cell::new("sleeps go on", |vm| {
        dies_mounted(vm)?;
        for level in ["freezer", "devices"] {
            vm.ok_within(&format!("pm_test_cycles mem {level} 2"), SLEEP)?;
            check_io(vm, Kind::Blk)?;
        }
        Ok(())
    });
    let siblings = Cell::new("a reset of another device goes on", |vm| {
        dies_mounted(vm)?;
        let slot = Kind::Blk.slot();
        vm.ok_within(&format!("reset_device {slot} 1"), SLEEP)?;
        check_io(vm, Kind::Blk)
    });
    vec![Test::new(
        "9p-dies",
        "a folder that is mounted when its device dies",
        Layout::new(Board::Q35, Interrupts::PerQueue, 2).with_kinds(&[Kind::NineP, Kind::Blk]),
        vec![siblings, sleeps.cycles(4)],
    )
    .in_check()]
}
