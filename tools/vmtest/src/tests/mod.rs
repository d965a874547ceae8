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
pub(crate) mod matrix;
pub(crate) mod modes;
pub(crate) mod moved;
pub(crate) mod odd;
pub(crate) mod ports;
pub(crate) mod processors;
pub(crate) mod refusal;
pub(crate) mod reset;
pub(crate) mod sleep;
pub(crate) mod strict;
pub(crate) mod unfreezable;
pub(crate) mod vectors;

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
                backends::all(cycles),
            ],
        ),
        group("arm64 in short", vec![arm64::all()]),
        group(
            "devices that are not driven, or are odd",
            vec![refusal::all(), odd::all()],
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
            vec![reset::all(), gone::all(), behind::all(), held::all()],
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
        if words.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        test.cells.retain(|cell| {
            let full = format!("{name}/{}", cell.name);
            words.iter().any(|word| full.contains(word.as_str()))
        });
    }
    tests.retain(|test| !test.cells.is_empty());
    tests
}
