// SPDX-License-Identifier: GPL-2.0

//! The module's KUnit tests, which run when it is loaded.

use std::time::Duration;

use machine::Variant;

use crate::kunit_log;
use vm::failure::{Failure, Outcome};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// Loads the module and reads what its tests said into the kernel log.
fn run(vm: &mut Vm) -> Outcome {
    let log = vm.ok("ensure_unloaded && dmesg -c >/dev/null && load_driver && dmesg")?;
    let results = kunit_log::parse(&log).map_err(Failure::NoResults)?;
    vm.note(format!(
        "{} KUnit tests passed, {} failed, {} skipped, in {} suites",
        results.passed,
        results.failed.len(),
        results.skipped.len(),
        results.suites
    ));
    if results.failed.is_empty() && results.skipped.is_empty() {
        return Ok(());
    }
    let names = [results.failed, results.skipped].concat().join(", ");
    Err(Failure::Failed(format!(
        "failed or skipped: {names}\n{log}"
    )))
}

/// The test that runs them; what is left of a device afterwards is not looked at.
pub(crate) fn all() -> Vec<Test> {
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 1).with_kinds(&[Kind::Rng]);
    layout.kernel = Variant::Debug;
    layout.kunit = true;
    vec![Test::new(
        "kunit",
        "the module's KUnit tests, on the debug kernel",
        layout,
        vec![
            Cell::new("KUnit tests of the module", run).needs_module(),
            crate::cells::leaks::no_leaks().needs_module(),
        ],
    )
    .in_check()
    .limit(Duration::from_secs(120))]
}
