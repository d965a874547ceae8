// SPDX-License-Identifier: GPL-2.0

//! The intended differences from the C driver: docs/differences.toml.

use std::collections::BTreeSet;

use anyhow::{ensure, Result};
use serde::Deserialize;

/// The file, below the repository's root.
pub const FILE: &str = "docs/differences.toml";

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differences {
    /// What stands above them, in Markdown.
    pub intro: String,
    /// The differences.
    #[serde(rename = "difference")]
    pub all: Vec<Difference>,
}

/// A difference; its texts are Markdown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Its name.
    pub id: String,
    /// Whether a comparison of traces sees it.
    #[serde(default)]
    pub traced: bool,
    /// What this driver does.
    pub what: String,
    /// What the C driver does.
    pub c: String,
    /// Why.
    pub why: String,
    /// What shows it.
    pub test: String,
}

/// Reads the text of such a file.
///
/// # Errors
///
/// It has another form, or an id twice.
pub fn parse(text: &str) -> Result<Differences> {
    let differences: Differences = toml::from_str(text)?;
    let mut ids = BTreeSet::new();
    for difference in &differences.all {
        ensure!(
            ids.insert(&difference.id),
            "{} is there twice",
            difference.id
        );
    }
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_there_once() {
        let row = "[[difference]]\nid = 'a'\nwhat = ''\nc = ''\nwhy = ''\ntest = ''\n";
        let once = format!("intro = ''\n{row}");
        assert_eq!(parse(&once).unwrap().all.len(), 1);
        let error = parse(&format!("{once}{row}")).unwrap_err();
        assert_eq!(error.to_string(), "a is there twice");
    }
}
