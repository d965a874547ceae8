// SPDX-License-Identifier: GPL-2.0

//! Writes the report into a folder.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::facts::Facts;
use crate::section::Block;
use crate::{html, markdown, sections};

/// The title of the report.
pub const TITLE: &str = "virtio_pci_rs beside virtio_pci";

/// Writes `index.html`, which needs none of the others, `report.md` with its pictures, and
/// `report.json`.
///
/// # Errors
///
/// A file cannot be written.
pub fn report(facts: &Facts, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let save = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    let summary = sections::summary(facts);
    let sections = sections::all(facts);
    save("index.html", &html::page(TITLE, &summary, &sections))?;
    save("report.md", &markdown::text(TITLE, &summary, &sections))?;
    save(
        "report.json",
        &(serde_json::to_string_pretty(facts)? + "\n"),
    )?;
    for block in sections.iter().flat_map(|section| &section.blocks) {
        if let Block::Picture(picture) = block {
            save(&format!("{}.svg", picture.name), &picture.file)?;
        }
    }
    Ok(())
}
