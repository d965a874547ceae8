// SPDX-License-Identifier: GPL-2.0

//! Devices that are not what they were when the machine was hibernated.

use std::time::Duration;

use super::device::{check_bound, check_io};
use crate::layout::{Board, Interrupts, Kind, Layout};
use crate::runner::{Cell, Test};
use crate::vm::BOOT;

/// What the PM core says of devices that are not restored.
const NOT_RESTORED: &[&str] = &["pci_pm_restore returns -19", "failed to restore"];

/// A way in which the devices are not what they were.
struct Change {
    name: &'static str,
    about: &'static str,
    /// The properties to set when the machine is resumed, of the device with this name.
    set: fn(Kind) -> Vec<String>,
    /// The devices that are changed.
    kinds: &'static [Kind],
    /// What the kernel log says of each of them, or nothing if they are to work.
    says: Option<&'static str>,
    /// Whether they can be bound again, with the interrupts of before.
    rebinds: bool,
}

/// A slot that is free.
const NOWHERE: u32 = 0x10;

const CHANGES: [Change; 5] = [
    Change {
        name: "fewer-features",
        about: "devices that lack a feature when the machine is resumed",
        set: |kind| vec![format!("device.{}.event_idx=off", kind.id())],
        kinds: &Kind::FROZEN,
        says: Some("offered features 0x[0-9a-f]* lack 0x20000000 of the accepted"),
        rebinds: true,
    },
    Change {
        name: "missing-devices",
        about: "devices that are in another slot when the machine is resumed",
        set: |kind| {
            let slot = u32::from_str_radix(kind.slot(), 16).unwrap_or_default();
            vec![format!("device.{}.addr={:#x}", kind.id(), NOWHERE + slot)]
        },
        kinds: &Kind::FROZEN,
        says: Some("device is gone: the configuration space reads as all ones"),
        rebinds: false,
    },
    Change {
        name: "other-devices",
        about: "devices that have changed their slots when the machine is resumed",
        set: |kind| {
            // The kernel gives each the other's base address registers, so these must have one size.
            let other = if kind == Kind::Scsi {
                Kind::Balloon
            } else {
                Kind::Scsi
            };
            vec![format!("device.{}.addr=0x{}", kind.id(), other.slot())]
        },
        kinds: &[Kind::Scsi, Kind::Balloon],
        says: Some("1af4:[0-9a-f]* (subsystem 1af4:[0-9a-f]*) in the slot of 1af4:"),
        rebinds: false,
    },
    Change {
        name: "fewer-vectors",
        about: "devices that have no MSI-X when the machine is resumed",
        set: |kind| vec![format!("device.{}.vectors=0", kind.id())],
        kinds: &Kind::FROZEN,
        says: None,
        rebinds: false,
    },
    Change {
        name: "smaller-queues",
        about: "disks whose virtqueues are smaller when the machine is resumed",
        set: |kind| vec![format!("device.{}.queue-size=64", kind.id())],
        kinds: &[Kind::Blk, Kind::Blk4],
        says: None,
        rebinds: true,
    },
];

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
            match change.says {
                Some(says) if change.kinds.contains(&kind) => {
                    vm.ok(&format!("check_detached {} '{says}'", kind.slot()))?;
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
        cells.push(Cell::new("bound anew", |vm| {
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

fn test(change: &'static Change) -> Test {
    let layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2)
        .with_kinds(&Kind::FROZEN)
        .with_swap();
    Test {
        name: change.name.to_owned(),
        about: change.about.to_owned(),
        layout,
        boot: BOOT,
        limit: Duration::from_secs(600),
        cells: cells(change),
    }
}

/// The tests of devices that changed while the machine was off.
pub(crate) fn all() -> Vec<Test> {
    CHANGES.iter().map(test).collect()
}
