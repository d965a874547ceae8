// SPDX-License-Identifier: GPL-2.0

//! What the Rust driver shows in debugfs.

use crate::cells::device::{check_bound, check_io};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

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

/// The tests of debugfs.
pub(crate) fn all() -> Vec<Test> {
    let debugfs = Test::new(
        "debugfs",
        "what the Rust driver shows of its devices",
        Layout::new(Board::Pc, Interrupts::PerQueue, 2)
            .with_kinds(&[Kind::Blk])
            .with_swap(),
        cells(),
    )
    .in_check();
    vec![debugfs]
}
