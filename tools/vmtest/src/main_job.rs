// SPDX-License-Identifier: GPL-2.0

//! The main job: one VM, every device and every kind of sleep, and the comparison.

use std::io::stdout;
use std::time::{Duration, Instant};

use anstream::println;
use anyhow::Result;
use machine::Arch;
use virtio_check::{Phase, Report};

use crate::cells::main_job;
use crate::cells::sleep::{self, Cycles};
use crate::compare;
use vm::driver::Driver;
use vm::failure::{Failure, Outcome};
use vm::ktap::Ktap;
use vm::layout::{Interrupts, Kind};
use vm::runner::{self, CellResult, Test};
use vm::setup::Setup;
use vm::table::Table;
use vm::verdict::Verdict;

/// The phases whose accesses the table tells.
const PHASES: [Phase; 4] = [Phase::Probe, Phase::Freeze, Phase::Restore, Phase::Remove];

fn test(arch: Arch) -> Test {
    let layout = main_job::layout(arch);
    let cells = main_job::cells(Kind::TESTED, sleep::cells(layout.board, Cycles::FEW));
    let about = "every device, I/O, every kind of sleep";
    Test::new("vm", about, layout, cells).limit(Duration::from_secs(1200))
}

/// Runs it; whether all of it is good.
pub fn run(setup: &Setup) -> Result<bool> {
    let began = Instant::now();
    eprintln!(
        "the main job, about five minutes at most; driver {}",
        setup.driver
    );
    let compared = setup.driver == Driver::Rust;
    let arch = setup.machine.arch;
    let mut ktap = Ktap::new(stdout());
    ktap.begin(1 + usize::from(compared))?;
    let results = runner::report(setup, &test(arch), &mut ktap)?;
    let report = if compared {
        let outcome = compare::compare(setup, &compare::layout(arch, Interrupts::PerQueue));
        let good = matches!(&outcome, Ok((report, _)) if report.ok());
        let name = "comparison with the C driver";
        match outcome {
            Ok((report, _)) => {
                if !good {
                    ktap.note(&report.to_string())?;
                }
                ktap.result(good, name)?;
                Some(report)
            }
            Err(failure) => {
                ktap.note(&failure.to_string())?;
                ktap.outcome(&Verdict::from(&failure), name)?;
                None
            }
        }
    } else {
        None
    };
    let count = setup.finish(ktap)?;
    let good = count.is_good();
    let (word, seconds) = (
        if good { "PASS" } else { "FAIL" },
        began.elapsed().as_secs(),
    );
    println!("\n{}", summary(setup, &results, report.as_ref()));
    println!("{word}: {count}, {seconds} s");
    Ok(good)
}

fn verdict(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(()) => "ok",
        Err(Failure::Lacks(_)) => "skipped",
        Err(Failure::Known { .. }) => "known",
        Err(failure) => failure.name(),
    }
}

/// The accesses of a device's phase, as C → Rust.
fn accesses(report: &Report, kind: Kind, phase: Phase) -> String {
    let device = report
        .devices
        .iter()
        .find(|device| device.name == kind.name());
    let found = device.and_then(|device| device.phases.iter().find(|of| of.phase == phase));
    found.map_or_else(String::new, |of| {
        format!("{} → {}", of.cost.c.handshake, of.cost.rust.handshake)
    })
}

/// What a person reads at a glance.
fn summary(setup: &Setup, results: &[CellResult], report: Option<&Report>) -> String {
    let module = match setup.driver {
        Driver::Rust => "virtio_pci_rs",
        Driver::C => "virtio_pci",
    };
    let mut devices = Table::default();
    let mut head = vec!["device".to_owned(), "I/O".to_owned()];
    if report.is_some() {
        head.extend(PHASES.map(|phase| phase.name().to_owned()));
        head.push("like C".to_owned());
    }
    devices.row(head);
    for kind in Kind::TESTED {
        let name = format!("{}: I/O", kind.name());
        let result = results.iter().find(|result| result.name == name);
        let io = result.map_or("not run", |result| verdict(&result.outcome));
        let mut row = vec![kind.name().to_owned(), io.to_owned()];
        if let Some(report) = report {
            row.extend(PHASES.map(|phase| accesses(report, kind, phase)));
            let differs = report
                .unexplained()
                .any(|difference| difference.device == kind.name());
            row.push(if differs { "differs" } else { "ok" }.to_owned());
        }
        devices.row(row);
    }
    let mut others = Table::default();
    for result in results
        .iter()
        .filter(|result| !result.name.ends_with(": I/O"))
    {
        let took = format!("{:.1} s", result.took.as_secs_f64());
        others.row([result.name.as_str(), verdict(&result.outcome), &took]);
    }
    let environment = setup.environment_of(&main_job::layout(setup.machine.arch));
    let note = match report {
        Some(_) => "The columns probe to remove: register accesses, C driver → this driver.\n\n",
        None => "",
    };
    format!(
        "{module} on Linux {}, QEMU {} ({})\n\n{devices}\n{note}{others}",
        environment.kernel, environment.qemu, environment.accel,
    )
}
