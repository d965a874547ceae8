// SPDX-License-Identifier: GPL-2.0

//! Where the C driver is weak: what docs/c-driver.toml says, and what was measured of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use results::hostile::{self, ScenarioRun};
use results::weak_points::{self, covers};
use results::TestRun;
use serde::Serialize;

/// A row with the results of its tests.
#[derive(Debug, PartialEq, Serialize)]
pub struct WeakPoint {
    /// The row.
    pub row: weak_points::WeakPoint,
    /// Its tests and scenarios that were run with one of the drivers. Of a name in the row that
    /// stands for none of them, the name.
    pub measured: Vec<Verdicts>,
}

/// The result of a test or a scenario with each driver: `ok` or what failed, for a scenario with
/// the C driver its outcome. None if it was not run.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Verdicts {
    /// Its name.
    pub test: String,
    /// With the C driver.
    pub c: Option<String>,
    /// With the Rust driver.
    pub rust: Option<String>,
}

/// Reads the rows and the record of the C driver, and finds the results of each row.
///
/// # Errors
///
/// One of the files cannot be read or has another form.
pub fn gather(root: &Path, tests: &[TestRun], runs: &[ScenarioRun]) -> Result<Vec<WeakPoint>> {
    let rows = weak_points::read(root)?.rows;
    let mut c = hostile::recorded(root)?;
    let mut rust: BTreeMap<String, String> = BTreeMap::new();
    for run in runs {
        rust.insert(run.name.clone(), run.verdict.clone());
    }
    for test in tests {
        let of = if test.driver == "c" {
            &mut c
        } else {
            &mut rust
        };
        of.insert(test.name.clone(), verdict(test));
    }
    let all: BTreeSet<&String> = c.keys().chain(rust.keys()).collect();
    let verdicts = |name: &str| Verdicts {
        test: name.to_owned(),
        c: c.get(name).cloned(),
        rust: rust.get(name).cloned(),
    };
    let measured = |name: &String| -> Vec<Verdicts> {
        let covered = all.iter().filter(|test| covers(name, test));
        let found: Vec<Verdicts> = covered.map(|test| verdicts(test)).collect();
        match found.is_empty() {
            true => vec![verdicts(name)],
            false => found,
        }
    };
    let points = rows.into_iter().map(|row| WeakPoint {
        measured: row.tests.iter().flat_map(measured).collect(),
        row,
    });
    Ok(points.collect())
}

fn verdict(test: &TestRun) -> String {
    let failed = test.parts.iter().filter(|part| part.verdict != "ok");
    let failed: Vec<String> = failed
        .map(|part| format!("{}: {}", part.name, part.verdict))
        .collect();
    match (test.parts.is_empty(), failed.is_empty()) {
        (true, _) => "no results".to_owned(),
        (_, true) => "ok".to_owned(),
        _ => failed.join("; "),
    }
}
