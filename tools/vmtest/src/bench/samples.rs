// SPDX-License-Identifier: GPL-2.0

//! Samples of both drivers, taken in turn.

use results::Series;

use vm::driver::Driver;
use vm::failure::{Failure, Outcome};
use vm::Vm;

/// What a series is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Of<'a> {
    /// What is measured.
    pub(super) quantity: &'a str,
    /// Under which conditions.
    pub(super) case: &'a str,
    /// The number of virtqueues or devices, if it varies.
    pub(super) n: Option<u32>,
    /// The unit.
    pub(super) unit: &'a str,
    /// Whether more is better.
    pub(super) more_is_better: bool,
    /// What the median of (Rust − C) / C must not exceed, if that is set.
    pub(super) limit: Option<f64>,
}

/// Series that grow sample by sample.
#[derive(Default)]
pub(super) struct Samples {
    series: Vec<Series>,
}

impl Samples {
    /// Adds a sample to its series.
    pub(super) fn add(&mut self, of: Of<'_>, driver: Driver, value: f64) {
        let is_same = |s: &Series| s.quantity == of.quantity && s.case == of.case && s.n == of.n;
        let at = self.series.iter().position(is_same).unwrap_or_else(|| {
            self.series.push(Series {
                quantity: of.quantity.to_owned(),
                case: of.case.to_owned(),
                n: of.n,
                unit: of.unit.to_owned(),
                more_is_better: of.more_is_better,
                limit: of.limit,
                c: Vec::new(),
                rust: Vec::new(),
            });
            self.series.len() - 1
        });
        let series = &mut self.series[at];
        match driver {
            Driver::C => series.c.push(value),
            Driver::Rust => series.rust.push(value),
        }
    }

    /// All series.
    pub(super) fn into_series(self) -> Vec<Series> {
        self.series
    }
}

/// Loads the drivers in turn, each `rounds` times, and takes samples with each.
pub(super) fn in_turn(
    vm: &mut Vm,
    rounds: usize,
    mut sample: impl FnMut(&mut Vm, Driver) -> Outcome,
) -> Outcome {
    for round in 0..rounds {
        let mut drivers = Driver::BOTH;
        if round % 2 == 1 {
            drivers.reverse();
        }
        for driver in drivers {
            vm.ok(&with(driver, "load_driver"))?;
            sample(vm, driver)?;
            vm.ok(&with(driver, "unload_driver"))?;
        }
    }
    vm.check_kernel()
}

/// A command of the guest, about this driver.
pub(super) fn with(driver: Driver, command: &str) -> String {
    format!("DRIVER={driver}; {command}")
}

/// Runs a command of the guest that says numbers.
pub(super) fn numbers(vm: &mut Vm, command: &str) -> Outcome<Vec<f64>> {
    let text = vm.ok(command)?;
    let words = text.split_whitespace().map(str::parse);
    let numbers: Result<Vec<f64>, _> = words.collect();
    numbers.map_err(|_| Failure::Failed(format!("{command}: {text:?} are no numbers")))
}

/// Runs a command of the guest that says one number.
pub(super) fn number(vm: &mut Vm, command: &str) -> Outcome<f64> {
    let [number] = exactly(vm, command)?;
    Ok(number)
}

/// Runs a command of the guest that says two numbers.
pub(super) fn pair(vm: &mut Vm, command: &str) -> Outcome<[f64; 2]> {
    exactly(vm, command)
}

fn exactly<const N: usize>(vm: &mut Vm, command: &str) -> Outcome<[f64; N]> {
    let numbers = numbers(vm, command)?;
    numbers.try_into().map_err(|numbers: Vec<f64>| {
        let count = numbers.len();
        Failure::Failed(format!("{command}: {count} numbers, not {N}"))
    })
}
