// SPDX-License-Identifier: GPL-2.0

//! The pages in docs/ that are written from data.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use results::{differences, weak_points};

/// What stands above each page.
fn head(source: &str) -> String {
    format!(
        "<!-- SPDX-License-Identifier: GPL-2.0 -->\n\
         <!-- Written by `make docs` from {source}. -->\n\n"
    )
}

/// The pages of a repository, with their texts.
///
/// # Errors
///
/// The data cannot be read.
pub fn pages(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let path = root.join(differences::FILE);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let differences = differences::parse(&text).with_context(|| path.display().to_string())?;
    let weak_points = weak_points::read(root)?;
    Ok(vec![
        (
            root.join("docs/differences.md"),
            differences_page(&differences),
        ),
        (root.join("docs/c-driver.md"), c_driver_page(&weak_points)),
    ])
}

/// Writes the pages; their paths.
///
/// # Errors
///
/// The data cannot be read, or a page cannot be written.
pub fn write(root: &Path) -> Result<Vec<PathBuf>> {
    let write = |(path, text): (PathBuf, String)| {
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    pages(root)?.into_iter().map(write).collect()
}

fn differences_page(differences: &differences::Differences) -> String {
    let mut page = head(differences::FILE);
    page += "# Intended differences from the C driver\n\n";
    page += differences.intro.trim();
    page += "\n";
    for one in &differences.all {
        let traced = if one.traced { " (traced)" } else { "" };
        page += &format!("\n## `{}`{traced}\n\n{}\n\n", one.id, one.what.trim());
        page += &format!("- C: {}\n", one.c.trim());
        page += &format!("- Why: {}.\n", one.why.trim());
        page += &format!("- Test: {}\n", one.test.trim());
    }
    page
}

fn c_driver_page(points: &weak_points::WeakPoints) -> String {
    let mut page = head(weak_points::FILE);
    page += "# Where the C driver is weak\n\n";
    page += points.intro.trim();
    page += "\n\n| what happens | C driver | this driver | test |\n|---|---|---|---|\n";
    for row in &points.rows {
        let tests: Vec<String> = row.tests.iter().map(|name| format!("`{name}`")).collect();
        let tests = tests.join(", ");
        page += &format!("| {} | {} | {} | {tests} |\n", row.what, row.c, row.rust);
    }
    page += "\n";
    page += points.notes.trim();
    page += "\n";
    page
}
