// SPDX-License-Identifier: GPL-2.0

//! Tests of the harness: each of these VMs must fail, and in the way that is told.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;

use vm::failure::Outcome;
use vm::ktap::Ktap;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{self, Cell, Test};
use vm::setup::Setup;
use vm::{Vm, COMMAND};

/// A test that must fail.
struct Case {
    test: Test,
    /// The name of the failure.
    expected: &'static str,
}

fn case(
    name: &str,
    about: &str,
    expected: &'static str,
    body: impl Fn(&mut Vm) -> Outcome + 'static,
) -> Case {
    Case {
        test: Test::new(
            format!("harness-{name}"),
            about,
            Layout::new(Board::Pc, Interrupts::PerQueue, 1).with_kinds(&[Kind::Rng]),
            vec![Cell::new("must fail", body)],
        )
        .limit(Duration::from_secs(120)),
        expected,
    }
}

fn guest(command: &'static str) -> impl Fn(&mut Vm) -> Outcome {
    move |vm| vm.ok(command).map(drop)
}

fn cases() -> Vec<Case> {
    let mut silent = case(
        "silence",
        "a VM that never answers",
        "TimedOut",
        guest("true"),
    );
    silent.test.layout.extra = vec!["-S".to_owned()];
    silent.test.boot = Duration::from_secs(5);
    let mut empty = case(
        "nothing",
        "a test without results",
        "NoResults",
        guest("true"),
    );
    empty.test.cells.clear();
    let mut awake = case(
        "awake",
        "a cycle of sleep in which the machine does not sleep",
        "Awake",
        guest("true"),
    );
    for cell in &mut awake.test.cells {
        cell.cycles = 1;
    }
    vec![
        case(
            "failure",
            "a check that does not hold",
            "Failed",
            guest("false"),
        ),
        case(
            "data",
            "data that come back changed",
            "Failed",
            guest("echo a >/tmp/a; echo b >/tmp/b; same_sum /tmp/a /tmp/b"),
        ),
        case(
            "forgery",
            "a failing command that writes a success",
            "Failed",
            guest(
                "echo end 2 0; echo \"$TAG end 2 0\"; echo \"vmtest: end 2 0\" >/dev/kmsg; false",
            ),
        ),
        case(
            "crash",
            "a guest that crashes",
            "Splat",
            guest("echo c >/proc/sysrq-trigger"),
        ),
        case(
            "splat",
            "a warning in the kernel log",
            "Splat",
            guest("echo 'WARNING: CPU: 0 PID: 1 at nowhere.c:1' >/dev/kmsg"),
        ),
        case(
            "taint",
            "a kernel that is tainted",
            "Tainted",
            guest("echo 64 >/proc/sys/kernel/tainted"),
        ),
        case(
            "loss",
            "a VM that goes away",
            "LostVm",
            guest("poweroff -f; sleep 60"),
        ),
        case("hang", "a command that never ends", "TimedOut", |vm| {
            vm.ok_within("sleep 1000", Duration::from_secs(3)).map(drop)
        }),
        case(
            "refused",
            "a sleep that only begins",
            "Awake",
            guest("for word in entry exit; do echo \"PM: suspend $word (deep)\" >/dev/kmsg; done"),
        ),
        case(
            "lack",
            "a kernel that lacks something",
            "Lacks",
            guest("await 1 lacks \"a thing\"; echo not here"),
        ),
        case(
            "no-lack",
            "a failure with the status of a lack",
            "Failed",
            guest("echo \"lacks: a thing\"; exit 77"),
        ),
        case(
            "splat-and-lack",
            "a warning before something lacks",
            "Splat",
            guest("echo 'WARNING: CPU: 0 PID: 1 at nowhere.c:1' >/dev/kmsg; lacks \"a thing\""),
        ),
        awake,
        silent,
        empty,
    ]
}

/// How many results there will be.
pub(crate) fn count() -> usize {
    cases().len() + 1
}

/// Runs them; a result is good if the VM failed as it had to.
pub(crate) fn run<W: Write>(setup: &Setup, ktap: &mut Ktap<W>) -> Result<()> {
    let good = Test {
        cells: vec![Cell::new("answers", |vm| {
            vm.ok_within("true", COMMAND).map(drop)
        })],
        ..case("success", "a VM that answers passes", "", guest("true")).test
    };
    let passed = matches!(runner::run(setup, &good, &mut |_| {}), Ok(results)
        if results.iter().all(|result| result.outcome.is_ok()));
    ktap.note(&good.about)?;
    ktap.result(passed, &good.name)?;
    for Case { test, expected } in cases() {
        let outcome = runner::run(setup, &test, &mut |_| {})
            .and_then(|results| results.into_iter().try_for_each(|result| result.outcome));
        let seen = match &outcome {
            Ok(()) => "success",
            Err(failure) => failure.name(),
        };
        ktap.note(&format!("{} is {expected}", test.about))?;
        if seen != expected {
            let text = match outcome {
                Ok(()) => "it passed".to_owned(),
                Err(failure) => failure.to_string(),
            };
            ktap.note(&format!("wanted {expected}, got {text}"))?;
        }
        ktap.result(seen == expected, &test.name)?;
    }
    Ok(())
}
