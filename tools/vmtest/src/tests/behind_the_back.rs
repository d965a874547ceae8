// SPDX-License-Identifier: GPL-2.0

//! Devices whose registers are changed behind the driver's back, by QEMU's monitor.

use crate::cells::config_space::{configure, write_port, COMMAND, MEMORY_AND_MASTER};
use crate::cells::device::{check_bound, check_io};
use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// The device whose reader must not wait for ever.
const DIES: Kind = Kind::Rng;
/// The device that must not be harmed.
const STAYS: Kind = Kind::Blk;
/// The event that tells that its ports are not decoded, and a word of its line.
const NOT_DECODING: &str = "Gone COMMAND";
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
fn end(vm: &mut Vm, event: &str) -> Outcome {
    let slot = DIES.slot();
    vm.ok(&format!("check_died {slot} {event}"))?;
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
        end(vm, NOT_DECODING)
    });
    let reset = Cell::new("it is reset by somebody else", |vm| {
        begin(vm)?;
        let ports = vm.ok(&format!("ports_of {}", DIES.slot()))?;
        let first = ports.trim().trim_start_matches("0x");
        let first = u32::from_str_radix(first, 16).map_err(anyhow::Error::from)?;
        write_port(vm, 'b', first + STATUS, 0)?;
        end(vm, "StatusLost")
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
        end(vm, NOT_DECODING)
    });
    vec![undecoded, reset, unwatched]
}

fn test(interrupts: Interrupts) -> Test {
    Test::new(
        format!("behind-the-back-{interrupts}"),
        format!("a device that dies while somebody waits for it, {interrupts} interrupts"),
        Layout::new(Board::Pc, interrupts, 2).with_kinds(&[DIES, STAYS]),
        cells(),
    )
}

/// The tests of devices that are changed by others.
pub(crate) fn all() -> Vec<Test> {
    vec![
        test(Interrupts::PerQueue).in_check(),
        test(Interrupts::Intx).in_check(),
    ]
}
