// SPDX-License-Identifier: GPL-2.0

//! The drivers beside each other, rule by rule.

use anyhow::{Context, Result};
use serde_json::{json, Map, Value};
use std::path::{Path, PathBuf};
use virtio_check::rules::{self, Party, Seen};
use virtio_check::{Breach, Lane, Measure, Outcome, Rule, Version, RULES};

use crate::catalogue::{Catalogue, Driver};

/// What came of a rule for a driver, on all devices of its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The rule.
    pub rule: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// How often it was broken in the cut trace.
    pub broken: u64,
    /// The first breach.
    pub breach: Option<Breach>,
}

/// A driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it is.
    pub title: String,
    /// Its version.
    pub version: String,
    /// The version of QEMU that traced it.
    pub qemu: String,
    /// The rules, in the order of [`RULES`].
    pub cells: Vec<Cell>,
}

/// All drivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// The drivers, in the order of the catalogue.
    pub drivers: Vec<Column>,
}

/// Where the fixture of a driver is.
fn fixture(driver: &Driver) -> PathBuf {
    let own = || format!("fixtures/{}.txt", driver.name);
    let path = driver.trace.clone().unwrap_or_else(own);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
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
    /// The matrix for programs: the outcome of each rule, driver by driver.
    pub fn json(&self) -> Value {
        let driver = |column: &Column| {
            let rules = column.cells.iter();
            let rules: Map<_, _> = rules
                .map(|c| (c.rule.to_owned(), json!(c.outcome)))
                .collect();
            json!({
                "name": column.name,
                "title": column.title,
                "version": column.version,
                "qemu": column.qemu,
                "rules": rules,
            })
        };
        json!({
            "rules_version": rules::VERSION,
            "specification": Version::default(),
            "drivers": self.drivers.iter().map(driver).collect::<Vec<_>>(),
        })
    }

    /// Judges the fixtures.
    ///
    /// # Errors
    ///
    /// One is missing or broken.
    pub fn of_fixtures(catalogue: &Catalogue) -> Result<Self> {
        let column = |driver: &Driver| {
            let path = fixture(driver);
            let trace = std::fs::read_to_string(&path)
                .with_context(|| format!("{}: make drivers makes it", path.display()))?;
            let lane = Lane::of(&driver.name, trace.as_bytes(), &[])
                .with_context(|| path.display().to_string())?;
            let told = trace
                .lines()
                .nth(1)
                .and_then(|line| line.strip_prefix("# "));
            let (version, qemu) = told.and_then(|line| line.split_once("; QEMU ")).unzip();
            let either = |told: Option<&str>, given: &Option<String>| {
                let told = told.map(str::to_owned).or_else(|| given.clone());
                told.with_context(|| format!("{}: no version is told", path.display()))
            };
            Ok(Column {
                name: driver.name.clone(),
                title: driver.title.clone(),
                version: either(version, &driver.version)?,
                qemu: either(qemu, &driver.qemu)?,
                cells: cells(&lane),
            })
        };
        let drivers = catalogue.driver.iter().map(column);
        Ok(Self {
            drivers: drivers.collect::<Result<_>>()?,
        })
    }
}
