// SPDX-License-Identifier: GPL-2.0

//! Writes to the configuration space of PCI devices behind the guest's back, by QEMU's monitor.

use crate::failure::{Failure, Outcome};
use crate::layout::Kind;
use crate::vm::Vm;

/// The configuration address port of PCI.
const ADDRESS: u16 = 0xcf8;
/// The configuration data port of PCI.
const DATA: u16 = 0xcfc;

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

/// Writes a register in the configuration space of the device in a kind's slot.
///
/// The guest may be between its own writes to the two ports, so what the address was is put back.
pub(crate) fn configure(vm: &mut Vm, kind: Kind, register: u32, value: u32) -> Outcome {
    let slot = u32::from_str_radix(kind.slot(), 16).map_err(anyhow::Error::from)?;
    // Such as "portl[0x0cf8] = 0x80001004".
    let said = vm.qmp().human(&format!("i /w {ADDRESS:#x}"))?;
    let before = said
        .rsplit_once("= 0x")
        .and_then(|(_, digits)| u32::from_str_radix(digits.trim(), 16).ok())
        .ok_or_else(|| Failure::Failed(format!("i /w {ADDRESS:#x}: {said}")))?;
    write_port(vm, 'w', ADDRESS.into(), 0x8000_0000 | slot << 11 | register)?;
    write_port(vm, 'w', DATA.into(), value)?;
    write_port(vm, 'w', ADDRESS.into(), before)
}
