// SPDX-License-Identifier: GPL-2.0

//! Sleeps that are broken off; every device works afterwards, and the next sleep succeeds.

use std::time::Duration;

use machine::Variant;

use crate::cells::leaks::no_leaks;
use crate::cells::sleep::{check_idle_devices, under_load};
use vm::evidence::AWAKE;
use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// How often each sleep is broken off.
const TIMES: u32 = 3;

/// A SCSI disk that fails each flush, which its driver asks for when it is suspended.
const BAD_DISK: [&str; 4] = [
    "-blockdev",
    "driver=blkdebug,node-name=bad,image.driver=null-co,image.size=1048576,\
     image.read-zeroes=on,inject-error.0.event=none,inject-error.0.iotype=flush,\
     inject-error.0.errno=5",
    "-device",
    "scsi-hd,id=bad,bus=dev-scsi.0,drive=bad,scsi-id=1",
];
/// Its SCSI target.
const BAD: u32 = 1;

/// A SCSI disk that takes its time for each request, and so for its suspend.
const SLOW_DISK: [&str; 4] = [
    "-blockdev",
    "driver=null-co,node-name=slow,size=1048576,read-zeroes=on,latency-ns=6000000000",
    "-device",
    "scsi-hd,id=slow,bus=dev-scsi.0,drive=slow,scsi-id=2",
];
/// Its SCSI target.
const SLOW: u32 = 2;

/// What the kernel says if there is a wakeup while devices are suspended.
const EARLY: &str = "PM: Some devices failed to suspend, or early wake event detected";

const BUSY: &str = "Device or resource busy";
const IO_ERROR: &str = "Input/output error";

/// What the kernel says of a disk that fails its flush, and of a suspend that a wakeup breaks off.
const BROKEN_OFF: &[&str] = &[
    "sd_suspend_system",
    "scsi_bus_suspend",
    "failed to suspend async: error -5",
    "failed to suspend: error -5",
    EARLY,
    "Freezing user space processes aborted",
    "Freezing user space processes failed",
    "Freezing remaining freezable tasks",
    AWAKE,
];

/// Breaks sleeps off under load; then the devices work, and one more sleep succeeds.
fn cell(name: &str, break_off: impl Fn(&mut Vm) -> Outcome + 'static) -> Cell {
    Cell::new(name, move |vm| {
        vm.allow(BROKEN_OFF);
        under_load(vm, |vm| (0..TIMES).try_for_each(|_| break_off(vm)))?;
        check_idle_devices(vm)?;
        under_load(vm, |vm| vm.ok("pm_test_cycles mem devices 1").map(drop))?;
        check_idle_devices(vm)
    })
}

fn cells() -> Vec<Cell> {
    let scsi = Kind::Scsi.slot();
    let notifier = |state: &'static str, event: &'static str| {
        cell(&format!("{state}, a notifier fails"), move |vm| {
            vm.ok(&format!("fail_notifier {event} -16"))?;
            let refused = vm.ok(&format!("refused_sleep {state} '{BUSY}'"));
            vm.ok(&format!("fail_notifier {event} 0"))?;
            refused.map(drop)
        })
    };
    let pending = |state: &'static str| {
        cell(&format!("{state}, a wakeup is pending"), move |vm| {
            vm.ok("wake_in 1 && await 10 is_awake")?;
            vm.ok(&format!("refused_sleep {state} '{BUSY}'")).map(drop)
        })
    };
    vec![
        notifier("mem", "PM_SUSPEND_PREPARE"),
        notifier("disk", "PM_HIBERNATION_PREPARE"),
        pending("mem"),
        pending("disk"),
        cell("mem, a wakeup while devices are suspended", move |vm| {
            vm.ok(&format!("add_target {scsi} {SLOW}"))?;
            let refused = vm.ok(&format!(
                "wake_in 4 && refused_sleep mem '{BUSY}' && last_sleep_says '{EARLY}'"
            ));
            vm.ok(&format!("remove_target {scsi} {SLOW}"))?;
            refused.map(drop)
        }),
        cell("mem, another device fails", move |vm| {
            vm.ok(&format!("add_target {scsi} {BAD}"))?;
            let refused = vm.ok(&format!("refused_sleep mem '{IO_ERROR}'"));
            vm.ok(&format!("remove_target {scsi} {BAD}"))?;
            refused.map(drop)
        }),
        no_leaks(),
    ]
}

/// The tests of sleeps that are broken off.
pub(crate) fn all() -> Vec<Test> {
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_swap();
    layout.kernel = Variant::Debug;
    for word in BAD_DISK.iter().chain(&SLOW_DISK) {
        layout.extra.push((*word).to_owned());
    }
    vec![Test::new(
        "aborted-sleep",
        "sleeps that are broken off by a notifier, a device, a wakeup",
        layout,
        cells(),
    )
    .limit(Duration::from_secs(900))]
}
