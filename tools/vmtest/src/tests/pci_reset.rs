// SPDX-License-Identifier: GPL-2.0

//! Resets of a device by the PCI core, while it is in use.

use std::time::Duration;

use crate::cells::device::{check_bound, check_io};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// How often the device is reset.
const RESETS: u32 = 20;

fn test(interrupts: Interrupts) -> Test {
    let slot = Kind::Blk.slot();
    let under_load = Cell::new(format!("a disk under load, {RESETS} resets"), move |vm| {
        vm.ok("ensure_loaded")?;
        vm.ok(&format!("start_work {slot}"))?;
        vm.ok(&format!("reset_device {slot} {RESETS}"))?;
        vm.ok(&format!("check_work {slot}"))?;
        vm.ok_within(&format!("stop_load {slot}"), Duration::from_secs(90))?;
        check_bound(vm, Kind::Blk)?;
        check_io(vm, Kind::Blk)
    });
    let without_driver = Cell::new("a disk without a virtio driver", move |vm| {
        vm.ok("ensure_loaded")?;
        vm.ok(&format!("unbind_virtio_driver {slot}"))?;
        vm.ok(&format!("reset_device {slot} 1"))?;
        vm.ok(&format!("bind_virtio_driver {slot} virtio_blk"))?;
        vm.ok(&format!("check_acknowledged {slot}"))?;
        check_io(vm, Kind::Blk)
    });
    let unsupported = Cell::new("a virtio driver that does not support it", |vm| {
        let slot = Kind::Rng.slot();
        vm.ok("ensure_loaded")?;
        vm.ok(&format!("reset_device {slot} 1"))?;
        vm.ok(&format!("rebind_device {slot}"))?;
        check_bound(vm, Kind::Rng)?;
        check_io(vm, Kind::Rng)
    });
    Test::new(
        format!("pci-reset-{interrupts}"),
        format!("resets by the PCI core of a device in use, {interrupts} interrupts"),
        Layout::new(Board::Q35, interrupts, 2).with_kinds(&[Kind::Blk, Kind::Rng]),
        vec![under_load, without_driver, unsupported],
    )
}

/// The tests of resets by the PCI core; virtio-blk is the driver that supports them.
pub(crate) fn all() -> Vec<Test> {
    vec![
        test(Interrupts::PerQueue).in_check(),
        test(Interrupts::Intx),
    ]
}
