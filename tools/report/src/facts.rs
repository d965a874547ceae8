// SPDX-License-Identifier: GPL-2.0

//! Everything that the report tells, read from the results and compared.

use std::path::Path;

use anyhow::{ensure, Context, Result};
use results::hostile::{self, ScenarioRun};
use results::stats::{self, Ratio};
use results::{Comparison, Measurements, TestRun};
use serde::Serialize;
use virtio_check::{check, compare, pre_2014, Breach, Report, Run, INTENDED};

use crate::weak_points::{self, WeakPoint};
use virtio_check::picture::{draw, panels, Lane, Picture};
use virtio_check::pictures::{lane, Named};

/// The name of the C driver in pictures and tables.
pub const C: &str = "C driver";
/// The name of the Rust driver in pictures and tables.
pub const RUST: &str = "Rust driver";

/// Everything that the report tells.
#[derive(Serialize)]
pub struct Facts {
    /// The comparisons of both drivers, one for each kind of interrupts.
    pub comparisons: Vec<Compared>,
    /// The VM tests.
    pub tests: Vec<TestRun>,
    /// The scenarios of devices that misbehave.
    pub scenarios: Vec<ScenarioRun>,
    /// Where the C driver is weak.
    pub weak_points: Vec<WeakPoint>,
    /// The parts of `make bench`.
    pub measurements: Vec<Measured>,
}

/// A comparison with what came out of it.
#[derive(Serialize)]
pub struct Compared {
    /// What was recorded.
    pub comparison: Comparison,
    /// What the comparison says.
    pub report: Report,
    /// How the restores would break the specification in the order of before 2014.
    pub before_2014: Vec<Breach>,
    /// The C driver's accesses, the Rust driver's, and the C driver's in the old order.
    #[serde(skip)]
    pub runs: [Named; 3],
}

/// A part of `make bench` with its statistics.
#[derive(Serialize)]
pub struct Measured {
    /// What was measured, all samples with it.
    pub measurements: Measurements,
    /// The medians of each series and their ratio.
    pub ratios: Vec<Option<Ratio>>,
}

/// Reads all results in a folder, and what the repository at `root` says of weak points.
///
/// # Errors
///
/// One of the files cannot be read or has another form.
pub fn gather(root: &Path, folder: &Path) -> Result<Facts> {
    let comparisons: Vec<Comparison> = results::read_all(folder, results::COMPARISON)?;
    let measurements: Vec<Measurements> = results::read_all(folder, results::MEASUREMENTS)?;
    let mut comparisons = comparisons
        .into_iter()
        .map(|comparison| compared(folder, comparison))
        .collect::<Result<Vec<_>>>()?;
    // What is used most comes first.
    let order = ["msix", "shared", "intx"];
    let place = |compared: &Compared| {
        let name = compared.comparison.interrupts.as_str();
        order.iter().position(|known| *known == name)
    };
    comparisons.sort_by_key(place);
    let tests: Vec<TestRun> = results::read_all(folder, results::TEST)?;
    let scenarios = hostile::runs(folder)?;
    Ok(Facts {
        comparisons,
        weak_points: weak_points::gather(root, &tests, &scenarios)?,
        tests,
        scenarios,
        measurements: measurements.into_iter().map(measured).collect(),
    })
}

impl Facts {
    /// The picture of one phase of one device, the first time that it had it.
    ///
    /// # Errors
    ///
    /// No such phase was recorded.
    pub fn handshake(&self, interrupts: &str, device: &str, phase: &str) -> Result<Picture> {
        let mut all = self.comparisons.iter();
        let compared = all
            .find(|compared| compared.comparison.interrupts == interrupts)
            .with_context(|| format!("nothing was recorded with {interrupts}"))?;
        let breaches: Vec<Vec<Breach>> = compared
            .runs
            .iter()
            .map(|named| check(&named.run))
            .collect();
        let lanes: Vec<Lane<'_>> = compared
            .runs
            .iter()
            .zip(&breaches)
            .filter_map(|(named, breaches)| lane(named, breaches, device))
            .collect();
        let mut panels = panels(&lanes);
        panels.retain(|panel| panel.title == phase);
        ensure!(
            !panels.is_empty(),
            "{device} has no {phase} with {interrupts}"
        );
        let title = format!("Register accesses of {device}, {phase}");
        Ok(draw(&title, &lanes, &panels))
    }
}

fn compared(folder: &Path, comparison: Comparison) -> Result<Compared> {
    let load = |recording: &results::Recording| {
        let path = folder.join(&recording.trace);
        Run::load(&path, &recording.devices).with_context(|| path.display().to_string())
    };
    let (c, rust) = (load(&comparison.c)?, load(&comparison.rust)?);
    let mut report = compare(&c, &rust, INTENDED);
    for (name, of_c) in &comparison.c.observations {
        let of_rust = comparison.rust.observations.iter();
        if let Some((_, of_rust)) = of_rust.clone().find(|(other, _)| other == name) {
            report.observe(name, of_c, of_rust);
        }
    }
    let before = pre_2014(&c);
    let known = check(&c);
    let is_new = |breach: &Breach| {
        let same = |b: &Breach| b.line == breach.line && b.rule == breach.rule;
        !known.iter().any(same)
    };
    let before_2014 = check(&before).into_iter().filter(is_new).collect();
    let named = |name: &str, run| Named {
        name: name.to_owned(),
        run,
    };
    Ok(Compared {
        comparison,
        report,
        before_2014,
        runs: [
            named(C, c),
            named(RUST, rust),
            named(virtio_check::pictures::BEFORE_2014, before),
        ],
    })
}

fn measured(measurements: Measurements) -> Measured {
    let ratios = measurements
        .series
        .iter()
        .map(|series| stats::ratio(&series.c, &series.rust))
        .collect();
    Measured {
        measurements,
        ratios,
    }
}
