// SPDX-License-Identifier: GPL-2.0

//! Virtio drivers that cannot be frozen: 9p has no `freeze`.

use crate::cells::device::{check_bound, check_io};
use vm::evidence::AWAKE;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

fn cells() -> Vec<Cell> {
    let slot = Kind::NineP.slot();
    let mut cells = Vec::new();
    for state in ["mem", "disk"] {
        cells.push(Cell::new(
            format!("{state}: reset, and said so"),
            move |vm| {
                vm.ok("ensure_loaded")?;
                vm.ok("mount_9p")?;
                vm.ok(&format!("pm_test_cycles {state} devices 2"))?;
                vm.ok(&format!("check_held_in_reset {slot}"))?;
                vm.ok(&format!(
                    "journal_has {slot} HeldInReset && log_says {slot} 'driver 9pnet_virtio '"
                ))?;
                vm.ok("check_9p_gives_errors")?;
                vm.ok("umount -f /mnt/9p")?;
                vm.ok(&format!("rebind_device {slot}"))?;
                check_bound(vm, Kind::NineP)?;
                check_io(vm, Kind::NineP)
            },
        ));
    }
    let refused = Cell::new("refuse_freeze=1: the sleep is refused", move |vm| {
        vm.allow(&[
            "returns -16",
            "failed to suspend",
            "failed to freeze",
            AWAKE,
        ]);
        vm.ok("ensure_unloaded && load_driver_with refuse_freeze=1")?;
        vm.ok("mount_9p")?;
        for state in ["mem", "disk"] {
            vm.ok(&format!("check_sleep_refused {state}"))?;
            vm.ok("cmp /mnt/9p/host /mnt/9p/host")?;
            check_io(vm, Kind::Blk)?;
        }
        vm.ok(&format!(
            "journal_has {slot} SleepRefused && log_says {slot} 'driver 9pnet_virtio '"
        ))?;
        vm.ok("grep -q ' /mnt/9p ' /proc/mounts && umount /mnt/9p; unload_driver && load_driver")
            .map(drop)
    });
    cells.push(refused.needs_module());
    cells
}

/// The tests of drivers that cannot be frozen.
pub(crate) fn all() -> Vec<Test> {
    vec![Test::new(
        "unfreezable",
        "a virtio driver that has virtqueues but no freeze",
        Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&[Kind::NineP, Kind::Blk]),
        cells(),
    )
    .in_check()]
}
