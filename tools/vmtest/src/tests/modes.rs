// SPDX-License-Identifier: GPL-2.0

//! Sleep in the modes that distributions use, and images that are resumed by the other driver.

use std::time::Duration;

use super::device::{check_all_bound, check_io};
use super::sleep::{check_idle_devices, under_load, Cycles};
use crate::failure::Outcome;
use crate::layout::{Board, Interrupts, Kind, Layout};
use crate::runner::{Cell, Test};
use crate::setup::Driver;
use crate::vm::{Vm, BOOT};

/// How long a cycle of suspend-to-idle under load may take.
const IDLE: Duration = Duration::from_secs(20);

/// A sleep under load, once, and every device after it.
fn once(name: &str, sleep: impl Fn(&mut Vm) -> Outcome + 'static) -> Cell {
    let cell = Cell::new(name, move |vm| {
        under_load(vm, &sleep)?;
        check_idle_devices(vm)
    });
    cell.cycles(1)
}

fn modes(interrupts: Interrupts) -> Test {
    Test {
        name: format!("sleep-modes-{interrupts}"),
        about: format!("hibernation in platform and hybrid mode, {interrupts} interrupts"),
        layout: Layout::new(Board::Pc, interrupts, 2).with_swap(),
        boot: BOOT,
        limit: Duration::from_secs(600),
        cells: vec![
            once("hibernation, platform", |vm| {
                vm.hibernate_by("hibernate platform")
            }),
            once("hybrid, woken from S3", |vm| {
                let id = vm.fall_asleep("hibernate suspend")?;
                vm.wake_up(id)
            }),
            once("hybrid, power lost in S3", |vm| {
                let id = vm.fall_asleep("hibernate suspend")?;
                vm.lose_power()?;
                vm.resume_image(id)
            }),
        ],
    }
}

/// Suspend to idle, twice as often as S3.
fn idle(interrupts: Interrupts, cpus: u8, cycles: Cycles) -> Test {
    let cycles = 2 * cycles.suspend;
    let cell = Cell::new(format!("suspend to idle, {cycles} times"), move |vm| {
        under_load(vm, |vm| (0..cycles).try_for_each(|_| vm.suspend_to_idle()))?;
        check_idle_devices(vm)
    });
    Test {
        name: format!("idle-{interrupts}-{cpus}cpu"),
        about: format!("suspend to idle under load, {interrupts} interrupts, {cpus} CPUs"),
        layout: Layout::new(Board::Pc, interrupts, cpus).with_swap(),
        boot: BOOT,
        limit: Duration::from_secs(300) + IDLE * cycles,
        cells: vec![cell.cycles(cycles)],
    }
}

/// The devices of a machine whose image another driver resumes.
const CHANGED_HANDS: [Kind; 7] = Kind::FROZEN;
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
        check_all_bound(vm, &CHANGED_HANDS)?;
        let before = vm.ok(&format!("start_work {}", LOADED.slot()))?;
        vm.boot_with(by);
        vm.hibernate()?;
        let after = vm.ok(&format!("check_work {}", LOADED.slot()))?;
        if before != after {
            let text = format!("another boot or another process:\n{before}\n{after}");
            return Err(crate::failure::Failure::Failed(text));
        }
        check_all_bound(vm, &CHANGED_HANDS)?;
        vm.ok_within(
            &format!("stop_load {}", LOADED.slot()),
            Duration::from_secs(90),
        )?;
        vm.connect_port()?;
        for kind in CHANGED_HANDS {
            check_io(vm, kind)?;
        }
        vm.ok(&format!("stop_swap; {own} unload_driver")).map(drop)
    });
    cell.cycles(1).needs_module()
}

fn images(interrupts: Interrupts) -> Test {
    Test {
        name: format!("other-driver-{interrupts}"),
        about: format!("an image that the other driver resumes, {interrupts} interrupts"),
        layout: Layout::new(Board::Pc, interrupts, 2)
            .with_kinds(&CHANGED_HANDS)
            .with_swap(),
        boot: BOOT,
        limit: Duration::from_secs(600),
        cells: vec![
            changes_hands(Driver::C, Driver::Rust),
            changes_hands(Driver::Rust, Driver::C),
        ],
    }
}

/// The tests of the modes of sleep.
pub(crate) fn all(cycles: Cycles) -> Vec<Test> {
    let modes_of = [Interrupts::PerQueue, Interrupts::Shared, Interrupts::Intx];
    let mut tests = vec![
        modes(Interrupts::PerQueue),
        modes(Interrupts::Intx),
        idle(Interrupts::PerQueue, 2, cycles),
        idle(Interrupts::Intx, 1, cycles),
    ];
    tests.extend(modes_of.map(images));
    tests
}
