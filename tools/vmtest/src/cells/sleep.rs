// SPDX-License-Identifier: GPL-2.0

//! Suspend to memory and to disk, while I/O is running.

use std::time::Duration;

use super::device::{check_all_bound, check_io};
use vm::failure::{Failure, Outcome};
use vm::layout::{Board, Kind};
use vm::runner::Cell;
use vm::Vm;

/// The levels of pm_test, the shallowest first.
pub(crate) const LEVELS: [&str; 5] = ["freezer", "devices", "platform", "processors", "core"];
/// Those of a suspend to idle, in whose place a suspend to memory is where there is no S3.
const IDLE_LEVELS: [&str; 3] = ["freezer", "devices", "platform"];
/// The disks that are written and verified during the sleeps.
const LOADED: [Kind; 2] = [Kind::Blk, Kind::Scsi];

/// How often each kind of sleep is gone through.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Cycles {
    /// Cycles of each level of pm_test, for mem and for disk.
    #[arg(long = "cycles", default_value_t = Self::FEW.cheap)]
    pub cheap: u32,
    /// Cycles of real suspend to memory.
    #[arg(long = "suspends", default_value_t = Self::FEW.suspend)]
    pub suspend: u32,
    /// Cycles of an image that is written and resumed at once.
    #[arg(long = "test-resumes", default_value_t = Self::FEW.test_resume)]
    pub test_resume: u32,
    /// Cycles of hibernation with the power off between.
    #[arg(long = "hibernations", default_value_t = Self::FEW.hibernate)]
    pub hibernate: u32,
}

impl Cycles {
    /// Enough to see that each kind works.
    pub const FEW: Self = Self {
        cheap: 3,
        suspend: 3,
        test_resume: 1,
        hibernate: 1,
    };
    /// One of each kind.
    pub const ONE: Self = Self {
        cheap: 1,
        suspend: 1,
        test_resume: 1,
        hibernate: 1,
    };
    /// What the matrix goes through.
    pub const MATRIX: Self = Self {
        cheap: 50,
        suspend: 50,
        test_resume: 5,
        hibernate: 5,
    };
}

/// Puts work on the devices, sleeps in this way, and checks the work and every device.
pub(crate) fn under_load(vm: &mut Vm, sleep: impl FnOnce(&mut Vm) -> Outcome) -> Outcome {
    vm.ok(&format!("ensure_loaded && swap_on {}", Kind::Swap.slot()))?;
    vm.driven(&[Kind::Net])?;
    vm.ok(&format!("net_up {}", Kind::Net.slot()))?;
    let slots = LOADED.map(Kind::slot).join(" ");
    let before = vm.ok(&format!("start_work {slots}"))?;

    sleep(vm)?;

    let after = vm.ok_within(&format!("check_work {slots}"), Duration::from_secs(120))?;
    if before != after {
        let text = format!("another boot or another process:\n{before}\n{after}");
        return Err(Failure::Failed(text));
    }
    // The virtio driver of 9p has no freeze and no restore: it is bound again.
    if vm.driven(&Kind::TESTED)?.contains(&Kind::NineP) {
        vm.ok(&format!("rebind_device {}", Kind::NineP.slot()))?;
    }
    check_all_bound(vm, &Kind::TESTED)
}

/// Input and output of the devices that have no work during the sleep.
pub(crate) fn check_idle_devices(vm: &mut Vm) -> Outcome {
    // virtio_console asks for the state of its ports before it has buffers for the answer,
    // so that after a restore it takes them for closed until the host opens them again.
    vm.connect_port()?;
    let tested = vm.driven(&Kind::TESTED)?.into_iter();
    let mut idle = tested.filter(|kind| !LOADED.contains(kind));
    idle.try_for_each(|kind| check_io(vm, kind))
}

/// One cycle of each level of pm_test under one and the same load, one cell a state.
pub(crate) fn levels_at_once() -> Vec<Cell> {
    let cell = |state: &'static str| {
        Cell::new(format!("{state}, every level of pm_test"), move |vm| {
            under_load(vm, |vm| {
                LEVELS.into_iter().try_for_each(|level| {
                    vm.ok(&format!("pm_test_cycles {state} {level} 1"))?;
                    vm.check_kernel()
                })
            })?;
            check_idle_devices(vm)
        })
    };
    vec![cell("mem"), cell("disk")]
}

