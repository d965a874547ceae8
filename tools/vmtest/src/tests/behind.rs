// SPDX-License-Identifier: GPL-2.0

//! Devices whose registers are changed behind the driver's back, by QEMU's monitor.

use std::time::Duration;

use serde_json::json;

use super::config_space::{configure, write_port, COMMAND, MEMORY_AND_MASTER};
use super::device::{check_bound, check_io};
use crate::evidence::AWAKE;
use crate::failure::Outcome;
use crate::layout::{Board, Interrupts, Kind, Layout};
use crate::runner::{Cell, Test};
use crate::vm::{Vm, BOOT};

/// The device whose reader must not wait for ever.
const DIES: Kind = Kind::Rng;
/// The device that must not be harmed.
const STAYS: Kind = Kind::Blk;
/// The offset of the register STATUS.
const STATUS: u32 = 18;

/// Has the driver look every second, and a reader wait for the device.
fn begin(vm: &mut Vm) -> Outcome {
    vm.ok("ensure_unloaded && load_driver_with watchdog_s=1")?;
    for kind in [DIES, STAYS] {
        check_bound(vm, kind)?;
    }
    vm.ok("start_random_reader").map(drop)
}

/// The reader has got an error, the other device works, and so does this one when bound again.
fn end(vm: &mut Vm, says: &str) -> Outcome {
    let slot = DIES.slot();
    vm.ok(&format!("check_died {slot} '{says}'"))?;
    check_io(vm, STAYS)?;
    vm.ok(&format!("rebind_device {slot}"))?;
    check_bound(vm, DIES)?;
    check_io(vm, DIES)?;
    vm.ok("unload_driver").map(drop)
}

fn cells() -> Vec<Cell> {
    let undecoded = Cell::new("its I/O ports are not decoded any more", |vm| {
        begin(vm)?;
        configure(vm, DIES, COMMAND, MEMORY_AND_MASTER)?;
        end(
            vm,
            "device is gone: registers read as all ones, I/O decoding is off",
        )
    });
    let reset = Cell::new("it is reset by somebody else", |vm| {
        begin(vm)?;
        let ports = vm.ok(&format!("ports_of {}", DIES.slot()))?;
        let first = ports.trim().trim_start_matches("0x");
        let first = u32::from_str_radix(first, 16).map_err(anyhow::Error::from)?;
        write_port(vm, 'b', first + STATUS, 0)?;
        end(vm, "device was reset by somebody else")
    });
    let unwatched = Cell::new("seen without a watchdog, when a register is read", |vm| {
        vm.ok("ensure_unloaded && load_driver_with watchdog_s=0")?;
        check_bound(vm, DIES)?;
        vm.ok("start_random_reader")?;
        configure(vm, DIES, COMMAND, MEMORY_AND_MASTER)?;
        let slot = DIES.slot();
        // With INTx, the handler may have seen it before.
        vm.ok(&format!(
            "cat /sys/bus/virtio/devices/$(virtio_of {slot})/status || fails virtio_of {slot}"
        ))?;
        end(
            vm,
            "device is gone: registers read as all ones, I/O decoding is off",
        )
    });
    vec![undecoded, reset, unwatched]
}

/// A disk that dies with requests in flight, which its virtio driver waits for in vain.
fn lost_requests() -> Test {
    let cell = Cell::new("no sleep that would hang", |vm| {
        let slot = Kind::Blk4.slot();
        vm.allow(&[
            "returns -16",
            "failed to suspend",
            "failed to freeze",
            AWAKE,
        ]);
        vm.ok("ensure_unloaded && load_driver_with watchdog_s=1")?;
        for kind in [Kind::Blk4, STAYS] {
            check_bound(vm, kind)?;
        }
        vm.ok(&format!("start_reads {slot}"))?;
        // With one request a second, the reader is never between two of them when the disk dies.
        let slow = json!({
            "id": format!("/machine/peripheral/{}/virtio-backend", Kind::Blk4.id()),
            "iops": 1, "iops_rd": 0, "iops_wr": 0, "bps": 0, "bps_rd": 0, "bps_wr": 0,
        });
        vm.qmp().execute("block_set_io_throttle", &slow)?;
        vm.ok(&format!("await 20 reads_wait {slot}"))?;
        configure(vm, Kind::Blk4, COMMAND, MEMORY_AND_MASTER)?;
        vm.ok(&format!(
            "await 20 log_says {slot} 'virtio device stays registered'"
        ))?;
        for state in ["mem", "disk"] {
            vm.ok(&format!("check_sleep_refused {state}"))?;
            check_io(vm, STAYS)?;
        }
        vm.ok(&format!(
            "log_says {slot} 'not frozen: its virtio driver would wait for a dead device'"
        ))
        .map(drop)
    });
    Test {
        name: "lost-requests".to_owned(),
        about: "a disk that dies with requests in flight".to_owned(),
        layout: Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&[Kind::Blk4, STAYS]),
        boot: BOOT,
        limit: Duration::from_secs(120),
        cells: vec![cell],
    }
}

fn test(interrupts: Interrupts) -> Test {
    Test {
        name: format!("behind-the-back-{interrupts}"),
        about: format!("a device that dies while somebody waits for it, {interrupts} interrupts"),
        layout: Layout::new(Board::Pc, interrupts, 2).with_kinds(&[DIES, STAYS]),
        boot: BOOT,
        limit: Duration::from_secs(300),
        cells: cells(),
    }
}

/// The tests of devices that are changed by others.
pub(crate) fn all() -> Vec<Test> {
    vec![
        test(Interrupts::PerQueue),
        test(Interrupts::Intx),
        lost_requests(),
    ]
}
