// SPDX-License-Identifier: GPL-2.0

//! Ports and terminals of virtio_console: plugged around a suspend, open over rmmod, the kernel's
//! console, a device that dies while somebody writes.

use std::time::Duration;

use serde_json::json;

use super::config_space::{configure, COMMAND, MEMORY_AND_MASTER};
use super::device::{check_bound, check_io};
use crate::failure::{Failure, Outcome};
use crate::grade::Grade;
use crate::layout::{Board, Interrupts, Kind, Layout};
use crate::runner::{Cell, Test};
use crate::vm::{Vm, BOOT};

/// A device that takes more ports than the console of the other tests.
const SERIAL: &str = "virtio-serial-pci,id=serial,bus=pci.0,addr=0x10,disable-legacy=off,\
    disable-modern=on,max_ports=8,vectors=20";

/// How long a machine may take to answer that is told to stand still.
const ANSWER: Duration = Duration::from_secs(60);

/// Adds a port with this number, whose name is "port" and the number.
fn plug_port(vm: &mut Vm, number: u32) -> Outcome {
    let chardev = json!({
        "id": format!("chardev-{number}"),
        "backend": { "type": "ringbuf", "data": { "size": 4096 } },
    });
    vm.qmp().execute("chardev-add", &chardev)?;
    let port = json!({
        "driver": "virtserialport", "bus": "serial.0", "nr": number,
        "id": format!("port-{number}"), "name": format!("port{number}"),
        "chardev": format!("chardev-{number}"),
    });
    vm.qmp().execute("device_add", &port).map(drop)
}

/// What the host side of a character device has got since the last time.
fn got(vm: &mut Vm, chardev: &str) -> Outcome<String> {
    let arguments = json!({ "device": chardev, "size": 65536 });
    let text = vm.qmp().execute("ringbuf-read", &arguments)?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

/// Awaits that it has got this.
fn await_got(vm: &mut Vm, chardev: &str, words: &str) -> Outcome {
    let mut text = String::new();
    for _ in 0..100 {
        text.push_str(&got(vm, chardev)?);
        if text.contains(words) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let text = format!("{chardev} has not got {words:?} but {text:?}");
    Err(Failure::Failed(text))
}

/// The guest writes to the port, and the host side gets it.
fn write_port(vm: &mut Vm, number: u32, words: &str) -> Outcome {
    vm.ok(&format!("await 20 port_named port{number}"))?;
    vm.ok(&format!("write_port port{number} '{words}'"))?;
    await_got(vm, &format!("chardev-{number}"), words)
}

fn around_sleep() -> Cell {
    let cell = Cell::new("plugged before and in S3, unplugged after", |vm| {
        vm.ok("ensure_loaded")?;
        check_bound(vm, Kind::Console)?;
        plug_port(vm, 2)?;
        write_port(vm, 2, "before")?;
        vm.suspend_to_memory_and(|vm| plug_port(vm, 3))?;
        write_port(vm, 2, "after")?;
        write_port(vm, 3, "plugged asleep")?;
        vm.qmp().execute("device_del", &json!({ "id": "port-2" }))?;
        vm.ok("await 20 fails port_named port2")?;
        vm.suspend_to_memory()?;
        write_port(vm, 3, "after two")?;
        vm.connect_port()?;
        check_io(vm, Kind::Console)
    });
    cell.cycles(2)
}

fn held_over_rmmod() -> Cell {
    Cell::new("rmmod with a port open", |vm| {
        vm.ok("ensure_loaded")?;
        vm.ok("await 20 port_named vmtest && hold_port vmtest")?;
        vm.ok("unload_driver")?;
        vm.ok("end_holders && load_driver")?;
        check_bound(vm, Kind::Console)?;
        vm.connect_port()?;
        check_io(vm, Kind::Console)
    })
}

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

/// The tests of virtio_console.
pub(crate) fn all() -> Vec<Test> {
    let test = |name: &str, about: &str, layout, cells| Test {
        name: name.to_owned(),
        about: about.to_owned(),
        layout,
        boot: BOOT,
        limit: Duration::from_secs(300),
        cells,
    };
    let layout = |cpus| {
        Layout::new(Board::Pc, Interrupts::PerQueue, cpus).with_kinds(&[Kind::Console, Kind::Rng])
    };
    let terminal = [
        ("-chardev", "ringbuf,id=hvc,size=65536".to_owned()),
        (
            "-device",
            "virtconsole,bus=dev-console.0,nr=0,chardev=hvc".to_owned(),
        ),
    ];
    let mut speaking = layout(2).with(terminal.clone());
    speaking.words = "console=hvc0";
    vec![
        test(
            "ports",
            "ports that are plugged around a suspend, or open over rmmod",
            layout(2).with([("-device", SERIAL.to_owned())]),
            vec![around_sleep(), held_over_rmmod()],
        ),
        test(
            "console-sleeps",
            "the kernel's console on virtio_console, over sleep with no_console_suspend",
            speaking,
            vec![kernel_console()],
        ),
        test(
            "console-dies",
            "a terminal that dies on a machine with one processor",
            layout(1).with(terminal),
            vec![writer_of_the_dead()],
        ),
    ]
}
