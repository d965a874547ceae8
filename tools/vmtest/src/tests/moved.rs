// SPDX-License-Identifier: GPL-2.0

//! Machines that are put back to a snapshot, or moved to another QEMU process, awake and asleep.

use std::time::Duration;

use super::device::{check_bound, check_io};
use crate::failure::{Failure, Outcome};
use crate::layout::{Board, Interrupts, Kind, Layout};
use crate::runner::{Cell, Test};
use crate::vm::{Vm, BOOT};

/// The devices beside the disk. A 9p device whose folder is mounted cannot be moved.
const KINDS: [Kind; 4] = [Kind::Net, Kind::Console, Kind::Rng, Kind::Balloon];
/// The slot of the disk.
const DISK: &str = Kind::Blk.slot();

/// Blocks are written to the disk, and each comes back.
fn begin(vm: &mut Vm) -> Outcome {
    vm.ok(&format!("ensure_loaded && start_stamps {DISK}"))?;
    KINDS.into_iter().try_for_each(|kind| check_bound(vm, kind))
}

/// They still do, and the other devices work.
fn goes_on(vm: &mut Vm) -> Outcome {
    vm.ok("stamps_move")?;
    vm.connect_port()?;
    KINDS.into_iter().try_for_each(|kind| check_io(vm, kind))
}

fn end(vm: &mut Vm) -> Outcome {
    vm.ok_within(&format!("stop_stamps {DISK}"), Duration::from_secs(90))?;
    vm.ok("unload_driver").map(drop)
}

fn monitor(vm: &mut Vm, command: &str) -> Outcome {
    let said = vm.qmp().human(command)?;
    if said.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!("{command}: {said}")))
}

fn stamps(vm: &mut Vm) -> Outcome<u32> {
    let said = vm.ok("stamps")?;
    said.parse()
        .map_err(|_| Failure::Failed(format!("stamps: {said}")))
}

/// Goes back in time: fewer blocks were written then.
fn goes_back(vm: &mut Vm) -> Outcome {
    let before = stamps(vm)?;
    monitor(vm, "loadvm then")?;
    vm.ok("true")?;
    let after = stamps(vm)?;
    if after >= before {
        let text = format!("{after} blocks after it went back, {before} before");
        return Err(Failure::Failed(text));
    }
    Ok(())
}

fn snapshots(interrupts: Interrupts) -> Test {
    let awake = Cell::new("awake", |vm| {
        begin(vm)?;
        monitor(vm, "savevm then")?;
        for _ in 0..4 {
            vm.ok("stamps_move")?;
        }
        goes_back(vm)?;
        goes_on(vm)?;
        end(vm)
    });
    let asleep = Cell::new("in S3", |vm| {
        begin(vm)?;
        let id = vm.fall_asleep("suspend_to_memory")?;
        monitor(vm, "savevm then")?;
        vm.wake_up(id)?;
        goes_on(vm)?;
        let before = stamps(vm)?;
        // A machine that is put back while it is awake is woken by QEMU.
        monitor(vm, "loadvm then")?;
        vm.end_sleep(id)?;
        let after = stamps(vm)?;
        if after > before {
            let text = format!("{after} blocks after it went back, {before} before");
            return Err(Failure::Failed(text));
        }
        goes_on(vm)?;
        end(vm)
    });
    let mut layout = Layout::new(Board::Pc, interrupts, 2)
        .with_kinds(&KINDS)
        .with_drive("then", 64)
        .with([(
            "-device",
            format!(
                "virtio-blk-pci,id=dev-then,drive=then,addr=0x{DISK},disable-legacy=off,\
                 disable-modern=on,vectors={}",
                if interrupts == Interrupts::Intx { 0 } else { 3 },
            ),
        )]);
    layout.has_tools = false;
    test(
        "snapshot",
        "put back to a snapshot",
        layout,
        vec![awake, asleep.cycles(1)],
    )
}

fn migrations(interrupts: Interrupts) -> Test {
    let awake = Cell::new("awake", |vm| {
        begin(vm)?;
        vm.migrate()?;
        goes_on(vm)?;
        end(vm)
    });
    let asleep = Cell::new("in S3", |vm| {
        begin(vm)?;
        let id = vm.fall_asleep("suspend_to_memory")?;
        vm.migrate()?;
        vm.wake_up(id)?;
        goes_on(vm)?;
        end(vm)
    });
    let mut kinds = vec![Kind::Blk];
    kinds.extend(KINDS);
    let mut layout = Layout::new(Board::Pc, interrupts, 2).with_kinds(&kinds);
    layout.has_tools = false;
    test(
        "migration",
        "moved to another QEMU",
        layout,
        vec![awake, asleep.cycles(1)],
    )
}

fn test(name: &str, about: &str, layout: Layout, cells: Vec<Cell>) -> Test {
    let interrupts = layout.interrupts;
    Test {
        name: format!("{name}-{interrupts}"),
        about: format!("a machine that is {about}, awake and in S3, {interrupts} interrupts"),
        layout,
        boot: BOOT,
        limit: Duration::from_secs(300),
        cells,
    }
}

/// The tests of snapshots and migration.
pub(crate) fn all() -> Vec<Test> {
    let modes = [Interrupts::PerQueue, Interrupts::Intx];
    modes
        .map(snapshots)
        .into_iter()
        .chain(modes.map(migrations))
        .collect()
}
