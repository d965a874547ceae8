// SPDX-License-Identifier: GPL-2.0

//! What the tests do, on the debug kernel: wrong accesses, wrong locking and leaks are failures.

use std::time::Duration;

use machine::{Arch, Variant};

use super::device::{check_bound, check_io};
use super::sleep::Cycles;
use super::{changed, gone, matrix, reset, sleep};
use crate::layout::{Board, Interrupts, Kind, Layout};
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

/// The main job with these devices and kinds of sleep, and each device unbound and bound.
fn main_test(name: &str, about: &str, layout: Layout, sleep: Vec<Cell>) -> Test {
    let kinds = layout.kinds.clone();
    let kinds = kinds.into_iter().filter(|kind| *kind != Kind::Swap);
    let mut cells = main_job::cells(kinds.clone(), sleep);
    let last = cells.pop();
    cells.extend(kinds.map(|kind| {
        Cell::new(format!("{}: unbind and bind", kind.name()), move |vm| {
            vm.ok("ensure_loaded")?;
            vm.ok(&format!("rebind_device {}", kind.slot()))?;
            check_bound(vm, kind)?;
            check_io(vm, kind)
        })
    }));
    cells.extend(last);
    Test {
        name: name.to_owned(),
        about: about.to_owned(),
        layout,
        boot: BOOT,
        limit: Duration::from_secs(1200),
        cells,
    }
}

/// Devices that are no disks. Where releases are delayed no disk can be removed, with any driver: the
/// block layer frees a disk that still holds a kobject.
const NO_DISKS: [Kind; 5] = [
    Kind::Net,
    Kind::Console,
    Kind::Rng,
    Kind::Balloon,
    Kind::NineP,
];

/// Sleep of these devices as far as the devices.
fn shallow_sleep(kinds: &'static [Kind]) -> Vec<Cell> {
    let cell = |state: &'static str| {
        Cell::new(format!("{state}, pm_test devices, 2 times"), move |vm| {
            vm.ok(&format!("pm_test_cycles {state} devices 2"))?;
            vm.connect_port()?;
            let mut kinds = kinds.iter().filter(|kind| Kind::FROZEN.contains(kind));
            kinds.try_for_each(|&kind| check_io(vm, kind))
        })
    };
    vec![cell("mem"), cell("disk")]
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
        shallow_sleep(&Kind::TESTED),
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

/// The last cell on the KCSAN kernel: it has looked at what the devices do.
fn races_were_looked_for() -> Cell {
    Cell::new("KCSAN has watched", |vm| {
        vm.ok("ensure_loaded && check_kcsan")?;
        check_io(vm, Kind::Blk)?;
        let counts = vm.ok("check_kcsan")?;
        vm.note(format!("KCSAN: {counts}"));
        for title in vm.other_races()? {
            vm.note(format!("not of virtio: {title}"));
        }
        Ok(())
    })
}

/// Everything, on the KCSAN kernel. Rust code is not instrumented.
fn racing() -> Test {
    let kinds = Kind::TESTED.to_vec();
    let mut cells = matrix::cells(&kinds);
    cells.extend(sleep::levels_at_once());
    let real = sleep::real_cells(Board::Pc, Cycles::ONE).into_iter();
    // Linux 7.3.4 with KCSAN does not come back from S3, with either driver.
    cells.extend(real.filter(|cell| !cell.name.starts_with("suspend to memory")));
    cells.push(races_were_looked_for());
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 4).with_swap();
    layout.kernel = Variant::Kcsan;
    // Races of others are no reason for a panic, and all are to be seen.
    layout.words = "panic_on_warn=0 log_buf_len=4M kcsan.skip_watch=1000";
    Test {
        name: "kcsan".to_owned(),
        about: "every device, I/O, unbinding, hot-plug, sleep, on the KCSAN kernel".to_owned(),
        layout,
        boot: BOOT,
        limit: Duration::from_secs(1200),
        cells,
    }
}

/// The tests on the debug kernels.
pub(crate) fn all() -> Vec<Test> {
    let mut tests = vec![
        whole("main", Interrupts::PerQueue),
        whole("main-intx", Interrupts::Intx),
        main_test(
            "short",
            "every device, I/O, a little sleep",
            main_job::layout(Arch::Amd64),
            shallow_sleep(&Kind::TESTED),
        ),
        threaded(Interrupts::PerQueue),
        threaded(Interrupts::Intx),
    ];
    tests.extend(gone::all());
    tests.extend(reset::all());
    tests.extend(changed::all());
    let mut tests: Vec<_> = tests.into_iter().map(on_debug).collect();

    let mut late = main_test(
        "delayed-release",
        "every device but disks, where releases of devices are delayed",
        Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&NO_DISKS),
        shallow_sleep(&NO_DISKS),
    );
    late.layout.kernel = Variant::DelayedRelease;
    late.cells.push(no_leaks());
    tests.push(late);

    tests.push(racing());
    tests
}
