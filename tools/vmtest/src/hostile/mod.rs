// SPDX-License-Identifier: GPL-2.0

//! Devices that misbehave: the scenarios of `tests/hostile`, on both drivers.

mod coverage;
mod outcome;
mod random;
mod run;
mod scenario;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{stdout, Write};
use std::path::PathBuf;

use anstream::println;
use anyhow::{ensure, Context, Result};
use machine::Variant;
use results::hostile::{ScenarioRun, RECORDED};

use coverage::Coverage;
use outcome::{Observed, Outcome};
use scenario::{Expected, Scenario};
use vm::driver::Driver;
use vm::failure::Failure;
use vm::grade::Grade;
use vm::ktap::Ktap;
use vm::names::is_meant;
use vm::runner::fresh_folder;
use vm::setup::Setup;
use vm::table::Table;
use vm::verdict::Verdict;
use vm::{Vm, BOOT};

/// The scenarios.
const SCENARIOS: &str = include_str!("../../../../tests/hostile/scenarios.txt");

/// The name of all scenarios together, in the list of known failures.
const TEST: &str = "hostile";

/// What is to be run, and how.
#[derive(clap::Args)]
pub struct Options {
    /// Parts of names, as of "SCENARIO, msix"; all scenarios if there are none.
    names: Vec<String>,
    /// Runs the scenarios of this file, as one that "random" left, instead of
    /// tests/hostile/scenarios.txt.
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    scenarios: Option<PathBuf>,
    /// Does not run the C driver, but tells what came of it when it was recorded.
    #[arg(long)]
    recorded: bool,
    /// Records what comes of the C driver.
    #[arg(long, conflicts_with = "recorded")]
    record: bool,
    /// Runs this driver alone, on the debug kernel.
    #[arg(long, conflicts_with = "record")]
    debug: bool,
}

/// Which seeds are run.
#[derive(clap::Args)]
pub struct Seeds {
    /// The first one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many.
    #[arg(long, default_value_t = 20)]
    count: u64,
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
struct Machines {
    setup: Setup,
    /// What the folders' names begin with.
    name: &'static str,
    kernel: Variant,
    vm: Option<(bool, Vm)>,
    boots: usize,
    coverage: Coverage,
}

impl Machines {
    fn new(setup: &Setup, driver: Driver, name: &'static str, kernel: Variant) -> Self {
        Self {
            setup: setup.with_driver(driver),
            name,
            kernel,
            vm: None,
            boots: 0,
            coverage: Coverage::default(),
        }
    }

    /// Runs a scenario, in a new VM if the last one is unusable.
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
        let name = format!("{}-{}-{}", self.name, self.setup.driver, self.boots);
        let dir = fresh_folder(&self.setup.logs, &name)?;
        let mut layout = run::layout(!intx);
        layout.kernel = self.kernel;
        let mut vm = Vm::boot(&self.setup, &layout, &dir, BOOT)?;
        run::prepare(&mut vm)?;
        Ok(vm)
    }

    /// Ends the last VM.
    fn retire_last(&mut self) {
        let vm = self.vm.take();
        self.retire(vm);
    }

    fn retire(&mut self, vm: Option<(bool, Vm)>) {
        if let Some((_, vm)) = vm {
            for device in vm.scripted() {
                self.coverage.add(&device.told());
            }
            let dir = vm.dir().to_owned();
            drop(vm);
            Vm::tidy(&dir);
        }
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        self.retire_last();
    }
}

