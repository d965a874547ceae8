// SPDX-License-Identifier: GPL-2.0

//! The drivers, and the words to what they break: `drivers.toml`.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// All that is told of the drivers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The drivers, in the order of the page.
    pub driver: Vec<Driver>,
    /// What a strict device does with a breach, and what a fix looks like, by rule.
    pub rule: BTreeMap<String, Words>,
}

/// A driver of one kind of device.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Driver {
    /// The name of its column and of its fixture.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What was done with it.
    pub what: String,
    /// The trace, if it is not a fixture of this crate.
    pub trace: Option<String>,
    /// Its version, if the trace does not tell.
    pub version: Option<String>,
    /// The version of QEMU that traced it, if the trace does not tell.
    pub qemu: Option<String>,
    /// What is to be said of its breaches, beside what the rules say.
    #[serde(default)]
    pub note: String,
}

/// The words to a rule that drivers break.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// What a strict device does.
    pub strict: String,
    /// What a fix looks like.
    pub fix: String,
}

impl Catalogue {
    /// The catalogue of this repository.
    ///
    /// # Errors
    ///
    /// It is not as it should be.
    pub fn load() -> Result<Self> {
        toml::from_str(include_str!("../drivers.toml")).context("drivers.toml")
    }
}
