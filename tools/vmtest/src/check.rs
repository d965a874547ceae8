// SPDX-License-Identifier: GPL-2.0

//! The jobs that are made of many tests, reported as KTAP.

use std::io::{stdout, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;

use anstream::println;
use anyhow::{anyhow, Result};

use crate::cells::sleep::Cycles;
use crate::compare;
use crate::hostile;
use crate::kernels;
use crate::soak;
use crate::steps::{self, Step};
use crate::tests::{self, harness};
use vm::driver::Driver;
use vm::ktap::{Count, Ktap};
use vm::layout::Interrupts;
use vm::runner::{self, Test};
use vm::setup::Setup;
use vm::verdict::Verdict;

/// What needs no VM.
const STEPS: [Step; 5] = [
    Step {
        name: "format",
        command: &["make", "fmtcheck"],
    },
    Step {
        name: "lints",
        command: &["make", "lint"],
    },
    Step {
        name: "host tests",
        command: &["make", "test"],
    },
    Step {
        name: "the kernel's parser of KTAP",
        command: &["make", "test-ktap"],
    },
    Step {
        name: "the report in Chromium",
        command: &["make", "test-report"],
    },
];

/// The host tools with the oldest Rust that they are for: that which built the default kernel.
const MSRV: Step = Step {
    name: "tools with Debian's rustc",
    command: &["make", "msrv"],
};

const COMPARED: [Interrupts; 3] = [Interrupts::PerQueue, Interrupts::Shared, Interrupts::Intx];

/// The result that tells whether the checker works.
const CAUGHT: &str = "the order of before the 2014 fix is caught";

/// Why a part is not run with the C driver.
const NOT_FOR_C: &str = "it is about virtio_pci_rs";

/// Whether the kernel comes with the rustc that [`MSRV`] is about.
fn has_oldest_rust(setup: &Setup) -> bool {
    let mut variables = setup.machine.make_env.iter();
    let tools = variables.find(|(name, _)| name == "KERNEL_TOOLS");
    let said = tools.and_then(|(_, tools)| {
        let mut rustc = Command::new(Path::new(tools).join("rustc"));
        rustc.arg("--version").output().ok()
    });
    said.is_some_and(|said| said.stdout.starts_with(b"rustc 1.85."))
}

fn comparison(interrupts: Interrupts) -> String {
    format!("comparison, {interrupts}")
}

/// Runs these tests.
pub fn run_tests(setup: &Setup, tests: &[Test]) -> Result<Count> {
    let mut ktap = Ktap::new(stdout());
    ktap.begin(tests.len())?;
    for test in tests {
        runner::report(setup, test, &mut ktap)?;
    }
    setup.finish(ktap)
}

/// Tests the harness.
pub fn selftest(setup: &Setup) -> Result<Count> {
    let mut ktap = Ktap::new(stdout());
    ktap.begin(harness::count())?;
    harness::run(setup, &mut ktap)?;
    setup.finish(ktap)
}

/// Compares the two drivers in every interrupt mode; prints the reports in full.
pub fn compare(setup: &Setup) -> Result<Count> {
    let mut ktap = Ktap::new(stdout());
    ktap.begin(COMPARED.len() + 1)?;
    compare_all(setup, true, &mut ktap)?;
    setup.finish(ktap)
}

fn compare_all<W: Write>(setup: &Setup, in_full: bool, ktap: &mut Ktap<W>) -> Result<()> {
    let mut caught = true;
    for interrupts in COMPARED {
        let layout = compare::layout(setup.machine.arch, interrupts);
        let name = comparison(interrupts);
        match compare::compare(setup, &layout) {
            Ok((report, run)) => {
                if in_full {
                    println!("{report}");
                } else if !report.ok() {
                    ktap.note(&report.to_string())?;
                }
                ktap.note(&report.summary())?;
                ktap.result(report.ok(), &name)?;
                caught &= compare::pre_2014_is_caught(&run);
            }
            Err(failure) => {
                ktap.note(&failure.to_string())?;
                ktap.outcome(&Verdict::from(&failure), &name)?;
                caught = false;
            }
        }
    }
    ktap.result(caught, CAUGHT)?;
    Ok(())
}

/// Everything: the host's steps, the harness, the tests in a size that fits, the comparison, and
/// endurance of this size.
pub fn run(setup: &Setup, size: &soak::Size) -> Result<Count> {
    // Who tests the C driver tests a kernel that is there.
    let setup = &match setup.driver {
        Driver::Rust => setup.clone(),
        Driver::C => setup.only_standard(),
    };
    let tests: Vec<_> = tests::all(Cycles::FEW)
        .into_iter()
        .filter(|test| test.in_check)
        .collect();
    let mut ktap = Ktap::new(stdout());
    ktap.begin(
        STEPS.len() + kernels::quick_count() + harness::count() + tests.len() + COMPARED.len() + 4,
    )?;
    if setup.driver == Driver::Rust {
        let has_oldest = has_oldest_rust(setup);
        let steps = STEPS.into_iter().chain(has_oldest.then_some(MSRV));
        steps::run(setup, &steps.collect::<Vec<_>>(), &mut ktap)?;
        if !has_oldest {
            ktap.skip(MSRV.name, "this kernel was not built by rustc 1.85")?;
        }
        kernels::check(setup, &mut ktap)?;
    } else {
        let steps = STEPS.iter().chain([&MSRV]).map(|step| step.name.to_owned());
        for name in steps.chain(kernels::quick_names()) {
            ktap.skip(&name, NOT_FOR_C)?;
        }
    }
    // No kernel is to be built while a VM has to answer in time. One that cannot be built is told
    // by the tests that need it.
    for test in &tests {
        if runner::not_run(setup, test).is_none() {
            let _ = setup.on(test.layout.kernel, test.layout.arch());
        }
    }
    let stopped = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        // Beside the others: a VM leaves a second processor idle for the most part.
        let endurance = scope.spawn(|| soak::short(setup, size, &stopped));
        let others = run_vms(setup, &tests, &mut ktap);
        if others.is_err() {
            stopped.store(true, Ordering::Relaxed);
        }
        let endurance = endurance
            .join()
            .unwrap_or_else(|_| Err(anyhow!("it panicked")));
        others?;
        soak::report(&endurance, &mut ktap)
    })?;
    setup.finish(ktap)
}

fn run_vms<W: Write>(setup: &Setup, tests: &[Test], ktap: &mut Ktap<W>) -> Result<()> {
    harness::run(setup, ktap)?;
    for test in tests {
        runner::report(setup, test, ktap)?;
    }
    hostile::check(setup, ktap)?;
    if setup.driver == Driver::Rust {
        return compare_all(setup, false, ktap);
    }
    for interrupts in COMPARED {
        ktap.skip(&comparison(interrupts), NOT_FOR_C)?;
    }
    ktap.skip(CAUGHT, NOT_FOR_C).map_err(Into::into)
}
