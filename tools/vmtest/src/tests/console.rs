// SPDX-License-Identifier: GPL-2.0

//! Terminals of virtio_console: the kernel's console, and a device that dies while somebody writes.

use std::time::Duration;

use crate::cells::config_space::{configure, COMMAND, MEMORY_AND_MASTER};
use crate::cells::device::check_io;
use crate::cells::ringbuf::await_got;
use vm::grade::Grade;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// How long a machine may take to answer that is told to stand still.
const ANSWER: Duration = Duration::from_secs(60);

fn kernel_console() -> Cell {
    let cell = Cell::new("its output goes on after each kind of sleep", |vm| {
        vm.ok("ensure_loaded && await 10 test -e /dev/hvc0")?;
        let mut number = 0;
        let mut speaks = |vm: &mut Vm| {
            number += 1;
            let words = format!("heard {number} times");
            vm.ok(&format!("echo '{words}' >/dev/kmsg"))?;
            await_got(vm, "hvc", &words)
        };
        speaks(vm)?;
        vm.ok("pm_test_cycles mem core 1")?;
        speaks(vm)?;
        vm.ok("pm_test_cycles disk devices 1")?;
        speaks(vm)?;
        for _ in 0..2 {
            vm.suspend_to_memory()?;
            speaks(vm)?;
        }
        Ok(())
    });
    cell.cycles(4)
}

/// On one processor nothing is left that could take the device from a driver that waits for it with
/// interrupts off.
fn writer_of_the_dead() -> Cell {
    let cell = Cell::new("a writer does not stop the machine", |vm| {
        vm.ok("ensure_unloaded && load_driver_with watchdog_s=1")?;
        vm.ok("await 10 test -e /dev/hvc0")?;
        vm.ok("echo alive >/dev/hvc0")?;
        configure(vm, Kind::Console, COMMAND, MEMORY_AND_MASTER)?;
        vm.ok_within("echo dead >/dev/hvc0 & true", ANSWER)?;
        vm.ok_within("sleep 3; true", ANSWER)?;
        check_io(vm, Kind::Rng)
    });
    cell.on_c(Grade::Hangs, "the machine stands still")
}

/// The device answers again before it counts as dead: that its output has stopped is said, and a
/// rebind brings it back.
fn output_of_the_absent() -> Cell {
    let cell = Cell::new("output that stopped is reported", |vm| {
        let slot = Kind::Console.slot();
        vm.ok("ensure_unloaded && load_driver_with watchdog_s=1")?;
        vm.ok("await 10 test -e /dev/hvc0")?;
        vm.ok("echo before >/dev/hvc0")?;
        await_got(vm, "hvc", "before")?;
        vm.ok_within(&format!("write_while_deaf {slot}"), ANSWER)?;
        vm.ok(&format!("await 20 journal_has {slot} OutputBroken"))?;
        vm.ok(&format!("rebind_device {slot}"))?;
        vm.ok("await 10 test -e /dev/hvc0 && echo after >/dev/hvc0")?;
        await_got(vm, "hvc", "after")
    });
    cell.on_c(Grade::Hangs, "the machine stands still")
}

/// A machine with a terminal.
fn layout(cpus: u8) -> Layout {
    Layout::new(Board::Pc, Interrupts::PerQueue, cpus)
        .with_kinds(&[Kind::Console, Kind::Rng])
        .with([
            ("-chardev", "ringbuf,id=hvc,size=65536".to_owned()),
            (
                "-device",
                "virtconsole,bus=dev-console.0,nr=0,chardev=hvc".to_owned(),
            ),
        ])
}

/// The tests of terminals.
pub(crate) fn all() -> Vec<Test> {
    let mut speaking = layout(2);
    speaking.words = "console=hvc0";
    let sleeps = Test::new(
        "console-sleeps",
        "the kernel's console on virtio_console, over sleep with no_console_suspend",
        speaking,
        vec![kernel_console()],
    );
    let dies = Test::new(
        "console-dies",
        "a terminal that dies on a machine with one processor",
        layout(1),
        vec![output_of_the_absent(), writer_of_the_dead()],
    );
    vec![sleeps, dies.in_check()]
}
