// SPDX-License-Identifier: GPL-2.0

//! Images that the other driver resumes.

use std::time::Duration;

use crate::cells::device::{check_all_bound, check_io};
use vm::driver::Driver;
use vm::failure::Failure;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// The devices of a machine whose image another driver resumes.
const KINDS: [Kind; 7] = Kind::FROZEN;
/// The disk that is under load.
const LOADED: Kind = Kind::Scsi;

/// An image of one driver that is resumed in a kernel in which the other one has the devices.
fn changes_hands(from: Driver, by: Driver) -> Cell {
    let cell = Cell::new(format!("image of {from}, resumed by {by}"), move |vm| {
        let own = format!("DRIVER={from};");
        vm.ok(&format!(
            "ensure_unloaded && {own} ensure_loaded && swap_on {}",
            Kind::Swap.slot()
        ))?;
        check_all_bound(vm, &KINDS)?;
        let before = vm.ok(&format!("start_work {}", LOADED.slot()))?;
        vm.boot_with(by);
        vm.hibernate()?;
        let after = vm.ok(&format!("check_work {}", LOADED.slot()))?;
        if before != after {
            let text = format!("another boot or another process:\n{before}\n{after}");
            return Err(Failure::Failed(text));
        }
        check_all_bound(vm, &KINDS)?;
        vm.ok_within(
            &format!("stop_load {}", LOADED.slot()),
            Duration::from_secs(90),
        )?;
        vm.connect_port()?;
        for kind in KINDS {
            check_io(vm, kind)?;
        }
        vm.ok(&format!("stop_swap; {own} unload_driver")).map(drop)
    });
    cell.cycles(1).needs_module()
}

fn test(interrupts: Interrupts) -> Test {
    Test::new(
        format!("other-driver-{interrupts}"),
        format!("an image that the other driver resumes, {interrupts} interrupts"),
        Layout::new(Board::Pc, interrupts, 2)
            .with_kinds(&KINDS)
            .with_swap(),
        vec![
            changes_hands(Driver::C, Driver::Rust),
            changes_hands(Driver::Rust, Driver::C),
        ],
    )
    .limit(Duration::from_secs(600))
}

/// The tests of images that change hands.
pub(crate) fn all() -> Vec<Test> {
    [Interrupts::PerQueue, Interrupts::Shared, Interrupts::Intx]
        .map(test)
        .into()
}
