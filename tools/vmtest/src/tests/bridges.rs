// SPDX-License-Identifier: GPL-2.0

//! Devices behind bridges, and eight of them in one slot.

use std::time::Duration;

use crate::cells::sleep::Cycles;
use vm::failure::{Failure, Outcome};
use vm::layout::{Board, Interrupts, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// A disk, and how its slot is named in the guest: that of a bridge stands for what is behind it.
struct Disk {
    name: &'static str,
    slot: String,
    bus: &'static str,
    address: String,
}

/// The argument of its device.
fn device(disk: &Disk, vectors: u8) -> String {
    let Disk {
        name, bus, address, ..
    } = disk;
    format!(
        "virtio-blk-pci,id=dev-{name},drive={name},bus={bus},addr={address},multifunction=on,\
         disable-legacy=off,disable-modern=on,num-queues=1,vectors={vectors}"
    )
}

/// Bridges of the machine, each with the slot of its disk and the disk's bus.
fn bridges(board: Board) -> Vec<(&'static str, &'static str, &'static str)> {
    match board {
        Board::Pc => vec![(
            "pci-bridge,id=bridge,bus=pci.0,addr=0x10,chassis_nr=1,shpc=on",
            "10",
            "bridge",
        )],
        Board::Q35 | Board::Virt => vec![
            (
                "pcie-root-port,id=root-port,bus=pcie.0,addr=0x10,chassis=1,slot=1",
                "10",
                "root-port",
            ),
            (
                "pcie-pci-bridge,id=bridge,bus=pcie.0,addr=0x11",
                "11",
                "bridge",
            ),
        ],
    }
}

/// Every disk is live, and reads back what is written.
fn check_disks(vm: &mut Vm, slots: &[String]) -> Outcome {
    slots.iter().try_for_each(|slot| {
        vm.ok(&format!(
            "await 10 is_live {slot} && await 10 disk_of {slot}"
        ))?;
        vm.ok(&format!("small_io disk {slot}")).map(drop)
    })
}

fn cells(slots: &[String], board: Board, cycles: Cycles) -> Vec<Cell> {
    // One S3 a boot is all that QEMU's q35 takes.
    let suspends = match board {
        Board::Pc => cycles.suspend,
        Board::Q35 | Board::Virt => 1,
    };
    let cell = |name: String, count: u32, sleep: Box<dyn Fn(&mut Vm) -> Outcome>| {
        let slots = slots.to_vec();
        let cell = Cell::new(name, move |vm| {
            vm.ok("ensure_loaded")?;
            check_disks(vm, &slots)?;
            sleep(vm)?;
            check_disks(vm, &slots)
        });
        cell.cycles(count)
    };
    let slept = |state: &'static str| {
        cell(
            format!("{state}, pm_test core, 2 times"),
            2,
            Box::new(move |vm| vm.ok(&format!("pm_test_cycles {state} core 2")).map(drop)),
        )
    };
    vec![
        cell("insmod".to_owned(), 0, Box::new(|_| Ok(()))),
        slept("mem"),
        slept("disk"),
        cell(
            format!("suspend to memory, {suspends} times"),
            suspends,
            Box::new(move |vm| (0..suspends).try_for_each(|_| vm.suspend_to_memory())),
        ),
        cell(
            "rmmod and insmod".to_owned(),
            0,
            Box::new(|vm| vm.ok("unload_driver && load_driver").map(drop)),
        ),
    ]
}

/// Takes a disk behind a bridge away and puts it back, by the bridge's own hot-plug controller.
fn replugged(disk: &Disk, vectors: u8) -> Cell {
    let (slot, id) = (disk.slot.clone(), format!("dev-{}", disk.name));
    let device = device(disk, vectors);
    Cell::new("hot-unplug and hot-plug behind the bridge", move |vm| {
        vm.ok("ensure_loaded")?;
        let slots = [slot.clone()];
        check_disks(vm, &slots)?;
        vm.qmp()
            .execute("device_del", &serde_json::json!({ "id": id }))?;
        vm.qmp().wait_deleted(&id, Duration::from_secs(40))?;
        vm.ok(&format!("await 20 fails pci_of {slot}"))?;
        let said = vm.qmp().human("drive_add 0 if=none,id=again,snapshot=on,file.driver=null-co,file.size=8388608,file.read-zeroes=on")?;
        if said != "OK" {
            return Err(Failure::Failed(format!("drive_add: {said}")));
        }
        let device = device.replace(",drive=", ",drive=again,serial=");
        let said = vm.qmp().human(&format!("device_add {device}"))?;
        if !said.is_empty() {
            return Err(Failure::Failed(format!("device_add {device}: {said}")));
        }
        vm.ok(&format!("await 30 is_live {slot}"))?;
        check_disks(vm, &slots)
    })
}

fn test(board: Board, interrupts: Interrupts, cycles: Cycles) -> Test {
    let vectors = if interrupts == Interrupts::Intx { 0 } else { 2 };
    let root = match board {
        Board::Pc => "pci.0",
        Board::Q35 | Board::Virt => "pcie.0",
    };
    const NAMES: [&str; 8] = ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"];
    let mut disks: Vec<_> = NAMES
        .iter()
        .enumerate()
        .map(|(function, name)| Disk {
            name,
            slot: format!("18.{function}"),
            bus: root,
            address: format!("18.{function}"),
        })
        .collect();
    let mut layout = Layout::new(board, interrupts, 2).with_kinds(&[]);
    for (index, (bridge, slot, bus)) in bridges(board).into_iter().enumerate() {
        layout = layout.with([("-device", bridge.to_owned())]);
        disks.push(Disk {
            name: ["behind0", "behind1"][index],
            slot: slot.to_owned(),
            bus,
            address: if bus == "bridge" { "1" } else { "0" }.to_owned(),
        });
    }
    for disk in &disks {
        layout = layout
            .with_drive(disk.name, 8)
            .with([("-device", device(disk, vectors))]);
    }
    let slots: Vec<_> = disks.iter().map(|disk| disk.slot.clone()).collect();
    let mut cells = cells(&slots, board, cycles);
    let behind = disks.iter().filter(|disk| disk.bus == "bridge");
    cells.extend(behind.map(|disk| replugged(disk, vectors)));
    Test::new(
        format!("bridges-{board}-{interrupts}"),
        format!("disks behind bridges, eight in a slot, on {board}, {interrupts} interrupts"),
        layout,
        cells,
    )
    .limit(Duration::from_secs(600))
}

/// The tests of bridges and functions.
pub(crate) fn all(cycles: Cycles) -> Vec<Test> {
    vec![
        test(Board::Pc, Interrupts::PerQueue, cycles),
        test(Board::Pc, Interrupts::Intx, cycles),
        test(Board::Q35, Interrupts::PerQueue, cycles),
    ]
}
