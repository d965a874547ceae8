// SPDX-License-Identifier: GPL-2.0

//! Devices that hold their driver to the specification, through everything that a driver does.

use std::time::Duration;

use scripted::Bar;

use crate::cells::sleep::LEVELS;
use crate::cells::strict::check_breaches;
use vm::failure::{Failure, Outcome};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::scripted_slot::{Model, Scripted};
use vm::Vm;

/// How often each level of pm_test is gone through.
const CYCLES: u32 = 3;
/// How long it may take to load the driver: it waits for ever for a disk that does not serve it.
const LOAD: Duration = Duration::from_secs(60);
/// How often the machine is suspended to memory.
const SUSPENDS: u32 = 3;

const RNG: Scripted = Scripted::new("s-rng", "10", Model::Rng, 2);
const DISK: Scripted = Scripted::new("s-disk", "11", Model::Disk(64), 2);
const CONSOLE: Scripted = Scripted::new("s-console", "12", Model::Console, 3);

/// Each device is bound, has the interrupts that it should have, and its data are correct.
fn check_devices(vm: &mut Vm) -> Outcome {
    for device in vm.layout().scripted.clone() {
        let slot = device.slot;
        vm.ok(&format!("check_bound {slot} {}", device.policy()))?;
        let check = match device.model {
            Model::Rng => "check_rng",
            Model::Disk(_) => "check_blk",
            Model::Console => "check_hvc",
        };
        vm.ok(&format!("{check} {slot}"))?;
    }
    for device in vm.scripted() {
        if device.accesses() == 0 {
            let text = format!("{} was not accessed", device.name());
            return Err(Failure::Failed(text));
        }
    }
    check_breaches(vm)
}

/// Tells the devices that they sleep, sleeps in this way, and checks the work done during it.
fn asleep(vm: &mut Vm, sleep: impl FnOnce(&mut Vm) -> Outcome) -> Outcome {
    vm.ok(&format!("ensure_loaded && swap_on {}", Kind::Swap.slot()))?;
    let slot = DISK.slot;
    let before = vm.ok(&format!("start_work {slot}"))?;
    vm.scripted()
        .iter()
        .for_each(|device| device.set_sleeping(true));
    let outcome = sleep(vm);
    vm.scripted()
        .iter()
        .for_each(|device| device.set_sleeping(false));
    outcome?;
    let after = vm.ok_within(&format!("check_work {slot}"), Duration::from_secs(120))?;
    if before != after {
        let text = format!("another boot or another process:\n{before}\n{after}");
        return Err(Failure::Failed(text));
    }
    vm.ok_within(&format!("stop_load {slot}"), Duration::from_secs(90))?;
    check_devices(vm)
}

/// A cell in which a breach explains whatever else fails: devices do not serve who breaks a rule.
fn cell(name: impl Into<String>, body: impl Fn(&mut Vm) -> Outcome + 'static) -> Cell {
    Cell::new(name, move |vm| {
        let outcome = body(vm);
        check_breaches(vm)?;
        outcome
    })
}

fn cells() -> Vec<Cell> {
    let mut cells = vec![
        cell("insmod and I/O", |vm| {
            vm.ok("ensure_unloaded")?;
            vm.ok_within("load_driver", LOAD)?;
            check_devices(vm)
        }),
        cell("unbind and bind", |vm| {
            vm.ok("ensure_loaded")?;
            for device in vm.layout().scripted.clone() {
                vm.ok(&format!("rebind_device {}", device.slot))?;
            }
            check_devices(vm)
        }),
        cell("rmmod and insmod", |vm| {
            vm.ok("ensure_loaded && unload_driver")?;
            vm.ok_within("load_driver", LOAD)?;
            check_devices(vm)
        }),
    ];
    for state in ["mem", "disk"] {
        for level in LEVELS {
            let name = format!("{state}, pm_test {level}, {CYCLES} times");
            cells.push(cell(name, move |vm| {
                asleep(vm, |vm| {
                    let command = format!("pm_test_cycles {state} {level} {CYCLES}");
                    vm.ok(&command).map(drop)
                })
            }));
        }
    }
    let suspend = format!("suspend to memory, {SUSPENDS} times");
    cells.push(cell(suspend, |vm| {
        asleep(vm, |vm| {
            (0..SUSPENDS).try_for_each(|_| vm.suspend_to_memory())
        })
    }));
    cells.push(cell("test_resume", |vm| {
        asleep(vm, |vm| vm.ok("test_resume").map(drop))
    }));
    cells.push(cell("hibernation", |vm| asleep(vm, Vm::hibernate)));
    cells.push(cell("rmmod", |vm| {
        vm.ok("stop_swap; ensure_loaded && unload_driver").map(drop)
    }));
    cells
}

/// Those that `make check` has.
const IN_CHECK: [(&str, Interrupts); 2] = [
    ("memory", Interrupts::PerQueue),
    ("ports", Interrupts::Intx),
];

fn test(interrupts: Interrupts, bar: Bar) -> Test {
    let vectors = |wanted: u16| match interrupts {
        Interrupts::PerQueue => wanted,
        Interrupts::Shared => 2,
        Interrupts::Intx => 0,
    };
    let scripted = [RNG, DISK, CONSOLE].map(|device| Scripted {
        vectors: vectors(device.vectors),
        bar,
        ..device
    });
    let (name, registers) = match bar {
        Bar::Memory(_) => ("memory", "memory"),
        _ => ("ports", "I/O ports"),
    };
    let layout = Layout::new(Board::Pc, interrupts, 2)
        .with_kinds(&[Kind::Blk])
        .with_swap()
        .with_scripted(&scripted);
    let mut test = Test::new(
        format!("strict-{name}-{interrupts}"),
        format!(
            "devices that insist on each rule, {interrupts} interrupts, registers in {registers}"
        ),
        layout,
        cells(),
    );
    test.in_check = IN_CHECK.contains(&(name, interrupts));
    test.limit(Duration::from_secs(1200))
}

/// The tests with strict devices.
pub(crate) fn all() -> Vec<Test> {
    let mut tests = Vec::new();
    for bar in [Bar::Ports(64), Bar::Memory(4096)] {
        for interrupts in [Interrupts::PerQueue, Interrupts::Shared, Interrupts::Intx] {
            tests.push(test(interrupts, bar));
        }
    }
    tests
}
