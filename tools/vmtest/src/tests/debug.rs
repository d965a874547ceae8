// SPDX-License-Identifier: GPL-2.0

//! What the tests do, on the debug kernel: wrong accesses, wrong locking and leaks are failures.

use std::time::Duration;

use machine::{Arch, Variant};

use super::{
    fewer_features, fewer_vectors, missing_devices, other_devices, pci_reset, smaller_queues,
    surprise_removal,
};
use crate::cells::leaks::no_leaks;
use crate::cells::main_job;
use crate::cells::sleep::{self, Cycles};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// The main job with these kinds of sleep, and each device unbound and bound.
fn main_test(name: &str, about: &str, layout: Layout, sleep: Vec<Cell>) -> Test {
    let kinds = layout.kinds.iter().copied();
    let kinds: Vec<_> = kinds.filter(|kind| *kind != Kind::Swap).collect();
    let cells = main_job::cells_and_rebinds(&kinds, sleep);
    Test::new(name, about, layout, cells).limit(Duration::from_secs(1200))
}

/// The same test on the debug kernel; `make check` has it on the standard kernel at most.
fn on_debug(mut test: Test) -> Test {
    test.file = file!();
    test.in_check = false;
    test.name = format!("debug-{}", test.name);
    test.about.push_str(", on the debug kernel");
    test.layout.kernel = Variant::Debug;
    test.cells.push(no_leaks());
    test
}

/// All that the main job does.
fn whole(name: &str, interrupts: Interrupts) -> Test {
    let mut sleep = sleep::levels_at_once();
    sleep.extend(sleep::real_cells(Board::Pc, Cycles::ONE));
    main_test(
        name,
        &format!("every device, I/O, every kind of sleep, {interrupts}"),
        Layout::new(Board::Pc, interrupts, 2).with_swap(),
        sleep,
    )
}

/// Interrupt handlers that the kernel has been asked to run as tasks.
fn threaded(interrupts: Interrupts) -> Test {
    let mut test = main_test(
        &format!("threadirqs-{interrupts}"),
        "every device, I/O, a little sleep, with interrupt handlers that are tasks",
        Layout::new(Board::Pc, interrupts, 2),
        sleep::shallow(&Kind::TESTED),
    );
    test.layout.words = "threadirqs";
    let count = test.layout.kinds.len();
    let are_tasks = Cell::new("interrupt handlers are tasks", move |vm| {
        vm.ok("ensure_loaded")?;
        vm.ok(&format!("check_threaded {count}")).map(drop)
    });
    test.cells.insert(0, are_tasks);
    test
}

/// The tests on the debug kernel.
pub(crate) fn all() -> Vec<Test> {
    let short = main_test(
        "short",
        "every device, I/O, a little sleep",
        main_job::layout(Arch::Amd64),
        sleep::shallow(&Kind::TESTED),
    );
    let mut tests = vec![
        on_debug(whole("main", Interrupts::PerQueue)),
        on_debug(whole("main-intx", Interrupts::Intx)),
        on_debug(short).in_check(),
        on_debug(threaded(Interrupts::PerQueue)),
        on_debug(threaded(Interrupts::Intx)),
    ];
    let of_the_standard_kernel = [
        surprise_removal::all(),
        pci_reset::all(),
        fewer_features::all(),
        missing_devices::all(),
        other_devices::all(),
        fewer_vectors::all(),
        smaller_queues::all(),
    ];
    tests.extend(of_the_standard_kernel.into_iter().flatten().map(on_debug));
    tests
}
