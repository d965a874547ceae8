// SPDX-License-Identifier: GPL-2.0

//! Devices that are not what they were when the machine was hibernated.

use std::time::Duration;

use super::device::{check_bound, check_io};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// What the PM core says of devices that are not restored.
const NOT_RESTORED: &[&str] = &["pci_pm_restore returns -19", "failed to restore"];

/// A way in which the devices are not what they were.
pub(crate) struct Change {
    /// The name of the test.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) about: &'static str,
    /// The properties to set when the machine is resumed, of the device with this name.
    pub(crate) set: fn(Kind) -> Vec<String>,
    /// The devices that are changed.
    pub(crate) kinds: &'static [Kind],
    /// The event in the journal of each of them, and a word of its line; none if they are to work.
    pub(crate) event: Option<&'static str>,
    /// Whether they can be bound again, with the interrupts of before.
    pub(crate) rebinds: bool,
}

fn cells(change: &'static Change) -> Vec<Cell> {
    let resumed = Cell::new("hibernated and resumed", |vm| {
        vm.allow(NOT_RESTORED);
        vm.ok(&format!("ensure_loaded && swap_on {}", Kind::Swap.slot()))?;
        for kind in Kind::FROZEN {
            check_io(vm, kind)?;
        }
        for property in change.kinds.iter().flat_map(|&kind| (change.set)(kind)) {
            vm.add_arguments(&["-set", &property]);
        }
        vm.hibernate_by("echo shutdown >/sys/power/disk && go_to_sleep disk")?;
        vm.connect_port()?;
        for kind in Kind::FROZEN {
            match change.event {
                Some(event) if change.kinds.contains(&kind) => {
                    vm.ok(&format!("check_detached {} {event}", kind.slot()))?;
                }
                _ => {
                    vm.ok(&format!("await 10 is_live {}", kind.slot()))?;
                    check_io(vm, kind)?;
                }
            }
        }
        Ok(())
    });
    let again = Cell::new("suspended again", |vm| {
        vm.ok("has_hibernated")?;
        vm.ok("pm_test_cycles mem devices 3")?;
        vm.ok("pm_test_cycles disk devices 3").map(drop)
    });
    let mut cells = vec![resumed, again];
    if change.rebinds {
        cells.push(Cell::new("bound again", |vm| {
            vm.ok("has_hibernated")?;
            vm.connect_port()?;
            for kind in Kind::FROZEN {
                vm.ok(&format!("rebind_device {}", kind.slot()))?;
                check_bound(vm, kind)?;
                check_io(vm, kind)?;
            }
            Ok(())
        }));
    }
    cells.push(Cell::new("rmmod", |vm| {
        vm.ok("has_hibernated")?;
        vm.ok("stop_swap; unload_driver").map(drop)
    }));
    cells
}

/// The test of such a change.
#[track_caller]
pub(crate) fn test(change: &'static Change) -> Test {
    let layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2)
        .with_kinds(&Kind::FROZEN)
        .with_swap();
    Test::new(change.name, change.about, layout, cells(change)).limit(Duration::from_secs(600))
}
