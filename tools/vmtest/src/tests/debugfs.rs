// SPDX-License-Identifier: GPL-2.0

//! What the Rust driver shows in debugfs.

use std::time::Duration;

use super::device::{check_bound, check_io};
use crate::layout::{Board, Interrupts, Kind, Layout};
use crate::runner::{Cell, Test};
use crate::vm::BOOT;

/// What the files of a live disk with its own vectors say, as regular expressions.
const LIVE: &[(&str, &str)] = &[
    ("journal", r"\] StatusWritten: .*(ACKNOWLEDGE|DRIVER)"),
    (
        "journal",
        r"\] StatusWritten: .*(ACKNOWLEDGE|DRIVER|DRIVER_OK)",
    ),
    ("journal", r"\] Offered: .*0x[0-9a-f]*"),
    ("journal", r"\] Virtqueue: .*QUEUE_PFN 0x"),
    ("registers", "^HOST_FEATURES     0x[0-9a-f]*$"),
    (
        "registers",
        r"^STATUS            0x07 (ACKNOWLEDGE|DRIVER|DRIVER_OK)$",
    ),
    ("registers", "^device configuration at 24$"),
    (
        "queues",
        "^0 req.0: [0-9]* entries at 0x[0-9a-f]*, [0-9]* free$",
    ),
    ("vectors", "^one MSI-X vector per virtqueue$"),
    ("vectors", "^virtqueue 0: vector 1, interrupt [0-9]*$"),
    ("counters", "^not restored: 0$"),
];

fn cells() -> Vec<Cell> {
    let slot = Kind::Blk.slot();
    let files = Cell::new("the files of a live device", move |vm| {
        vm.ok("ensure_loaded")?;
        check_bound(vm, Kind::Blk)?;
        for (file, line) in LIVE {
            vm.ok(&format!("debugfs_says {slot} {file} '{line}'"))?;
        }
        Ok(())
    });
    let hibernated = Cell::new("the journal survives hibernation", move |vm| {
        vm.ok(&format!("ensure_loaded && swap_on {}", Kind::Swap.slot()))?;
        vm.hibernate()?;
        for line in [r"\] Begun: freeze", r"\] Ended: restore ended$"] {
            vm.ok(&format!("debugfs_says {slot} journal '{line}'"))?;
        }
        vm.ok(&format!(
            "debugfs_says {slot} journal '{}' && debugfs_says {slot} counters '^restored: 1$'",
            LIVE[0].1
        ))?;
        vm.ok("stop_swap").map(drop)
    });
    let busy = Cell::new("read while devices come and go", move |vm| {
        vm.ok("ensure_loaded && start_debugfs_reader")?;
        for _ in 0..10 {
            vm.ok(&format!("rebind_device {slot}"))?;
            check_io(vm, Kind::Blk)?;
            vm.ok("pm_test_cycles mem devices 2")?;
        }
        // A file that is open at the moment holds the module.
        vm.ok("await 20 unload_driver && load_driver && stop_debugfs_reader")?;
        vm.ok("unload_driver && [ ! -e /sys/kernel/debug/virtio_pci_rs ]")
            .map(drop)
    });
    [files, hibernated, busy].map(Cell::needs_module).into()
}

/// The counter of notifications that come too early.
const EARLY: &str = "notifications before DRIVER_OK";

/// The counters of what virtio drivers must not do.
const BREACHES: [&str; 3] = [
    EARLY,
    "notifications after a reset",
    "configuration written before features",
];

fn lint() -> Test {
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
    Test {
        name: "lint".to_owned(),
        about: "virtio drivers that are looked at".to_owned(),
        layout: Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&Kind::FROZEN),
        boot: BOOT,
        limit: Duration::from_secs(300),
        cells: vec![only_balloon.needs_module()],
    }
}

/// The tests of debugfs.
pub(crate) fn all() -> Vec<Test> {
    let debugfs = Test {
        name: "debugfs".to_owned(),
        about: "what the Rust driver shows of its devices".to_owned(),
        layout: Layout::new(Board::Pc, Interrupts::PerQueue, 2)
            .with_kinds(&[Kind::Blk])
            .with_swap(),
        boot: BOOT,
        limit: Duration::from_secs(300),
        cells: cells(),
    };
    vec![debugfs, lint()]
}
