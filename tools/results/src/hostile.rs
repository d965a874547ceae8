// SPDX-License-Identifier: GPL-2.0

//! What came of devices that misbehave: of the Rust driver's last runs beside the other results,
//! of the C driver what was recorded in the repository. Both by names as "SCENARIO, msix".

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::Environment;

/// The file with what was recorded of the C driver, below the repository's root.
pub const RECORDED: &str = "tests/hostile/c-driver.txt";
/// The name of the file with the [`ScenarioRun`]s.
const RUNS: &str = "hostile-rust";

/// The last run of a scenario with the Rust driver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScenarioRun {
    /// The scenario and the interrupts.
    pub name: String,
    /// `ok`, or what was wrong.
    pub verdict: String,
    /// What it was run on.
    pub environment: Environment,
}

/// Adds a run, in place of the one before of the same name.
///
/// # Errors
///
/// The file cannot be read or written.
pub fn add(folder: &Path, run: ScenarioRun) -> Result<()> {
    let mut all = runs(folder)?;
    all.retain(|other| other.name != run.name);
    all.push(run);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    crate::write(folder, RUNS, &all)
}

/// The last run of each scenario, in the order of the names; none if none was run.
///
/// # Errors
///
/// The file cannot be read or has another form.
pub fn runs(folder: &Path) -> Result<Vec<ScenarioRun>> {
    let path = folder.join(format!("{RUNS}.json"));
    if !path.exists() {
        return Ok(Vec::new());
    }
    crate::read(&path)
}

/// What came of each scenario with the C driver.
///
/// # Errors
///
/// The record cannot be read.
pub fn recorded(root: &Path) -> Result<BTreeMap<String, String>> {
    let path = root.join(RECORDED);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, outcome)| (name.to_owned(), outcome.to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_runs_add_up() {
        let folder = std::env::temp_dir().join(format!("hostile-{}", std::process::id()));
        let run = |name: &str, verdict: &str| ScenarioRun {
            name: name.to_owned(),
            verdict: verdict.to_owned(),
            environment: Environment::default(),
        };
        assert!(runs(&folder).unwrap().is_empty());
        for (name, verdict) in [
            ("b, msix", "no lie was told"),
            ("a", "ok"),
            ("b, msix", "ok"),
        ] {
            add(&folder, run(name, verdict)).unwrap();
        }
        let all = runs(&folder).unwrap();
        assert_eq!(all, [run("a", "ok"), run("b, msix", "ok")]);
        fs::write(folder.join("hostile-rust.json"), "{}").unwrap();
        assert!(add(&folder, run("c", "ok")).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
