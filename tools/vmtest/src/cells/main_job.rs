// SPDX-License-Identifier: GPL-2.0

//! What the main job does, for tests that do the same elsewhere.

use std::time::Duration;

use machine::{Arch, Variant};

use super::device::{check_bound, check_io};
use super::sleep::{self, Cycles};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// The machine of the main job.
pub(crate) fn layout(arch: Arch) -> Layout {
    Layout::new(Board::usual(arch), Interrupts::PerQueue, 2).with_swap()
}

/// Load, input and output of these devices, sleep in these ways, removal.
pub(crate) fn cells(kinds: impl IntoIterator<Item = Kind>, sleep: Vec<Cell>) -> Vec<Cell> {
    let mut cells = vec![Cell::new("insmod", |vm| {
        vm.ok("ensure_unloaded && load_driver").map(drop)
    })];
    for kind in kinds {
        cells.push(Cell::new(format!("{}: I/O", kind.name()), move |vm| {
            vm.ok("ensure_loaded")?;
            check_bound(vm, kind)?;
            check_io(vm, kind)
        }));
    }
    cells.extend(sleep);
    cells.push(Cell::new("rmmod", |vm| {
        vm.ok("stop_swap; ensure_loaded && unload_driver").map(drop)
    }));
    cells
}

/// The same, and each device unbound and bound.
pub(crate) fn cells_and_rebinds(kinds: &[Kind], sleep: Vec<Cell>) -> Vec<Cell> {
    let mut cells = cells(kinds.iter().copied(), sleep);
    let last = cells.pop();
    cells.extend(kinds.iter().map(|&kind| {
        Cell::new(format!("{}: unbind and bind", kind.name()), move |vm| {
            vm.ok("ensure_loaded")?;
            vm.ok(&format!("rebind_device {}", kind.slot()))?;
            check_bound(vm, kind)?;
            check_io(vm, kind)
        })
    }));
    cells.extend(last);
    cells
}

/// A test of every device and every kind of sleep on a kernel of this configuration.
#[track_caller]
pub(crate) fn on_kernel(name: &str, kernel: Variant, interrupts: Interrupts, cpus: u8) -> Test {
    let mut layout = Layout::new(Board::Pc, interrupts, cpus).with_swap();
    layout.kernel = kernel;
    let cells = cells(Kind::TESTED, sleep::cells(layout.board, Cycles::ONE));
    let about = format!("every device, I/O, every kind of sleep, {interrupts} interrupts offered");
    Test::new(name, about, layout, cells).limit(Duration::from_secs(1200))
}