/// The cells of all kinds of sleep that a board has.
pub(crate) fn cells(board: Board, cycles: Cycles) -> Vec<Cell> {
    let mut cells = Vec::new();
    for state in ["mem", "disk"] {
        let levels = match state {
            "mem" if !board.has_s3() => &IDLE_LEVELS[..],
            _ => &LEVELS[..],
        };
        for level in levels {
            // The deepest level stands for all of them.
            let is_deepest = levels.last() == Some(level);
            cells.push(tested(state, level, cycles.cheap, is_deepest));
        }
    }
    cells.extend(real_cells(board, cycles));
    cells
}

/// The cells of one sleep of each kind that saves the devices and starts them again.
pub(crate) fn shortest() -> Vec<Cell> {
    vec![tested("disk", "core", 1, false), hibernation(1), written()]
}

/// A number of cycles as far as a level of pm_test; then, if asked for, each device is used.
fn tested(state: &'static str, level: &'static str, count: u32, is_used: bool) -> Cell {
    let name = format!("{state}, pm_test {level}, {count} times");
    let cell = Cell::new(name, move |vm| {
        under_load(vm, |vm| {
            let limit = Duration::from_secs(60) + Duration::from_secs(30) * count;
            vm.ok_within(&format!("pm_test_cycles {state} {level} {count}"), limit)?;
            Ok(())
        })?;
        if is_used {
            check_idle_devices(vm)?;
        }
        Ok(())
    });
    cell.cycles(count)
}

/// A number of hibernations, with the power off between.
fn hibernation(count: u32) -> Cell {
    let cell = Cell::new(format!("hibernation, {count} times"), move |vm| {
        under_load(vm, |vm| (0..count).try_for_each(|_| vm.hibernate()))?;
        check_idle_devices(vm)
    });
    cell.cycles(count)
}

/// Nothing is lost of what the load has written.
fn written() -> Cell {
    Cell::new("the data written during the sleeps", |vm| {
        let slots = LOADED.map(Kind::slot).join(" ");
        vm.ok("ensure_loaded")?;
        vm.ok(&format!("start_work {slots}"))?;
        vm.ok_within(&format!("stop_load {slots}"), Duration::from_secs(90))?;
        LOADED.into_iter().try_for_each(|kind| check_io(vm, kind))
    })
}

/// The cells of sleep that is not only tested, as far as a board has it.
pub(crate) fn real_cells(board: Board, cycles: Cycles) -> Vec<Cell> {
    let Cycles {
        suspend,
        test_resume,
        hibernate,
        ..
    } = cycles;
    let mut cells = Vec::new();
    let cell = Cell::new(format!("test_resume, {test_resume} times"), move |vm| {
        under_load(vm, |vm| {
            (0..test_resume).try_for_each(|_| vm.ok("test_resume").map(drop))
        })?;
        check_idle_devices(vm)
    });
    cells.push(cell.cycles(test_resume));
    cells.push(hibernation(hibernate));
    if board.has_s3() {
        // After the hibernations, which start a new QEMU: see `test` on q35.
        let cell = Cell::new(format!("suspend to memory, {suspend} times"), move |vm| {
            under_load(vm, |vm| {
                (0..suspend).try_for_each(|_| vm.suspend_to_memory())
            })?;
            check_idle_devices(vm)
        });
        cells.push(cell.cycles(suspend));
    }
    cells.push(written());
    cells
}

/// Sleep of these devices as far as the devices.
pub(crate) fn shallow(kinds: &'static [Kind]) -> Vec<Cell> {
    let cell = |state: &'static str| {
        Cell::new(format!("{state}, pm_test devices, 2 times"), move |vm| {
            vm.ok(&format!("pm_test_cycles {state} devices 2"))?;
            vm.connect_port()?;
            let mut kinds = kinds.iter().filter(|kind| Kind::FROZEN.contains(kind));
            kinds.try_for_each(|&kind| check_io(vm, kind))
        })
    };
    vec![cell("mem"), cell("disk")]
}
