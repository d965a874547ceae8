// SPDX-License-Identifier: GPL-2.0

//! Writes to the configuration space of PCI devices behind the guest's back, by QEMU's monitor.

use vm::failure::{Failure, Outcome};
use vm::layout::Kind;
use vm::Vm;

/// The configuration address port of PCI.
const ADDRESS: u16 = 0xcf8;
/// The configuration data port of PCI.
const DATA: u16 = 0xcfc;
/// In the configuration of a device: what it answers to and may do.
pub(crate) const COMMAND: u32 = 0x04;
/// For that register: all but I/O ports.
pub(crate) const MEMORY_AND_MASTER: u32 = 0x6;
/// In the configuration of a bridge: its bus numbers.
pub(crate) const BUSES: u32 = 0x18;

/// Writes to a port, of a byte (`b`) or of four (`w`).
pub(crate) fn write_port(vm: &mut Vm, width: char, port: u32, value: u32) -> Outcome {
    let command = format!("o /{width} {port:#x} {value:#x}");
    let said = vm.qmp().human(&command)?;
    if said.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(format!("{command}: {said}")))
    }
}

/// What a port of four bytes reads as.
fn read_port(vm: &mut Vm, port: u16) -> Outcome<u32> {
    // Such as "portl[0x0cf8] = 0x80001004".
    let command = format!("i /w {port:#x}");
    let said = vm.qmp().human(&command)?;
    said.rsplit_once("= 0x")
        .and_then(|(_, digits)| u32::from_str_radix(digits.trim(), 16).ok())
        .ok_or_else(|| Failure::Failed(format!("{command}: {said}")))
}

/// Has the configuration address port name a register of a device, and does `f`.
///
/// The guest may be between its own accesses to the two ports, so what the address was is put back.
fn with_address<T>(
    vm: &mut Vm,
    bus: u32,
    slot: u32,
    register: u32,
    f: impl FnOnce(&mut Vm) -> Outcome<T>,
) -> Outcome<T> {
    let before = read_port(vm, ADDRESS)?;
    let address = 0x8000_0000 | (bus << 16) | (slot << 11) | register;
    write_port(vm, 'w', ADDRESS.into(), address)?;
    let result = f(vm)?;
    write_port(vm, 'w', ADDRESS.into(), before)?;
    Ok(result)
}

fn slot_of(kind: Kind) -> Outcome<u32> {
    Ok(u32::from_str_radix(kind.slot(), 16).map_err(anyhow::Error::from)?)
}

/// Writes a register in the configuration space of the device in a kind's slot.
pub(crate) fn configure(vm: &mut Vm, kind: Kind, register: u32, value: u32) -> Outcome {
    with_address(vm, 0, slot_of(kind)?, register, |vm| {
        write_port(vm, 'w', DATA.into(), value)
    })
}

/// Writes a register in the configuration space of the device behind the bridge in a kind's slot.
pub(crate) fn configure_behind(vm: &mut Vm, kind: Kind, register: u32, value: u32) -> Outcome {
    let buses = with_address(vm, 0, slot_of(kind)?, BUSES, |vm| read_port(vm, DATA))?;
    with_address(vm, (buses >> 8) & 0xff, 0, register, |vm| {
        write_port(vm, 'w', DATA.into(), value)
    })
}
