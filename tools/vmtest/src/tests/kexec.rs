// SPDX-License-Identifier: GPL-2.0

//! Another kernel that takes over devices which are in use, by kexec and after a panic.
//!
//! Needs a kernel with `CONFIG_KEXEC_FILE` and `CONFIG_CRASH_DUMP`, as Debian's: the self-built
//! ones have neither.

use std::time::Duration;

use crate::cells::device::{check_all_bound, check_io};
use vm::driver::Driver;
use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// The devices; 9p hands over the kernel.
const KINDS: [Kind; 6] = [
    Kind::Blk,
    Kind::Net,
    Kind::Console,
    Kind::Rng,
    Kind::Scsi,
    Kind::NineP,
];
/// The disks that are under load when the other kernel begins.
const LOADED: [Kind; 2] = [Kind::Blk, Kind::Scsi];

/// What the kernel says that is told to panic.
const PANIC: &[&str] = &[
    "Kernel panic - not syncing: sysrq triggered crash",
    "Call Trace:",
    "RIP: ",
];

/// Loads a kernel that goes on with a driver, and boots it while the disks are under load.
fn take_over(vm: &mut Vm, by: Driver, option: &str, boot: &str) -> Outcome {
    vm.ok("ensure_loaded")?;
    check_all_bound(vm, &KINDS)?;
    vm.load_kernel(by, option)?;
    vm.ok(&format!("keep_busy rng {}", Kind::Rng.slot()))?;
    let slots = LOADED.map(Kind::slot).join(" ");
    vm.ok(&format!("start_work {slots}"))?;
    vm.boot_by(boot)?;
    vm.ok("ensure_loaded")?;
    check_all_bound(vm, &KINDS)?;
    let slots = KINDS.map(Kind::slot).join(" ");
    vm.ok(&format!("have_driver {by} {slots}"))?;
    vm.connect_port()?;
    KINDS.into_iter().try_for_each(|kind| check_io(vm, kind))
}

fn cells() -> Vec<Cell> {
    let handed_over = |by: Driver| {
        Cell::new(format!("kexec under I/O, to driver {by}"), move |vm| {
            take_over(vm, by, "", "kexec boot")
        })
    };
    let crashed = Cell::new("a panic under I/O, to the crash kernel", |vm| {
        vm.allow(PANIC);
        let by = vm.driver();
        take_over(vm, by, "--panic", "echo c >/proc/sysrq-trigger")
    });
    let to_module = handed_over(Driver::Rust).needs_module();
    vec![handed_over(Driver::C), to_module, crashed]
}

fn test(interrupts: Interrupts) -> Test {
    let mut layout = Layout::new(Board::Pc, interrupts, 2).with_kinds(&KINDS);
    layout.words = "crashkernel=192M";
    layout.more_memory = 256;
    layout.programs = &["kexec"];
    Test::new(
        format!("kexec-{interrupts}"),
        format!("another kernel takes over devices in use, {interrupts} interrupts"),
        layout,
        cells(),
    )
    .limit(Duration::from_secs(600))
}

/// The tests of kexec.
pub(crate) fn all() -> Vec<Test> {
    vec![test(Interrupts::PerQueue), test(Interrupts::Intx)]
}
