// SPDX-License-Identifier: GPL-2.0

//! A disk that dies with requests in flight, which its virtio driver waits for in vain.

use std::time::Duration;

use serde_json::json;

use crate::cells::config_space::{configure, COMMAND, MEMORY_AND_MASTER};
use crate::cells::device::{check_bound, check_io};
use vm::evidence::AWAKE;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// The disk that dies.
const DIES: Kind = Kind::Blk4;
/// The device that must not be harmed.
const STAYS: Kind = Kind::Blk;

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    let cell = Cell::new("no sleep that would hang", |vm| {
        let slot = DIES.slot();
        vm.allow(&[
            "returns -16",
            "failed to suspend",
            "failed to freeze",
            AWAKE,
        ]);
        vm.ok("ensure_unloaded && load_driver_with watchdog_s=1")?;
        for kind in [DIES, STAYS] {
            check_bound(vm, kind)?;
        }
        vm.ok(&format!("start_reads {slot}"))?;
        // With one request a second, the reader is never between two of them when the disk dies.
        let slow = json!({
            "id": format!("/machine/peripheral/{}/virtio-backend", DIES.id()),
            "iops": 1, "iops_rd": 0, "iops_wr": 0, "bps": 0, "bps_rd": 0, "bps_wr": 0,
        });
        vm.qmp().execute("block_set_io_throttle", &slow)?;
        vm.ok(&format!("await 20 reads_wait {slot}"))?;
        configure(vm, DIES, COMMAND, MEMORY_AND_MASTER)?;
        vm.ok(&format!("await 20 journal_has {slot} Kept"))?;
        for state in ["mem", "disk"] {
            vm.ok(&format!("check_sleep_refused {state}"))?;
            check_io(vm, STAYS)?;
        }
        vm.ok(&format!("journal_has {slot} NotFrozen")).map(drop)
    });
    vec![Test::new(
        "lost-requests",
        "a disk that dies with requests in flight",
        Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&[DIES, STAYS]),
        vec![cell],
    )
    .in_check()
    .limit(Duration::from_secs(120))]
}