/// Why what came of a scenario is not what must come of it, or is worse than what is on record for
/// the C driver.
fn wrong(scenario: &Scenario, observed: &Observed, recorded: Option<&str>) -> Option<String> {
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
    if let Some(event) = &scenario.event {
        if !observed.journal.contains(&format!("] {event}: ")) {
            add(format!("the journal has no {event}"));
        }
    }
    if let Some(says) = &scenario.says {
        if !observed.log.contains(says.as_str()) {
            add(format!("the kernel log does not say: {says}"));
        }
    }
    let survives = scenario.expected == Expected::Survives;
    if !survives && observed.outcome != Outcome::Works && !observed.spoke {
        add("the kernel log says nothing of the device".to_owned());
    }
    if let (Some(recorded), None) = (recorded, &scenario.stricter) {
        if let Some(worse) = outcome::worse(&observed.to_string(), recorded) {
            add(worse);
        }
    }
    (!text.is_empty()).then_some(text)
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

/// The scenarios that are wanted, in each interrupt mode that they are for.
fn cases(scenarios: &[Scenario], wanted: impl Fn(&Scenario, &str) -> bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for intx in [false, true] {
        for (index, scenario) in scenarios.iter().enumerate() {
            let case = Case {
                scenario: index,
                intx,
            };
            let fits = scenario.only_msix != Some(intx);
            if fits && wanted(scenario, &key(scenario, &case)) {
                cases.push(case);
            }
        }
    }
    cases
}

/// Runs the scenarios on both drivers, or on the C driver alone; whether the driver under test does
/// what it must.
pub fn run(setup: &Setup, options: &Options) -> Result<bool> {
    let scenarios = match &options.scenarios {
        None => Scenario::parse_all(SCENARIOS)?,
        Some(path) => {
            let text = fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            Scenario::parse_all(&text).with_context(|| path.display().to_string())?
        }
    };
    let names = &options.names;
    let cases = cases(&scenarios, |_, key| {
        names.is_empty() || is_meant(key, names)
    });
    ensure!(!cases.is_empty(), "no scenario has such a name");
    // What is known of scenarios is known of this repository's.
    let own = options.scenarios.is_none();
    let mut recorded = match own {
        true => results::hostile::recorded(&setup.root)?,
        false => BTreeMap::new(),
    };
    let all = own && names.is_empty() && setup.driver == Driver::Rust;
    let mut ktap = Ktap::new(stdout());
    ktap.begin(cases.len() + usize::from(all))?;
    let mut rust = Vec::new();
    let mut coverage = Coverage::default();
    if setup.driver == Driver::Rust {
        let kernel = match options.debug {
            true => Variant::Debug,
            false => Variant::Standard,
        };
        (rust, coverage) = run_rust(setup, kernel, &scenarios, &cases, own, &mut ktap)?;
        if all {
            let missing = coverage.missing();
            ktap.note(&format!("never a lie: {missing:?}"))?;
            let name = "each register read was answered with a lie";
            ktap.result(missing.is_empty(), name)?;
        }
    } else {
        recorded.extend(report_c(setup, &scenarios, &cases, &recorded, &mut ktap)?);
    }
    let good = setup.finish(ktap)?.is_good();
    if setup.driver == Driver::Rust && !options.recorded && !options.debug {
        recorded.extend(run_c(setup, &scenarios, &cases, &mut tell)?);
    }
    if options.record {
        write_recorded(&recorded)?;
    }
    let mut table = Table::default();
    table.row(["scenario", "", "expected", "this driver", "C driver"]);
    for (index, case) in cases.iter().enumerate() {
        let scenario = &scenarios[case.scenario];
        let rust = rust.get(index).map_or("not run", String::as_str);
        let c = recorded.get(&key(scenario, case));
        let c = c.map_or("not recorded", String::as_str);
        let expected = scenario.expected.to_string();
        table.row([scenario.name.as_str(), case.mode(), &expected, rust, c]);
    }
    println!("\n{table}\n{coverage}");
    Ok(good)
}

/// Runs those scenarios that continuous integration has the time for, as one result.
pub(crate) fn check<W: Write>(setup: &Setup, ktap: &mut Ktap<W>) -> Result<()> {
    let scenarios = Scenario::parse_all(SCENARIOS)?;
    let cases = cases(&scenarios, |scenario, _| scenario.checked);
    ktap.begin_test("devices that misbehave", cases.len())?;
    match setup.driver {
        Driver::Rust => {
            run_rust(setup, Variant::Standard, &scenarios, &cases, true, ktap)?;
        }
        Driver::C => {
            let recorded = results::hostile::recorded(&setup.root)?;
            report_c(setup, &scenarios, &cases, &recorded, ktap)?;
        }
    }
    ktap.end_test()?;
    Ok(())
}

/// Runs scenarios made from seeds; whether the driver survives all of them.
pub fn run_seeds(setup: &Setup, seeds: &Seeds) -> Result<bool> {
    let mut machines = Machines::new(setup, setup.driver, "random", Variant::Standard);
    let mut ktap = Ktap::new(stdout());
    ktap.begin(usize::try_from(seeds.count)?)?;
    for seed in seeds.seed..seeds.seed.saturating_add(seeds.count) {
        let found = random::run(seed, &setup.logs, |scenario| {
            match machines.run(scenario, scenario.only_msix == Some(false)) {
                Ok(observed) => Ok(wrong(scenario, &observed, None)),
                Err(failure) => Ok(Some(failure.to_string())),
            }
        })?;
        let passed = found.wrong.is_none();
        if let Some((text, smallest)) = found.wrong {
            ktap.note(&found.scenario.to_string())?;
            ktap.note(&format!("{text}the smallest one, in logs/seed-{seed}.txt:"))?;
            ktap.note(&smallest.to_string())?;
        }
        ktap.result(passed, &format!("seed {seed}"))?;
    }
    machines.retire_last();
    let count = setup.finish(ktap)?;
    println!("\n{}", machines.coverage);
    Ok(count.is_good())
}

fn key(scenario: &Scenario, case: &Case) -> String {
    format!("{}, {}", scenario.name, case.mode())
}

/// What came of each with this repository's driver, and which lies were told. Of the repository's
/// `own` scenarios, each must tell a lie, and what came of it is kept.
fn run_rust<W: Write>(
    setup: &Setup,
    kernel: Variant,
    scenarios: &[Scenario],
    cases: &[Case],
    own: bool,
    ktap: &mut Ktap<W>,
) -> Result<(Vec<String>, Coverage)> {
    let mut machines = Machines::new(setup, Driver::Rust, "hostile", kernel);
    let mut environment = None;
    let recorded = match own {
        true => results::hostile::recorded(&setup.root)?,
        false => BTreeMap::new(),
    };
    let mut results = Vec::new();
    for case in cases {
        let scenario = &scenarios[case.scenario];
        let name = key(scenario, case);
        let (outcome, text) = match machines.run(scenario, case.intx) {
            // A scenario that did not take place has shown nothing; what a seed gives may not.
            Ok(observed) if own && !observed.lied => {
                let failure = Failure::Failed("no lie was told".to_owned());
                (Err(failure), observed.to_string())
            }
            Ok(observed) => {
                let c = recorded.get(&name).map(String::as_str);
                let wrong = wrong(scenario, &observed, c);
                let outcome = wrong.map_or(Ok(()), |wrong| Err(Failure::Failed(wrong)));
                (outcome, observed.to_string())
            }
            Err(failure) => {
                let name = failure.name().to_owned();
                (Err(failure), name)
            }
        };
        let outcome = setup.known(TEST, &name, outcome);
        let wrong = match &outcome {
            Ok(()) => None,
            Err(Failure::Failed(wrong)) => Some(wrong.clone()),
            Err(failure) => Some(failure.to_string()),
        };
        if let Some(wrong) = &wrong {
            ktap.note(wrong)?;
            ktap.note(&format!("logs in logs/hostile-rust-{}", machines.boots))?;
        }
        ktap.outcome(&Verdict::from(&outcome), &name)?;
        let environment = environment.get_or_insert_with(|| {
            let mut layout = run::layout(!case.intx);
            layout.kernel = kernel;
            setup.environment_of(&layout)
        });
        let run = ScenarioRun {
            name: match kernel {
                Variant::Standard => name,
                other => format!("{name}, {} kernel", other.name()),
            },
            verdict: match &wrong {
                None => "ok".to_owned(),
                Some(wrong) => wrong.trim_end().replace('\n', "; "),
            },
            environment: environment.clone(),
        };
        if own {
            results::hostile::add(&setup.results(), run)?;
        }
        results.push(text);
    }
    machines.retire_last();
    Ok((results, std::mem::take(&mut machines.coverage)))
}

/// What came of a scenario in a VM.
type Seen<'a> = std::result::Result<&'a Observed, Failure>;

/// What came of each with the C driver, by name; `tell` is told of each in turn.
fn run_c(
    setup: &Setup,
    scenarios: &[Scenario],
    cases: &[Case],
    tell: &mut dyn FnMut(&Scenario, &str, Seen<'_>) -> Result<()>,
) -> Result<BTreeMap<String, String>> {
    let mut machines = Machines::new(setup, Driver::C, "hostile", Variant::Standard);
    let mut results = BTreeMap::new();
    for case in cases {
        let scenario = &scenarios[case.scenario];
        let name = key(scenario, case);
        match machines.run(scenario, case.intx) {
            Ok(observed) => {
                tell(scenario, &name, Ok(&observed))?;
                results.insert(name, observed.to_string());
            }
            // That is nothing of the driver's.
            Err(failure) => tell(scenario, &name, Err(failure))?,
        }
    }
    Ok(results)
}

/// Says in one line what came of a scenario with the C driver.
fn tell(_: &Scenario, name: &str, seen: Seen<'_>) -> Result<()> {
    match seen {
        Ok(observed) => println!("# C driver, {name}: {observed}"),
        Err(failure) => println!("# C driver, {name}: {failure}"),
    }
    Ok(())
}

/// The same as results: the C driver must do no worse than is on record.
fn report_c<W: Write>(
    setup: &Setup,
    scenarios: &[Scenario],
    cases: &[Case],
    recorded: &BTreeMap<String, String>,
    ktap: &mut Ktap<W>,
) -> Result<BTreeMap<String, String>> {
    run_c(setup, scenarios, cases, &mut |scenario, name, seen| {
        let outcome = match seen {
            Ok(observed) => {
                ktap.note(&format!("{name}: {observed}"))?;
                let recorded = recorded.get(name).map(String::as_str);
                judge_c(scenario, observed, recorded)
            }
            Err(failure) => Err(failure),
        };
        let outcome = setup.known(TEST, name, outcome);
        Ok(ktap.outcome(&Verdict::from(&outcome), name)?)
    })
}

/// What the C driver's part in a scenario counts for.
fn judge_c(
    scenario: &Scenario,
    observed: &Observed,
    recorded: Option<&str>,
) -> vm::failure::Outcome {
    let failed = |why: String| Err(Failure::Failed(why));
    if !observed.lied && recorded.is_some() {
        return failed("no lie was told".to_owned());
    }
    let told = observed.to_string();
    let is_right = scenario.expected.allows(observed.outcome)
        && observed.splats.is_empty()
        && observed.faults.is_empty();
    let works = outcome::grade(&told) == Some(Grade::Works);
    if works || is_right {
        return Ok(());
    }
    let Some(recorded) = recorded else {
        return failed(format!("wanted {}, got {told}", scenario.expected));
    };
    match outcome::worse(&told, recorded) {
        Some(worse) => failed(format!("{told}; {worse}")),
        None => Err(Failure::Known {
            why: format!("the C driver, as on record: {recorded}"),
            failure: Box::new(Failure::Failed(told)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::sleep::Cycles;
    use results::weak_points::{covers, parse};

    #[test]
    fn no_scenario_may_end_worse_than_with_the_c_driver() {
        let scenarios = Scenario::parse_all(SCENARIOS).unwrap();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let recorded = results::hostile::recorded(&root).unwrap();
        for scenario in &scenarios {
            let Expected::Only(outcome) = scenario.expected else {
                continue;
            };
            let modes = cases(std::slice::from_ref(scenario), |_, _| true);
            let worse = modes.iter().any(|case| {
                let c = &recorded[&key(scenario, case)];
                outcome::worse(outcome.name(), c).is_some()
            });
            let name = &scenario.name;
            assert_eq!(worse, scenario.stricter.is_some(), "{name}");
        }
    }

    #[test]
    fn the_c_driver_is_judged_by_what_is_on_record() {
        let scenarios = "scenario x\ndevice rng\nrun read STATUS = 0\nexpect errors";
        let scenario = &Scenario::parse_all(scenarios).unwrap()[0];
        let observed = |outcome, lied| Observed {
            outcome,
            log: String::new(),
            splats: Vec::new(),
            faults: Vec::new(),
            spoke: true,
            lied,
            journal: String::new(),
        };
        let verdict = |outcome, recorded| {
            Verdict::from(&judge_c(scenario, &observed(outcome, true), recorded))
        };
        for right in [Outcome::Works, Outcome::Errors] {
            assert_eq!(verdict(right, Some("waits")), Verdict::Passed);
        }
        let known = "known failure: the C driver, as on record: waits, silent";
        assert_eq!(
            verdict(Outcome::Waits, Some("waits, silent")),
            Verdict::Known(known.to_owned())
        );
        assert!(verdict(Outcome::Hangs, Some("waits")).is_bad());
        assert!(verdict(Outcome::Waits, None).is_bad());
        let silent = judge_c(scenario, &observed(Outcome::Errors, false), Some("errors"));
        assert!(Verdict::from(&silent).is_bad());
    }

    #[test]
    fn what_shows_the_weak_points_exists() {
        let scenarios = Scenario::parse_all(SCENARIOS).unwrap();
        let cases = cases(&scenarios, |_, _| true);
        let keys = cases
            .iter()
            .map(|case| key(&scenarios[case.scenario], case));
        let tests = crate::tests::all(Cycles::FEW).into_iter();
        let all: Vec<String> = keys.chain(tests.map(|test| test.name)).collect();
        let points = parse(include_str!("../../../../docs/c-driver.toml")).unwrap();
        for row in &points.rows {
            for name in &row.tests {
                assert!(all.iter().any(|test| covers(name, test)), "{name}");
            }
        }
    }
}
