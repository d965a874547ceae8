// SPDX-License-Identifier: GPL-2.0

//! Machines that are put back to a snapshot, awake and asleep.

use crate::cells::stamps::{begin, end, goes_on, stamps, DISK, KINDS};
use vm::failure::{Failure, Outcome};
use vm::layout::{Board, Interrupts, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

fn monitor(vm: &mut Vm, command: &str) -> Outcome {
    let said = vm.qmp().human(command)?;
    if said.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!("{command}: {said}")))
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

fn test(interrupts: Interrupts) -> Test {
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
    Test::new(
        format!("snapshot-{interrupts}"),
        format!(
            "a machine that is put back to a snapshot, awake and in S3, {interrupts} interrupts"
        ),
        layout,
        vec![awake, asleep.cycles(1)],
    )
}

/// The tests of snapshots.
pub(crate) fn all() -> Vec<Test> {
    vec![test(Interrupts::PerQueue), test(Interrupts::Intx)]
}
