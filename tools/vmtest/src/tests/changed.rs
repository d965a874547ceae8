// SPDX-License-Identifier: GPL-2.0

//! Devices that are not what they were when the machine was hibernated.

use std::time::Duration;

use super::device::{check_bound, check_io};
use crate::layout::{Board, Interrupts, Kind, Layout};
use crate::runner::{Cell, Test};
use crate::vm::BOOT;

/// What the PM core says of devices that are not restored.
const NOT_RESTORED: &[&str] = &["pci_pm_restore returns -19", "failed to restore"];

/// The devices whose drivers can be frozen.
const FROZEN: [Kind; 7] = [
    Kind::Blk,
    Kind::Blk4,
    Kind::Net,
    Kind::Console,
    Kind::Rng,
    Kind::Scsi,
    Kind::Balloon,
];

fn cells() -> Vec<Cell> {
    let resumed = Cell::new("hibernated, resumed with fewer features", |vm| {
        vm.allow(NOT_RESTORED);
        vm.ok(&format!("ensure_loaded && swap_on {}", Kind::Swap.slot()))?;
        for kind in FROZEN {
            check_io(vm, kind)?;
        }
        for kind in FROZEN {
            let fewer = format!("device.{}.event_idx=off", kind.id());
            vm.add_arguments(&["-set", &fewer]);
        }
        vm.hibernate_by("echo shutdown >/sys/power/disk && echo disk >/sys/power/state")?;
        for kind in FROZEN {
            vm.ok(&format!("check_disconnected {}", kind.slot()))?;
        }
        Ok(())
    });
    let again = Cell::new("suspended while disconnected", |vm| {
        vm.ok("check_is_disconnected")?;
        vm.ok("pm_test_cycles mem devices 3")?;
        vm.ok("pm_test_cycles disk devices 3").map(drop)
    });
    let anew = Cell::new("bound anew", |vm| {
        vm.ok("check_is_disconnected")?;
        vm.connect_port()?;
        for kind in FROZEN {
            vm.ok(&format!("rebind_device {}", kind.slot()))?;
            check_bound(vm, kind)?;
            check_io(vm, kind)?;
        }
        vm.ok("stop_swap; unload_driver && load_driver").map(drop)
    });
    vec![resumed, again, anew]
}

/// The tests of devices that changed while the machine was off.
pub(crate) fn all() -> Vec<Test> {
    let layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2)
        .with_kinds(&FROZEN)
        .with_swap();
    vec![Test {
        name: "fewer-features".to_owned(),
        about: "devices that lack a feature when the machine is resumed".to_owned(),
        layout,
        boot: BOOT,
        limit: Duration::from_secs(600),
        cells: cells(),
    }]
}
