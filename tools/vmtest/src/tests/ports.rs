// SPDX-License-Identifier: GPL-2.0

//! Ports of virtio_console: plugged around a suspend, open over rmmod.

use serde_json::json;

use crate::cells::device::{check_bound, check_io};
use crate::cells::ringbuf::await_got;
use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// A device that takes more ports than the console of the other tests.
const SERIAL: &str = "virtio-serial-pci,id=serial,bus=pci.0,addr=0x10,disable-legacy=off,\
    disable-modern=on,max_ports=8,vectors=20";

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

/// The guest writes to the port, and the host side gets it.
fn write_port(vm: &mut Vm, number: u32, words: &str) -> Outcome {
    vm.ok(&format!("await 20 port_named port{number}"))?;
    vm.ok(&format!("write_port port{number} '{words}'"))?;
    await_got(vm, &format!("chardev-{number}"), words)
}

fn around_sleep() -> Cell {
    // One that is plugged in S3 is not found until the module is loaded again: virtio_console asks
    // for ports in its probe only.
    let cell = Cell::new("plugged and unplugged around S3", |vm| {
        vm.ok("ensure_loaded")?;
        check_bound(vm, Kind::Console)?;
        plug_port(vm, 2)?;
        write_port(vm, 2, "before")?;
        vm.suspend_to_memory()?;
        plug_port(vm, 3)?;
        write_port(vm, 3, "after one")?;
        // A port of before is taken for closed until the host opens it again.
        vm.ok("port_named port2")?;
        vm.qmp().execute("device_del", &json!({ "id": "port-2" }))?;
        vm.ok("await 20 fails port_named port2")?;
        vm.suspend_to_memory()?;
        vm.ok("port_named port3")?;
        plug_port(vm, 4)?;
        write_port(vm, 4, "after two")?;
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

/// The test of ports.
pub(crate) fn all() -> Vec<Test> {
    let layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2)
        .with_kinds(&[Kind::Console, Kind::Rng])
        .with([("-device", SERIAL.to_owned())]);
    vec![Test::new(
        "ports",
        "ports that are plugged around a suspend, or open over rmmod",
        layout,
        vec![around_sleep(), held_over_rmmod()],
    )]
}
