// SPDX-License-Identifier: GPL-2.0

//! Virtio drivers that are looked at, by `lint=1`.

use crate::cells::device::check_io;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// The counter of notifications that come too early.
const EARLY: &str = "notifications before DRIVER_OK";

/// The counters of what virtio drivers must not do.
const BREACHES: [&str; 3] = [
    EARLY,
    "notifications after a reset",
    "configuration written before features",
];

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    let only_balloon = Cell::new(
        "of the virtio drivers, only that of the balloon does wrong",
        |vm| {
            vm.ok("ensure_unloaded && load_driver_with lint=1")?;
            for kind in Kind::FROZEN {
                check_io(vm, kind)?;
            }
            vm.ok("pm_test_cycles mem devices 2")?;
            vm.connect_port()?;
            for kind in Kind::FROZEN {
                check_io(vm, kind)?;
                let slot = kind.slot();
                vm.ok(&format!("rebind_device {slot}"))?;
                for breach in BREACHES {
                    // It notifies the virtqueue for statistics when it has just found it.
                    let count = i32::from(kind == Kind::Balloon && breach == EARLY);
                    let line = format!("^lint: {breach}: {count}$");
                    vm.ok(&format!("debugfs_says {slot} counters '{line}'"))?;
                }
                vm.ok(&format!("debugfs_says {slot} counters '^lint is on$'"))?;
            }
            vm.ok(&format!(
                "log_says {} 'lint: driver virtio_balloon notifies virtqueue 2 before DRIVER_OK'",
                Kind::Balloon.slot()
            ))?;
            vm.ok("unload_driver").map(drop)
        },
    );
    vec![Test::new(
        "lint",
        "virtio drivers that are looked at",
        Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&Kind::FROZEN),
        vec![only_balloon.needs_module()],
    )
    .in_check()]
}
