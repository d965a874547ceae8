// SPDX-License-Identifier: GPL-2.0

//! The pages in docs/ that are made from data.

use std::path::Path;

#[test]
fn the_pages_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (path, text) in report::docs::pages(&root).unwrap() {
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{} is not up to date: make docs",
            path.display()
        );
    }
}

#[test]
fn no_cell_breaks_a_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for row in results::weak_points::read(&root).unwrap().rows {
        for cell in [&row.what, &row.c, &row.rust] {
            assert!(!cell.contains(['|', '\n']), "{cell}");
        }
    }
}
