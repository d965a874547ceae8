// SPDX-License-Identifier: GPL-2.0

//! Devices that are pulled out without a word.

use crate::cells::config_space::{configure, configure_behind, BUSES, COMMAND};
use crate::cells::device::{check_bound, check_io};
use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// The devices that are pulled out, one after the other.
const GONE: [Kind; 4] = [Kind::Rng, Kind::Net, Kind::Blk, Kind::Scsi];

/// The device that stays, and must not be harmed.
const STAYS: Kind = Kind::Blk4;

/// Silences a device, which QEMU would let go on with memory that is not its own any more, and
/// closes the root port before it: its registers then read as all ones.
fn pull_out(vm: &mut Vm, kind: Kind) -> Outcome {
    configure_behind(vm, kind, COMMAND, 0)?;
    configure(vm, kind, BUSES, 0x00fe_fe00)?;
    configure(vm, kind, COMMAND, 0)
}

fn cell(kind: Kind) -> Cell {
    Cell::new(format!("{}: pulled out", kind.name()), move |vm| {
        vm.ok("ensure_loaded")?;
        check_bound(vm, kind)?;
        check_io(vm, kind)?;
        let pci = vm.ok(&format!("pci_of {}", kind.slot()))?;
        pull_out(vm, kind)?;
        vm.ok(&format!("remove_gone {}", pci.trim()))?;
        check_bound(vm, STAYS)?;
        check_io(vm, STAYS)
    })
}

fn test(interrupts: Interrupts) -> Test {
    let mut kinds = GONE.to_vec();
    kinds.push(STAYS);
    let mut cells: Vec<_> = GONE.into_iter().map(cell).collect();
    cells.push(Cell::new("rmmod", |vm| {
        vm.ok("ensure_loaded && unload_driver").map(drop)
    }));
    Test::new(
        format!("surprise-removal-{interrupts}"),
        format!("devices that are pulled out without a word, {interrupts} interrupts"),
        Layout::new(Board::Q35, interrupts, 2).with_kinds(&kinds),
        cells,
    )
}

/// The tests of surprise removal.
pub(crate) fn all() -> Vec<Test> {
    vec![
        test(Interrupts::PerQueue).in_check(),
        test(Interrupts::Intx),
    ]
}
