// SPDX-License-Identifier: GPL-2.0

//! What the tests do, on the debug kernel: wrong accesses, wrong locking and leaks are failures.

use std::time::Duration;

use machine::Variant;

use super::device::{check_bound, check_io};
use super::sleep::Cycles;
use super::{changed, gone, reset, sleep};
use crate::layout::Kind;
use crate::main_job;
use crate::runner::{Cell, Test};
use crate::vm::BOOT;

/// The last cell of a test on the debug kernel.
pub(crate) fn no_leaks() -> Cell {
    Cell::new("nothing leaked", |vm| {
        // What leaks at each load is found even if something that looks like a reference to one
        // of the objects is left somewhere.
        let reload = "load_driver && unload_driver";
        vm.ok(&format!(
            "stop_swap; ensure_unloaded && {reload} && {reload}"
        ))?;
        vm.ok("check_leaks").map(drop)
    })
}

/// The same test on the debug kernel.
fn on_debug(mut test: Test) -> Test {
    test.name = format!("debug-{}", test.name);
    test.about.push_str(", on the debug kernel");
    test.layout.kernel = Variant::Debug;
    test.cells.push(no_leaks());
    test
}

/// The main job, and each device unbound and bound.
fn main_test() -> Test {
    let mut sleep = sleep::levels_at_once();
    sleep.extend(sleep::real_cells(Cycles::ONE));
    let mut cells = main_job::cells(sleep);
    let last = cells.pop();
    cells.extend(Kind::TESTED.map(|kind| {
        Cell::new(format!("{}: unbind and bind", kind.name()), move |vm| {
            vm.ok("ensure_loaded")?;
            vm.ok(&format!("rebind_device {}", kind.slot()))?;
            check_bound(vm, kind)?;
            check_io(vm, kind)
        })
    }));
    cells.extend(last);
    Test {
        name: "main".to_owned(),
        about: "every device, I/O, every kind of sleep".to_owned(),
        layout: main_job::layout(),
        boot: BOOT,
        limit: Duration::from_secs(1200),
        cells,
    }
}

/// The tests on the debug kernel.
pub(crate) fn all() -> Vec<Test> {
    let mut tests = vec![main_test()];
    tests.extend(gone::all());
    tests.extend(reset::all());
    tests.extend(changed::all());
    tests.into_iter().map(on_debug).collect()
}
