// SPDX-License-Identifier: GPL-2.0

//! Runs tests: one VM after another, one result for each cell.

use std::fs;
use std::io::Write;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::driver::Driver;
use crate::failure::{Failure, Outcome};
use crate::grade::Grade;
use crate::ktap::Ktap;
use crate::layout::Layout;
use crate::qemu;
use crate::setup::Setup;
use crate::verdict::Verdict;
use crate::vm::{self, Vm, BOOT};

/// How often a test's VM is booted again after a failure, for the cells that are left.
const BOOTS: usize = 4;

/// What a cell does with the VM.
pub type Body = Box<dyn Fn(&mut Vm) -> Outcome>;

/// A part of a test, with a result of its own. It can run alone, on a fresh VM.
pub struct Cell {
    /// Its name, unique in the test.
    pub name: String,
    /// How many cycles of sleep it goes through; the kernel log must show as many.
    pub cycles: u32,
    /// What is on record for the C driver if that does not work, and what it is about.
    pub on_c: Option<(Grade, &'static str)>,
    /// Whether it is about this repository's driver.
    pub needs_module: bool,
    /// What it does.
    pub body: Body,
}

impl Cell {
    /// A cell with this name and body.
    pub fn new(name: impl Into<String>, body: impl Fn(&mut Vm) -> Outcome + 'static) -> Self {
        Self {
            name: name.into(),
            cycles: 0,
            on_c: None,
            needs_module: false,
            body: Box::new(body),
        }
    }

    /// The same, said to go through this many cycles of sleep.
    pub fn cycles(mut self, cycles: u32) -> Self {
        self.cycles = cycles;
        self
    }

    /// The same, said to be about this repository's driver.
    pub fn needs_module(mut self) -> Self {
        self.needs_module = true;
        self
    }

    /// The same, with what is on record for the C driver where that does not work.
    pub fn on_c(mut self, grade: Grade, why: &'static str) -> Self {
        self.on_c = Some((grade, why));
        self
    }
}

/// A VM and what is tried in it.
pub struct Test {
    /// Its name, which is also that of its log folder.
    pub name: String,
    /// What it is about, in one line.
    pub about: String,
    /// The VM.
    pub layout: Layout,
    /// How long its VM may take to boot, on the standard kernel.
    pub boot: Duration,
    /// How long all of it may take, on the standard kernel.
    pub limit: Duration,
    /// Its parts.
    pub cells: Vec<Cell>,
    /// Whether `make check` has it.
    pub in_check: bool,
    /// The source file that it is in.
    pub file: &'static str,
}

impl Test {
    /// A test that may take five minutes and that `make check` has not.
    #[track_caller]
    pub fn new(
        name: impl Into<String>,
        about: impl Into<String>,
        layout: Layout,
        cells: Vec<Cell>,
    ) -> Self {
        Self {
            name: name.into(),
            about: about.into(),
            layout,
            boot: BOOT,
            limit: Duration::from_secs(300),
            cells,
            in_check: false,
            file: Location::caller().file(),
        }
    }

