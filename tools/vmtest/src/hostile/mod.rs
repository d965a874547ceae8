// SPDX-License-Identifier: GPL-2.0

//! Devices that misbehave: the scenarios of `tests/hostile`, on both drivers.

mod outcome;
mod run;
mod scenario;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{stdout, Write};

use anyhow::{ensure, Context, Result};

use crate::failure::Failure;
use crate::ktap::Ktap;
use crate::runner::fresh_folder;
use crate::setup::{Driver, Setup};
use crate::table::Table;
use crate::vm::{Vm, BOOT};
use outcome::{Observed, Outcome};
use scenario::Scenario;

/// The scenarios.
const SCENARIOS: &str = include_str!("../../../../tests/hostile/scenarios.txt");
/// What came of them with the C driver, when it was recorded.
const RECORDED: &str = "tests/hostile/c-driver.txt";

/// What is to be run, and how.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Parts of names of scenarios; all if there are none.
    names: Vec<String>,
    /// Does not run the C driver, but tells what came of it when it was recorded.
    #[arg(long)]
    recorded: bool,
    /// Records what comes of the C driver.
    #[arg(long, conflicts_with = "recorded")]
    record: bool,
}

/// A scenario in one of the two interrupt modes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    scenario: usize,
    intx: bool,
}

impl Case {
    fn mode(&self) -> &'static str {
        if self.intx {
            "intx"
        } else {
            "msix"
        }
    }
}

/// The VM of a driver, and where its folders are.
struct Machines<'a> {
    setup: Setup,
    say: &'a mut dyn FnMut(&str),
    vm: Option<(bool, Vm)>,
    boots: usize,
}

impl<'a> Machines<'a> {
    fn new(setup: &Setup, driver: Driver, say: &'a mut dyn FnMut(&str)) -> Self {
        Self {
            setup: setup.with_driver(driver),
            say,
            vm: None,
            boots: 0,
        }
    }

    /// Runs a scenario, in a new VM if the last one is of no more use.
    fn run(&mut self, scenario: &Scenario, intx: bool) -> std::result::Result<Observed, Failure> {
        let mut vm = match self.vm.take() {
            Some((same, vm)) if same == intx => vm,
            old => {
                self.retire(old);
                self.boot(intx)?
            }
        };
        let observed = run::run(&mut vm, scenario);
        let usable = matches!(&observed, Ok(seen) if seen.is_clean() && !scenario.powers_off);
        if usable {
            self.vm = Some((intx, vm));
        } else {
            self.retire(Some((intx, vm)));
        }
        observed
    }

    fn boot(&mut self, intx: bool) -> std::result::Result<Vm, Failure> {
        self.boots += 1;
        let name = format!("hostile-{}-{}", self.setup.driver, self.boots);
        let dir = fresh_folder(&self.setup.logs, &name)?;
        (self.say)(&format!("logs in {}", dir.display()));
        let mut vm = Vm::boot(&self.setup, &run::layout(!intx), &dir, BOOT)?;
        run::prepare(&mut vm)?;
        Ok(vm)
    }

    fn retire(&mut self, vm: Option<(bool, Vm)>) {
        if let Some((_, vm)) = vm {
            let dir = vm.dir().to_owned();
            drop(vm);
            Vm::tidy(&dir);
        }
    }
}

impl Drop for Machines<'_> {
    fn drop(&mut self) {
        let vm = self.vm.take();
        self.retire(vm);
    }
}

/// Why what came of a scenario is not what must come of it.
fn wrong(scenario: &Scenario, observed: &Observed) -> Option<String> {
    let mut text = String::new();
    let mut add = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if !scenario.expected.allows(observed.outcome) {
        let outcome = observed.outcome.name();
        add(format!("wanted {}, got {outcome}", scenario.expected));
    }
    for fault in observed.faults.iter().chain(&observed.splats) {
        add(fault.clone());
    }
    if let Some(says) = &scenario.says {
        if !observed.log.contains(says.as_str()) {
            add(format!("the kernel log does not say: {says}"));
        }
    }
    if observed.outcome != Outcome::Works && !observed.spoke {
        add("the kernel log says nothing of the device".to_owned());
    }
    (!text.is_empty()).then_some(text)
}

