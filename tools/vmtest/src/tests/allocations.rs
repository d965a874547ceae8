// SPDX-License-Identifier: GPL-2.0

//! Every allocation fails once: the first, the second, and so on until there is none left.
//!
//! The fault is set for one task and one system call, so that a number stands for the same
//! allocation each time. A sleep may call devices in other tasks; here `pm_async` is off, which has
//! all of them called in the task that asked for the sleep. What the other tasks would do is
//! covered by a cell in which `pm_async` is on and allocations fail at random in all of them.

use std::time::Duration;

use machine::Variant;

use crate::cells::device::{check_bound, check_io};
use crate::cells::leaks::no_leaks;
use vm::evidence::AWAKE;
use vm::failure::{Failure, Outcome};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// Operations on a device, each with the kinds of allocations that it makes. What is removed is
/// freed: that takes messages to user space, but no pages.
const BINDING: [(&str, &str); 3] = [("bind", "slab"), ("bind", "pages"), ("unbind", "slab")];
/// The same of operations on the module.
const LOADING: [(&str, &str); 3] = [("insmod", "slab"), ("insmod", "pages"), ("rmmod", "slab")];

/// How many sleeps there are with faults at random.
const RANDOM: u32 = 15;

/// The percentage of the allocations that fail then.
const PERCENT: u32 = 10;

/// No operation makes as many allocations; more means that the count does not end.
const MAX: u32 = 20_000;

/// ACPI is not asked how INTx is routed, as that takes hundreds of allocations of its interpreter
/// each time that a device is enabled; the table for multiprocessor systems says it as well.
const KERNEL_ARGUMENTS: &str = "acpi=noirq";

/// What the kernel may say of a device that could not be had for want of memory.
const NO_MEMORY: &[&str] = &[
    "error -12",
    "ENOMEM",
    "returns -12",
    "PM: Some devices failed",
    "virtqueues restored",
    "failed to resume",
    "failed to thaw",
    "failed to restore",
    "failed to recover after reset",
    "kmemleak: Cannot allocate a scan area",
    AWAKE,
    // An allocation that failed may be told with the stack of who wanted it. What is a fault has a
    // line of its own as well.
    "Call Trace:",
    "RIP: 0033:",
];

/// Runs a guest function with the first, second, … allocation failing until none is left.
fn each(vm: &mut Vm, function: &str, arguments: &str) -> Outcome {
    let mut refused = 0;
    for nth in 1..MAX {
        let command = format!("{function} {nth} {arguments}");
        let said = vm.ok(&command)?;
        vm.check_log()?;
        let last = said.lines().last().unwrap_or_default();
        match last.split_once(' ') {
            Some(("fired", error)) => refused += u32::from(error != "0"),
            Some(("spare", "0")) => {
                let faults = nth - 1;
                vm.note(format!(
                    "{faults} faults, {refused} of them refused the request"
                ));
                return if faults > 0 {
                    Ok(())
                } else {
                    Err(Failure::NoResults(format!("{function}: no fault fired")))
                };
            }
            _ => return Err(Failure::Failed(format!("{command}: {said}"))),
        }
    }
    Err(Failure::Failed(format!(
        "{function}: more than {MAX} faults"
    )))
}