    /// The same, that may take this long.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The same, in `make check`.
    pub fn in_check(mut self) -> Self {
        self.in_check = true;
        self
    }
}

/// What a cell came to.
pub struct CellResult {
    /// The cell's name.
    pub name: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// What it has to tell.
    pub notes: Vec<String>,
}

/// The command of a test's VM, to be pasted in the repository's root. Makes its files.
pub fn pasteable(setup: &Setup, test: &Test) -> Result<String> {
    let dir = setup.logs.join(format!("{}.command", test.name));
    let (line, _) = vm::prepare(setup, &test.layout, &dir)?;
    qemu::quote(&line)
}

/// Keeps the log folder of the run before and gives an empty one.
pub fn fresh_folder(logs: &Path, name: &str) -> Result<PathBuf> {
    let dir = logs.join(name);
    let old = logs.join(format!("{name}.old"));
    if dir.exists() {
        let _ = fs::remove_dir_all(&old);
        fs::rename(&dir, &old).with_context(|| format!("cannot rename {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

fn run_cell(vm: &mut Vm, cell: &Cell) -> Outcome {
    vm.allow(&[]);
    let before = vm.sleeps();
    let outcome = match vm.mark(&cell.name).and_then(|()| (cell.body)(vm)) {
        Ok(()) => vm
            .check_kernel()
            .and_then(|()| vm.check_slept(before, cell.cycles)),
        // What could not be tried must not hide what the kernel said on the way there.
        Err(lacks @ Failure::Lacks(_)) => vm.check_kernel().and(Err(lacks)),
        Err(failure) => Err(failure),
    };
    outcome.map_err(|failure| vm.explained(failure))
}

/// What a cell counts for that ended so. With the C driver, a weakness that is on record is a known
/// failure, and one that is not seen any more is a failure on the series that the record is of.
fn judged(setup: &Setup, cell: &Cell, outcome: Outcome, notes: &mut Vec<String>) -> Outcome {
    let Some((grade, why)) = cell.on_c else {
        return outcome;
    };
    match (setup.driver, outcome) {
        (Driver::C, Err(failure)) if is_on_record(&failure, grade, why) => Err(Failure::Known {
            why: format!("the C driver, as on record: {grade}, {why}"),
            failure: Box::new(failure),
        }),
        (Driver::C, Ok(())) if setup.is_recorded_series() => Err(Failure::Failed(format!(
            "on record for the C driver is {grade}, {why}; it works: mend the record"
        ))),
        (Driver::Rust, Err(failure)) => {
            if Grade::of(&failure).is_some_and(|seen| seen > grade) {
                notes.push(format!("worse than the C driver: {grade}, {why}"));
            }
            Err(failure)
        }
        (_, outcome) => outcome,
    }
}

/// Whether a failure is the one on record; a warning of the kernel must be the same one.
fn is_on_record(failure: &Failure, grade: Grade, why: &str) -> bool {
    Grade::of(failure) == Some(grade)
        && (!why.starts_with("WARNING") || failure.to_string().contains(why))
}

/// Why a cell is not run with this driver.
fn not_for(driver: Driver, cell: &Cell) -> Option<Failure> {
    let why = "it is about virtio_pci_rs".to_owned();
    (cell.needs_module && driver == Driver::C).then_some(Failure::Lacks(why))
}

/// Why no part of a test is run.
pub fn not_run(setup: &Setup, test: &Test) -> Option<Failure> {
    let mut cells = test.cells.iter();
    if !cells.all(|cell| not_for(setup.driver, cell).is_some()) {
        return setup.lacks_kernel(&test.layout);
    }
    not_for(setup.driver, test.cells.first()?)
}

/// Boots a test's VM, again if it was silent: the driver under test is not loaded by then.
fn boot(setup: &Setup, test: &Test, dir: &Path) -> Outcome<Vm> {
    match Vm::boot(setup, &test.layout, dir, test.boot) {
        Err(failure @ Failure::TimedOut { .. }) => {
            let name = &test.name;
            eprintln!("{name}: {failure}; once more, the first log is {name}.silent");
            let _ = fs::remove_dir_all(dir.with_extension("silent"));
            fs::rename(dir, dir.with_extension("silent"))
                .with_context(|| format!("cannot rename {}", dir.display()))?;
            Vm::tidy(&dir.with_extension("silent"));
            Vm::boot(setup, &test.layout, dir, test.boot)
        }
        booted => booted,
    }
}

/// Runs the cells of a test; a failure costs the VM, and the next cell gets a new one.
pub fn run(
    setup: &Setup,
    test: &Test,
    say: &mut dyn FnMut(&CellResult),
) -> Outcome<Vec<CellResult>> {
    let mut results = Vec::new();
    let mut vm: Option<Vm> = None;
    let (mut boots, mut known) = (0, 0);
    let limit = test.layout.limit(test.limit);
    // What is set up for this VM is not to count.
    setup.for_layout(&test.layout)?;
    let deadline = Instant::now() + limit;
    for cell in &test.cells {
        let began = Instant::now();
        let mut notes = Vec::new();
        let outcome = if let Some(why) = not_for(setup.driver, cell) {
            Err(why)
        } else if began > deadline {
            Err(Failure::TimedOut {
                what: format!("the test {}", test.name),
                limit,
            })
        } else {
            let booted = match vm.take() {
                Some(vm) => Ok(vm),
                None if boots - known == BOOTS => Err(Failure::NoResults(format!(
                    "not run, the VM failed {BOOTS} times"
                ))),
                None => {
                    boots += 1;
                    let name = match boots {
                        1 => test.name.clone(),
                        _ => format!("{}.boot{boots}", test.name),
                    };
                    let dir = fresh_folder(&setup.logs, &name)?;
                    boot(setup, test, &dir)
                }
            };
            booted.and_then(|mut booted| {
                let outcome = run_cell(&mut booted, cell);
                notes = booted.take_notes();
                let is_usable = matches!(outcome, Ok(()) | Err(Failure::Lacks(_)));
                let outcome = judged(setup, cell, outcome, &mut notes);
                let outcome = setup.known(&test.name, &cell.name, outcome);
                // What is known to fail must not keep the rest from running.
                known += usize::from(matches!(outcome, Err(Failure::Known { .. })));
                let dir = booted.dir().to_owned();
                if is_usable {
                    vm = Some(booted);
                } else {
                    drop(booted);
                    Vm::tidy(&dir);
                }
                outcome
            })
        };
        let result = CellResult {
            name: cell.name.clone(),
            outcome,
            took: began.elapsed(),
            notes,
        };
        say(&result);
        results.push(result);
    }
    if let Some(vm) = vm {
        let dir = vm.dir().to_owned();
        drop(vm);
        Vm::tidy(&dir);
    }
    if results.is_empty() {
        return Err(Failure::NoResults(format!("{} ran no cell", test.name)));
    }
    Ok(results)
}

/// Runs a test and reports it as a nested KTAP block; gives its results.
pub fn report<W: Write>(setup: &Setup, test: &Test, ktap: &mut Ktap<W>) -> Result<Vec<CellResult>> {
    if let Some(why) = not_run(setup, test) {
        ktap.outcome(&Verdict::from(&why), &test.name)?;
        return Ok(Vec::new());
    }
    ktap.begin_test(&test.name, test.cells.len())?;
    ktap.note(&format!(
        "{}: {} (driver {})",
        test.name, test.about, setup.driver
    ))?;
    if setup.verbose {
        ktap.note(&pasteable(setup, test)?)?;
    }
    let mut written = Ok(());
    let mut reported = 0;
    let outcome = run(setup, test, &mut |result| {
        reported += 1;
        if written.is_ok() {
            written = report_cell(ktap, result);
        }
    });
    written?;
    let results = match outcome {
        Ok(results) => results,
        Err(failure) => {
            for cell in test.cells.iter().skip(reported) {
                ktap.note(&failure.to_string())?;
                ktap.outcome(&Verdict::from(&failure), &cell.name)?;
            }
            Vec::new()
        }
    };
    let dir = setup.logs.join(&test.name);
    keep(setup, test, &dir, &results)?;
    ktap.note(&format!("logs in {}", dir.display()))?;
    let mut verdicts = results.iter().map(|result| Verdict::from(&result.outcome));
    if results.is_empty() || verdicts.any(|verdict| verdict.is_bad()) {
        let command = fs::read_to_string(dir.join("command")).unwrap_or_default();
        ktap.note(&format!("from {}: {command}", setup.root.display()))?;
        ktap.note(&format!("the test is in tools/{}", test.file))?;
    }
    ktap.end_test()?;
    Ok(results)
}

/// Leaves the results of a test for the report.
fn keep(setup: &Setup, test: &Test, dir: &Path, results: &[CellResult]) -> Result<()> {
    let cycles = |name: &str| {
        let cell = test.cells.iter().find(|cell| cell.name == name);
        cell.map_or(0, |cell| cell.cycles)
    };
    let ran = |result: &&CellResult| !matches!(result.outcome, Err(Failure::Lacks(_)));
    let parts = results.iter().filter(ran).map(|result| results::Part {
        name: result.name.clone(),
        cycles: cycles(&result.name),
        verdict: match &result.outcome {
            Ok(()) => "ok".to_owned(),
            Err(failure) => failure.name().to_owned(),
        },
        seconds: result.took.as_secs_f64(),
    });
    let run = results::TestRun {
        name: test.name.clone(),
        about: test.about.clone(),
        driver: setup.driver.to_string(),
        environment: setup.environment_of(&test.layout),
        command: fs::read_to_string(dir.join("command"))
            .unwrap_or_default()
            .trim()
            .to_owned(),
        parts: parts.collect(),
    };
    let name = format!("{}-{}-{}", results::TEST, test.name, setup.driver);
    results::write(&setup.results(), &name, &run)
}

fn report_cell<W: Write>(ktap: &mut Ktap<W>, result: &CellResult) -> std::io::Result<()> {
    for text in &result.notes {
        ktap.note(text)?;
    }
    let verdict = Verdict::from(&result.outcome);
    if let (Err(failure), false) = (&result.outcome, matches!(verdict, Verdict::Skipped(_))) {
        ktap.note(&failure.to_string())?;
    }
    ktap.outcome(&verdict, &result.name)
}