fn read_recorded() -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(RECORDED).with_context(|| format!("cannot read {RECORDED}"))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, outcome)| (name.to_owned(), outcome.to_owned()))
        .collect())
}

fn write_recorded(recorded: &BTreeMap<String, String>) -> Result<()> {
    let mut text =
        "# SPDX-License-Identifier: GPL-2.0\n#\n# What came of the scenarios with the C \
                    driver; written by \"vmtest hostile --record\".\n\n"
            .to_owned();
    for (name, outcome) in recorded {
        let _ = writeln!(text, "{name}: {outcome}");
    }
    fs::write(RECORDED, text).with_context(|| format!("cannot write {RECORDED}"))
}

/// Runs the scenarios on both drivers; whether this repository's does what it must.
pub(crate) fn run(setup: &Setup, options: &Options) -> Result<bool> {
    let scenarios = Scenario::parse_all(SCENARIOS)?;
    let wanted = |scenario: &Scenario| {
        let names = &options.names;
        names.is_empty()
            || names
                .iter()
                .any(|name| scenario.name.contains(name.as_str()))
    };
    let mut cases = Vec::new();
    for intx in [false, true] {
        for (index, scenario) in scenarios.iter().enumerate() {
            if wanted(scenario) && scenario.only_msix != Some(intx) {
                cases.push(Case {
                    scenario: index,
                    intx,
                });
            }
        }
    }
    ensure!(!cases.is_empty(), "no scenario has such a name");
    let mut ktap = Ktap::new(stdout());
    ktap.begin(cases.len())?;
    let rust = run_rust(setup, &scenarios, &cases, &mut ktap)?;
    let mut recorded = read_recorded().unwrap_or_default();
    if !options.recorded {
        let c = run_c(setup, &scenarios, &cases, &mut ktap)?;
        recorded.extend(c);
    }
    if options.record {
        write_recorded(&recorded)?;
    }
    let count = ktap.finish()?;
    let mut table = Table::default();
    table.row(["scenario", "", "expected", "this driver", "C driver"]);
    for (case, outcome) in cases.iter().zip(&rust) {
        let scenario = &scenarios[case.scenario];
        let c = recorded
            .get(&key(scenario, case))
            .map_or("not recorded", String::as_str);
        let expected = scenario.expected.to_string();
        table.row([scenario.name.as_str(), case.mode(), &expected, outcome, c]);
    }
    println!("\n{table}");
    Ok(count.is_good())
}

fn key(scenario: &Scenario, case: &Case) -> String {
    format!("{}, {}", scenario.name, case.mode())
}

/// What came of each with this repository's driver.
fn run_rust<W: Write>(
    setup: &Setup,
    scenarios: &[Scenario],
    cases: &[Case],
    ktap: &mut Ktap<W>,
) -> Result<Vec<String>> {
    let mut say = |text: &str| eprintln!("{text}");
    let mut machines = Machines::new(setup, Driver::Rust, &mut say);
    let mut results = Vec::new();
    for case in cases {
        let scenario = &scenarios[case.scenario];
        let (wrong, text) = match machines.run(scenario, case.intx) {
            Ok(observed) => (wrong(scenario, &observed), observed.to_string()),
            Err(failure) => (Some(failure.to_string()), failure.name().to_owned()),
        };
        ktap.result(wrong.is_none(), &key(scenario, case))?;
        if let Some(wrong) = wrong {
            ktap.note(&wrong)?;
        }
        results.push(text);
    }
    Ok(results)
}

/// What came of each with the C driver, by name.
fn run_c<W: Write>(
    setup: &Setup,
    scenarios: &[Scenario],
    cases: &[Case],
    ktap: &mut Ktap<W>,
) -> Result<BTreeMap<String, String>> {
    let mut say = |text: &str| eprintln!("{text}");
    let mut machines = Machines::new(setup, Driver::C, &mut say);
    let mut results = BTreeMap::new();
    for case in cases {
        let scenario = &scenarios[case.scenario];
        let text = match machines.run(scenario, case.intx) {
            Ok(observed) => observed.to_string(),
            Err(failure) => failure.name().to_owned(),
        };
        ktap.note(&format!("C driver, {}: {text}", key(scenario, case)))?;
        results.insert(key(scenario, case), text);
    }
    Ok(results)
}
