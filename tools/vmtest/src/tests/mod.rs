// SPDX-License-Identifier: GPL-2.0

//! The tests: data that say which VM, and functions that say what is tried.

pub(crate) mod aborted;
pub(crate) mod affinity;
pub(crate) mod allocations;
pub(crate) mod arm64;
pub(crate) mod asleep;
pub(crate) mod backends;
pub(crate) mod balloon;
pub(crate) mod behind;
pub(crate) mod bridges;
pub(crate) mod changed;
mod config_space;
pub(crate) mod debug;
pub(crate) mod debugfs;
pub(crate) mod device;
pub(crate) mod gone;
pub(crate) mod harness;
pub(crate) mod held;
pub(crate) mod kexec;
pub(crate) mod kunit;
pub(crate) mod mastering;
pub(crate) mod matrix;
pub(crate) mod modes;
pub(crate) mod moved;
pub(crate) mod net_queues;
pub(crate) mod odd;
pub(crate) mod ports;
pub(crate) mod processors;
pub(crate) mod refusal;
pub(crate) mod reset;
pub(crate) mod sleep;
pub(crate) mod slow_reset;
pub(crate) mod strict;
pub(crate) mod unfreezable;
pub(crate) mod vectors;

use crate::names::is_meant;
use crate::runner::Test;
use sleep::Cycles;

/// Tests of one topic.
pub(crate) struct Group {
    /// The topic.
    pub(crate) topic: &'static str,
    /// The tests.
    pub(crate) tests: Vec<Test>,
}

fn group(topic: &'static str, parts: Vec<Vec<Test>>) -> Group {
    let tests = parts.into_iter().flatten().collect();
    Group { topic, tests }
}

/// All tests on the standard kernel, in the size of the matrix.
fn standard(cycles: Cycles) -> Vec<Group> {
    vec![
        group(
            "machines and devices",
            vec![
                matrix::all(),
                bridges::all(cycles),
                processors::all(),
                vectors::all(),
                affinity::all(),
                net_queues::all(),
                backends::all(cycles),
            ],
        ),
        group("arm64 in short", vec![arm64::all()]),
        group(
            "devices that are not driven, or are odd",
            vec![refusal::all(), odd::all(), slow_reset::all()],
        ),
        group(
            "sleep",
            vec![
                sleep::all(cycles),
                modes::all(cycles),
                unfreezable::all(),
                balloon::all(),
                ports::all(),
            ],
        ),
        group(
            "what changes while the machine sleeps or is off",
            vec![asleep::all(), changed::all(), moved::all()],
        ),
        group(
            "devices that are reset, die or go",
            vec![
                reset::all(),
                mastering::all(),
                gone::all(),
                behind::all(),
                held::all(),
            ],
        ),
        group("another kernel takes over", vec![kexec::all()]),
        group("the specification", vec![strict::all()]),
        group("what the driver tells", vec![debugfs::all()]),
    ]
}

/// The tests on the debug kernels, each built when the first test on it is run.
fn on_debug_kernels() -> Group {
    group(
        "the debug kernels",
        vec![
            debug::all(),
            held::debugging(),
            aborted::all(),
            allocations::all(),
            kunit::all(),
        ],
    )
}

/// Every test by its topic.
pub(crate) fn groups(cycles: Cycles) -> Vec<Group> {
    let mut groups = standard(cycles);
    groups.push(on_debug_kernels());
    groups
}

/// All tests on the standard kernel.
pub(crate) fn all(cycles: Cycles) -> Vec<Test> {
    let groups = standard(cycles).into_iter();
    groups.flat_map(|group| group.tests).collect()
}

/// All tests on the debug kernels.
pub(crate) fn debugging() -> Vec<Test> {
    on_debug_kernels().tests
}

/// Keeps the tests, or the cells of tests, that one of the words is a part of.
pub(crate) fn select(mut tests: Vec<Test>, words: &[String]) -> Vec<Test> {
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

#[cfg(test)]
mod unit_tests {
    use super::*;
    use crate::names::plain;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_results_have_one_name() {
        let mut names = BTreeSet::new();
        for test in groups(Cycles::FEW)
            .into_iter()
            .flat_map(|group| group.tests)
        {
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
        for test in groups(Cycles::FEW)
            .into_iter()
            .flat_map(|group| group.tests)
        {
            for cell in &test.cells {
                let typed = format!("{}/{}", plain(&test.name), plain(&cell.name));
                let full = format!("{}/{}", test.name, cell.name);
                assert!(is_meant(&full, &[typed]), "{full}");
            }
        }
    }
}