/// The slots of devices.
fn slots(kinds: &[Kind]) -> String {
    kinds
        .iter()
        .map(|kind| kind.slot())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Faults at bind and at unbind of one device; only the driver's own if the device has many others.
fn binding(kind: Kind, scope: &'static str) -> Vec<Cell> {
    let cell = |(operation, source): (&'static str, &'static str)| {
        let name = format!("{}: {operation}, {source}", kind.name());
        Cell::new(name, move |vm| {
            vm.allow(NO_MEMORY);
            vm.ok(&format!(
                "ensure_loaded && fail_allocations {source} {scope}"
            ))?;
            each(vm, &format!("fail_{operation}"), kind.slot())?;
            check_bound(vm, kind)?;
            check_io(vm, kind)
        })
    };
    BINDING.map(cell).into()
}

/// Faults at insmod and at rmmod.
fn loading(kinds: &'static [Kind]) -> Vec<Cell> {
    let cell = |(operation, source): (&'static str, &'static str)| {
        Cell::new(format!("{operation}, {source}"), move |vm| {
            vm.allow(NO_MEMORY);
            vm.ok(&format!("ensure_unloaded && fail_allocations {source} all"))?;
            each(vm, &format!("fail_{operation}"), &slots(kinds))
        })
    };
    LOADING.map(cell).into()
}

/// Faults in the driver when the machine falls asleep and wakes up.
fn sleeping(kinds: &'static [Kind]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for state in ["mem", "disk"] {
        for source in ["slab", "pages"] {
            cells.push(Cell::new(format!("{state}, {source}"), move |vm| {
                vm.allow(NO_MEMORY);
                vm.ok("ensure_loaded && echo 0 >/sys/power/pm_async")?;
                vm.ok(&format!("fail_allocations {source} driver"))?;
                each(vm, "fail_sleep", &format!("{state} {}", slots(kinds)))?;
                check_all(vm, kinds)
            }));
        }
        cells.push(Cell::new(
            format!("{state}, {RANDOM} times at random in all tasks"),
            move |vm| {
                vm.allow(NO_MEMORY);
                vm.ok("ensure_loaded && echo 1 >/sys/power/pm_async")?;
                vm.ok("fail_allocations slab driver && echo 0 >/sys/kernel/debug/fail_page_alloc/min-order")?;
                let arguments = format!("{PERCENT} {state} {}", slots(kinds));
                for _ in 0..RANDOM {
                    vm.ok(&format!("fail_sleep_at_random {arguments}"))?;
                    vm.check_log()?;
                }
                // Devices may be at work with fewer vectors than they had: the next sleep gives
                // them back.
                vm.ok(&format!("pm_test_cycles {state} devices 1"))?;
                check_all(vm, kinds)
            },
        ));
    }
    cells
}

/// Faults in the driver when the PCI core resets a disk that is in use.
fn resetting() -> Vec<Cell> {
    let cell = |source: &'static str| {
        Cell::new(format!("reset under load, {source}"), move |vm| {
            vm.allow(NO_MEMORY);
            vm.ok(&format!(
                "ensure_loaded && fail_allocations {source} driver"
            ))?;
            each(vm, "fail_reset", Kind::Blk.slot())?;
            check_all(vm, &[Kind::Blk])
        })
    };
    vec![cell("slab"), cell("pages")]
}

fn check_all(vm: &mut Vm, kinds: &[Kind]) -> Outcome {
    kinds.iter().try_for_each(|&kind| {
        check_bound(vm, kind)?;
        check_io(vm, kind)
    })
}

fn test(name: &str, about: &str, kinds: &'static [Kind], mut cells: Vec<Cell>) -> Test {
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(kinds);
    layout.kernel = Variant::Debug;
    layout.words = KERNEL_ARGUMENTS;
    cells.push(no_leaks());
    Test::new(
        format!("allocations-{name}"),
        format!("every allocation fails once, {about}"),
        layout,
        cells,
    )
    .limit(Duration::from_secs(1200))
}

/// The tests of allocations that fail.
pub(crate) fn all() -> Vec<Test> {
    const ONE: &[Kind] = &[Kind::Rng];
    const SOME: &[Kind] = &[Kind::Rng, Kind::Blk, Kind::Net];
    let mut bind = binding(Kind::Rng, "all");
    bind.extend(binding(Kind::Blk, "driver"));
    bind.extend(binding(Kind::Net, "driver"));
    let mut reset = test("reset", "resets by the PCI core", &[Kind::Blk], resetting());
    // The PCI core can reset what is behind a PCIe port.
    reset.layout.board = Board::Q35;
    vec![
        reset,
        test("load", "insmod and rmmod", ONE, loading(ONE)),
        test("bind", "bind and unbind", SOME, bind),
        test("sleep", "suspend and hibernation", SOME, sleeping(SOME)),
    ]
}
