// SPDX-License-Identifier: GPL-2.0

//! The tests: data that say which VM, and functions that say what is tried.

pub(crate) mod aborted;
pub(crate) mod affinity;
pub(crate) mod allocations;
pub(crate) mod behind;
pub(crate) mod changed;
mod config_space;
pub(crate) mod debug;
pub(crate) mod debugfs;
pub(crate) mod device;
pub(crate) mod gone;
pub(crate) mod harness;
pub(crate) mod kunit;
pub(crate) mod matrix;
pub(crate) mod odd;
pub(crate) mod refusal;
pub(crate) mod reset;
pub(crate) mod sleep;
pub(crate) mod strict;
pub(crate) mod unfreezable;

use crate::runner::Test;
use sleep::Cycles;

/// All tests in the size of the matrix.
pub(crate) fn all(cycles: Cycles) -> Vec<Test> {
    let mut tests = matrix::all();
    tests.extend(refusal::all());
    tests.extend(reset::all());
    tests.extend(gone::all());
    tests.extend(sleep::all(cycles));
    tests.extend(changed::all());
    tests.extend(behind::all());
    tests.extend(unfreezable::all());
    tests.extend(debugfs::all());
    tests.extend(affinity::all());
    tests.extend(strict::all());
    tests.extend(odd::all());
    tests
}

/// The tests on the debug kernel, which is built when the first of them is run.
pub(crate) fn debugging() -> Vec<Test> {
    let mut tests = debug::all();
    tests.extend(aborted::all());
    tests.extend(allocations::all());
    tests.extend(kunit::all());
    tests
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
