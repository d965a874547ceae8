// SPDX-License-Identifier: GPL-2.0

//! The tests: data that say which VM, and functions that say what is tried.
//!
//! A file has one test, or some whose names begin with its name, and says all of them: the machine,
//! the cells, the time limit, whether `make check` has it. Its shell functions are in
//! `tests/guest/cases/`.

mod aborted_sleep;
mod affinity;
mod allocations;
mod arm64;
mod balloon;
mod behind_the_back;
mod bridges;
mod bus_mastering;
mod changed_asleep;
mod console;
mod debug;
mod debugfs;
mod debugfs_held;
mod delayed_release;
mod fewer_features;
mod fewer_vectors;
pub(crate) mod harness;
mod idle;
mod io_threads;
mod kcsan;
mod kexec;
mod kunit;
mod lint;
mod lost_requests;
mod machines;
mod migration;
mod missing_devices;
mod net_queues;
#[path = "9p_dies.rs"]
mod nine_p_dies;
mod no_interrupt;
mod no_io_window;
mod no_msi;
mod no_smp;
mod odd_devices;
mod other_devices;
mod other_driver;
mod other_memory;
mod pci_reset;
mod ports;
mod processors;
mod refusals;
mod short_configuration;
mod sleep;
mod sleep_modes;
mod slow_reset;
mod smaller_queues;
mod snapshot;
mod streams;
mod strict;
mod surprise_removal;
mod unfreezable;
mod vectors_run_out;

pub use crate::cells::sleep::Cycles;
use anstream::println;
use vm::names::is_meant;
use vm::runner::Test;

/// Tests of one topic.
pub(crate) struct Topic {
    /// Its name.
    pub(crate) name: &'static str,
    /// The tests.
    pub(crate) tests: Vec<Test>,
}

/// Every test: one line a file, by topic, in the order of `make list`.
pub(crate) fn topics(cycles: Cycles) -> Vec<Topic> {
    let topic = |name, files: &mut [Vec<Test>]| Topic {
        name,
        tests: files.iter_mut().flat_map(std::mem::take).collect(),
    };
    vec![
        topic(
            "machines and devices",
            &mut [
                machines::all(),
                bridges::all(cycles),
                processors::all(),
                vectors_run_out::all(),
                affinity::all(),
                net_queues::all(),
                io_threads::all(),
                streams::all(cycles),
            ],
        ),
        topic("arm64 in short", &mut [arm64::all()]),
        topic(
            "devices that are not driven, or are odd",
            &mut [
                refusals::all(),
                odd_devices::all(),
                no_interrupt::all(),
                short_configuration::all(),
                slow_reset::all(),
            ],
        ),
        topic(
            "sleep",
            &mut [
                sleep::all(cycles),
                sleep_modes::all(),
                idle::all(cycles),
                other_driver::all(),
                unfreezable::all(),
                balloon::all(),
                ports::all(),
                console::all(),
            ],
        ),
        topic(
            "what changes while the machine sleeps or is off",
            &mut [
                changed_asleep::all(),
                fewer_features::all(),
                missing_devices::all(),
                other_devices::all(),
                other_memory::all(),
                fewer_vectors::all(),
                smaller_queues::all(),
                snapshot::all(),
                migration::all(),
            ],
        ),
        topic(
            "devices that are reset, die or go",
            &mut [
                pci_reset::all(),
                bus_mastering::all(),
                surprise_removal::all(),
                behind_the_back::all(),
                lost_requests::all(),
                nine_p_dies::all(),
                no_io_window::all(),
            ],
        ),
        topic("another kernel takes over", &mut [kexec::all()]),
        topic("the specification", &mut [strict::all()]),
        topic("what the driver tells", &mut [debugfs::all(), lint::all()]),
        // Each of these kernels is built when the first test on it is run.
        topic(
            "kernels that are built",
            &mut [
                no_msi::all(),
                no_smp::all(),
                debug::all(),
                delayed_release::all(),
                kcsan::all(),
                debugfs_held::all(),
                aborted_sleep::all(),
                allocations::all(),
                kunit::all(),
            ],
        ),
    ]
}

/// Every test.
pub fn all(cycles: Cycles) -> Vec<Test> {
    let topics = topics(cycles).into_iter();
    topics.flat_map(|topic| topic.tests).collect()
}

/// Keeps the tests, or the cells of tests, that one of the words is a part of.
pub fn select(mut tests: Vec<Test>, words: &[String]) -> Vec<Test> {
    for test in &mut tests {
        let name = test.name.clone();
        if is_meant(&name, words) {
            continue;
        }
        test.cells
            .retain(|cell| is_meant(&format!("{name}/{}", cell.name), words));
    }
    tests.retain(|test| !test.cells.is_empty());
    tests
}

/// Prints the tests, one line each, and their cells if asked for.
pub fn list(cells: bool) {
    for topic in topics(Cycles::FEW) {
        println!("{}:", topic.name);
        for test in &topic.tests {
            let mark = if test.in_check { '*' } else { ' ' };
            println!("{mark} {:24} {}", test.name, test.about);
            for cell in test.cells.iter().filter(|_| cells) {
                println!("      {}/{}", test.name, cell.name);
            }
        }
        println!();
    }
    println!("* run by make check");
}

#[cfg(test)]
mod unit_tests {
    use super::*;
    use machine::Variant;
    use std::collections::BTreeSet;
    use std::path::Path;
    use vm::known::Known;
    use vm::names::plain;

    #[test]
    fn no_two_results_have_one_name() {
        let mut names = BTreeSet::new();
        for test in all(Cycles::FEW) {
            let name = plain(&test.name);
            let parts: BTreeSet<_> = test.cells.iter().map(|cell| plain(&cell.name)).collect();
            assert_eq!(parts.len(), test.cells.len(), "{name}");
            // A reader of KTAP takes the result of a part with this name for that of the test.
            assert!(!parts.contains(&name), "{name}");
            assert!(names.insert(name.clone()), "{name}");
        }
    }

    #[test]
    fn each_test_can_be_named_as_its_results_name_it() {
        for test in all(Cycles::FEW) {
            for cell in &test.cells {
                let typed = format!("{}/{}", plain(&test.name), plain(&cell.name));
                let full = format!("{}/{}", test.name, cell.name);
                assert!(is_meant(&full, &[typed]), "{full}");
            }
        }
    }

    #[test]
    fn each_known_failure_is_of_a_test() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let known = Known::load(&root, None).unwrap();
        let tests = all(Cycles::FEW).into_iter();
        let names = tests.flat_map(|test| {
            let cells = test.cells.into_iter();
            cells.map(move |cell| (test.name.clone(), cell.name))
        });
        let names: Vec<_> = names.collect();
        assert!(known.unused(&names).is_empty());
    }

    #[test]
    fn the_tests_on_built_kernels_have_a_topic() {
        for topic in topics(Cycles::FEW) {
            for test in topic.tests {
                let is_standard = test.layout.kernel == Variant::Standard;
                assert_ne!(
                    is_standard,
                    topic.name == "kernels that are built",
                    "{}",
                    test.name
                );
            }
        }
    }

    #[test]
    fn a_file_is_named_after_its_tests() {
        for test in all(Cycles::FEW) {
            let file = Path::new(test.file).file_stem().unwrap();
            let file = file.to_str().unwrap().replace('_', "-");
            let is_machine = ["pc-", "q35-", "virt-"].map(|board| test.name.starts_with(board));
            let machines = file == "machines" && is_machine.contains(&true);
            assert!(
                test.name.starts_with(&file) || machines,
                "{} is in {}",
                test.name,
                test.file
            );
        }
    }
}
