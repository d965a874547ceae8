// SPDX-License-Identifier: GPL-2.0

//! Hibernation in the modes that distributions use.

use std::time::Duration;

use crate::cells::sleep::{check_idle_devices, under_load};
use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// A sleep under load, once, and every device after it.
fn once(name: &str, sleep: impl Fn(&mut Vm) -> Outcome + 'static) -> Cell {
    let cell = Cell::new(name, move |vm| {
        under_load(vm, &sleep)?;
        check_idle_devices(vm)
    });
    cell.cycles(1)
}

fn test(interrupts: Interrupts) -> Test {
    Test::new(
        format!("sleep-modes-{interrupts}"),
        format!("hibernation in platform and hybrid mode, {interrupts} interrupts"),
        Layout::new(Board::Pc, interrupts, 2).with_swap(),
        vec![
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
    )
    .limit(Duration::from_secs(600))
}

/// The tests of these modes.
pub(crate) fn all() -> Vec<Test> {
    vec![
        test(Interrupts::PerQueue).in_check(),
        test(Interrupts::Intx),
    ]
}
