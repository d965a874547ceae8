// SPDX-License-Identifier: GPL-2.0

//! Where the C driver is weak: docs/c-driver.toml.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The file, below the repository's root.
pub const FILE: &str = "docs/c-driver.toml";

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeakPoints {
    /// What stands above the rows, in Markdown.
    pub intro: String,
    /// What stands below them, in Markdown.
    pub notes: String,
    /// The rows.
    #[serde(rename = "row")]
    pub rows: Vec<WeakPoint>,
}

/// A row; its texts have code between backquotes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeakPoint {
    /// What happens to the driver.
    pub what: String,
    /// What the C driver does then.
    pub c: String,
    /// What the Rust driver does then.
    pub rust: String,
    /// What shows it: names for [`covers`].
    pub tests: Vec<String>,
}

/// Reads the text of such a file.
///
/// # Errors
///
/// It has another form.
pub fn parse(text: &str) -> Result<WeakPoints> {
    Ok(toml::from_str(text)?)
}

/// Reads the file of a repository.
///
/// # Errors
///
/// There is none, or it has another form.
pub fn read(root: &Path) -> Result<WeakPoints> {
    let path = root.join(FILE);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

/// Whether a name in a row is that of this test: the whole name or, before a `*`, its beginning; of
/// a scenario, what it begins with up to a comma.
pub fn covers(name: &str, test: &str) -> bool {
    match name.strip_suffix('*') {
        Some(beginning) => test.starts_with(beginning),
        None => test
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_covers_no_more_than_it_says() {
        assert!(covers("gone-*", "gone-msix"));
        assert!(!covers("gone-*", "surprise-gone-msix"));
        assert!(covers("lint", "lint"));
        assert!(!covers("lint", "lint-msix"));
        assert!(covers("reset", "reset, at probe, msix"));
        assert!(covers("reset, at probe", "reset, at probe, msix"));
        assert!(!covers("reset", "reset slow, at probe, msix"));
        assert!(!covers("reset", "first reset, msix"));
    }

    #[test]
    fn each_row_names_a_test() {
        let points = parse(include_str!("../../../docs/c-driver.toml")).unwrap();
        for row in &points.rows {
            assert!(!row.tests.is_empty(), "{row:?}");
            assert!(row.tests.iter().all(|name| !name.is_empty()), "{row:?}");
        }
    }

    #[test]
    fn a_misspelt_field_is_an_error() {
        let error = parse("intro = ''\nnotes = ''\n[[row]]\nwaht = ''\n").unwrap_err();
        assert!(
            error.to_string().contains("unknown field `waht`"),
            "{error}"
        );
    }
}
