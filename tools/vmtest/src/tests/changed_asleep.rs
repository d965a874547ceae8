// SPDX-License-Identifier: GPL-2.0

//! What the host changes while the machine sleeps.

use std::time::Duration;

use serde_json::json;

use crate::cells::device::{check_bound, check_io, MEBIBYTE};
use vm::grade::Grade;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// Sizes that a disk is changed to.
const SIZES: [u64; 2] = [80 * MEBIBYTE, 96 * MEBIBYTE];
const SECTOR: u64 = 512;
/// What the PM core says of a device that is not there any more when it is resumed.
const GONE: &[&str] = &["pci_pm_resume returns -19", "failed to resume"];

fn resized() -> Cell {
    let cell = Cell::new("a disk is resized", |vm| {
        let slot = Kind::Blk.slot();
        vm.ok("ensure_loaded")?;
        check_io(vm, Kind::Blk)?;
        for size in SIZES {
            vm.suspend_to_memory_and(|vm| {
                let arguments = json!({ "node-name": "disk-blk", "size": size });
                vm.qmp().execute("block_resize", &arguments).map(drop)
            })?;
            let sectors = size / SECTOR;
            vm.ok(&format!(
                "await 5 has_sectors {slot} {sectors} || has_sectors {slot} {sectors}"
            ))?;
            check_io(vm, Kind::Blk)?;
        }
        Ok(())
    });
    cell.cycles(2).on_c(Grade::Errors, "it keeps the old size")
}

fn link() -> Cell {
    let cell = Cell::new("a link goes down, and up", |vm| {
        let slot = Kind::Net.slot();
        vm.ok("ensure_loaded")?;
        check_io(vm, Kind::Net)?;
        for up in [false, true] {
            vm.suspend_to_memory_and(|vm| {
                let arguments = json!({ "name": Kind::Net.id(), "up": up });
                vm.qmp().execute("set_link", &arguments).map(drop)
            })?;
            let carrier = u8::from(up);
            vm.ok(&format!(
                "await 5 has_carrier {slot} {carrier} || has_carrier {slot} {carrier}"
            ))?;
        }
        check_io(vm, Kind::Net)
    });
    cell.cycles(2).on_c(Grade::Errors, "the carrier stays")
}

fn unplugged() -> Cell {
    let cell = Cell::new("a device is unplugged, and plugged awake", |vm| {
        vm.allow(GONE);
        vm.ok("ensure_loaded")?;
        check_io(vm, Kind::Rng)?;
        let id = Kind::Rng.id();
        let command = "echo deep >/sys/power/mem_sleep; go_to_sleep mem";
        let sleep = vm.fall_asleep(command)?;
        vm.qmp().execute("device_del", &json!({ "id": id }))?;
        vm.wake_up(sleep)?;
        vm.qmp().wait_deleted(&id, Duration::from_secs(40))?;
        // The machine does not tell its kernel of it; the driver finds that the device is gone.
        let slot = Kind::Rng.slot();
        vm.ok(&format!("await 20 fails virtio_of {slot}"))?;
        vm.ok(&format!("remove_gone $(pci_of {slot})"))?;
        vm.plug(Kind::Rng)?;
        check_bound(vm, Kind::Rng)?;
        check_io(vm, Kind::Rng)
    });
    cell.cycles(1)
        .on_c(Grade::Errors, "the virtio device stays")
}

fn plugged() -> Cell {
    let cell = Cell::new("a device is plugged, and found by a scan", |vm| {
        vm.ok("ensure_loaded")?;
        vm.unplug(Kind::Rng)?;
        vm.suspend_to_memory_and(|vm| {
            let device = vm.layout().device(Kind::Rng);
            let said = vm.qmp().human(&format!("device_add {device}"))?;
            match said.as_str() {
                "" => Ok(()),
                said => Err(vm::failure::Failure::Failed(said.to_owned())),
            }
        })?;
        // The machine does not tell its kernel of what was plugged in S3.
        vm.ok("echo 1 >/sys/bus/pci/rescan")?;
        check_bound(vm, Kind::Rng)?;
        check_io(vm, Kind::Rng)
    });
    cell.cycles(1)
}

fn test(interrupts: Interrupts) -> Test {
    Test::new(
        format!("changed-asleep-{interrupts}"),
        format!("what the host changes while the machine sleeps, {interrupts} interrupts"),
        Layout::new(Board::Pc, interrupts, 2).with_kinds(&[Kind::Blk, Kind::Net, Kind::Rng]),
        vec![resized(), link(), unplugged(), plugged()],
    )
}

/// The tests of what changes in S3.
pub(crate) fn all() -> Vec<Test> {
    vec![
        test(Interrupts::PerQueue).in_check(),
        test(Interrupts::Intx),
    ]
}
