// SPDX-License-Identifier: GPL-2.0

//! The drivers beside each other, rule by rule.

use anyhow::{Context, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};
use virtio_check::rules::{Party, Seen};
use virtio_check::{Breach, Lane, Measure, Outcome, Rule, RULES};

use crate::catalogue::Catalogue;

/// What came of a rule for a driver, on all devices of its trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The rule.
    pub rule: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// How often it was broken in the cut trace.
    pub broken: u64,
    /// The first breach.
    #[serde(skip)]
    pub breach: Option<Breach>,
}

/// A driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it is.
    pub title: String,
    /// Its version.
    pub version: String,
    /// The rules, in the order of [`RULES`].
    pub cells: Vec<Cell>,
}

/// All drivers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// The drivers, in the order of the catalogue.
    pub drivers: Vec<Column>,
}

/// Where the fixture of a driver is.
pub(crate) fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    folder.join(format!("{name}.txt"))
}

/// The rules of the rows.
pub(crate) fn rows() -> impl Iterator<Item = &'static Rule> {
    let rules = RULES.iter().copied();
    rules.filter(|rule| rule.seen == Seen::Trace && rule.party == Party::Driver)
}

/// What came of the rules on all devices of a lane.
pub(crate) fn cells(lane: &Lane) -> Vec<Cell> {
    let measure = Measure::default();
    let devices = (0..lane.verdicts.len()).map(|device| measure.results(lane, device));
    let devices: Vec<_> = devices.collect();
    let cell = |rule: &'static Rule| {
        let results = devices
            .iter()
            .flatten()
            .filter(|judged| judged.rule == rule);
        let mut cell = Cell {
            rule: rule.id,
            outcome: Outcome::NotReached,
            broken: 0,
            breach: None,
        };
        for judged in results {
            cell.broken += judged.finding.broken;
            cell.outcome = match (cell.outcome, judged.outcome) {
                (Outcome::Breach, _) | (_, Outcome::Breach) => Outcome::Breach,
                (Outcome::Observed, _) | (_, Outcome::Observed) => Outcome::Observed,
                (outcome, _) => outcome,
            };
            if cell.breach.is_none() {
                cell.breach = judged.finding.breaches.first().cloned();
            }
        }
        cell
    };
    rows().map(cell).collect()
}

impl Matrix {
    /// Judges the fixtures.
    ///
    /// # Errors
    ///
    /// One is missing or broken.
    pub fn of_fixtures(catalogue: &Catalogue) -> Result<Self> {
        let column = |driver: &crate::catalogue::Driver| {
            let path = fixture(&driver.name);
            let trace = std::fs::read(&path)
                .with_context(|| format!("{}: make drivers makes it", path.display()))?;
            let lane =
                Lane::of(&driver.name, &trace, &[]).with_context(|| path.display().to_string())?;
            Ok(Column {
                name: driver.name.clone(),
                title: driver.title.clone(),
                version: driver.version.clone(),
                cells: cells(&lane),
            })
        };
        let drivers = catalogue.driver.iter().map(column);
        Ok(Self {
            drivers: drivers.collect::<Result<_>>()?,
        })
    }
}
