// SPDX-License-Identifier: GPL-2.0

//! What the drivers do where the C driver is weak.

use crate::facts::Facts;
use crate::section::{Block, Cell, Section, Table};

/// The README's rows, each with a line for each test.
pub(super) fn section(facts: &Facts) -> Section {
    let mut table = Table::new(&[
        "what happens",
        "C driver",
        "Rust driver",
        "test",
        "C driver, measured",
        "Rust driver, measured",
    ]);
    for point in &facts.weak_points {
        let row = &point.readme;
        let mut said = [row.what.as_str(), &row.c, &row.rust];
        for verdicts in &point.measured {
            let c = verdicts.c.as_deref().unwrap_or("not run");
            let rust = match verdicts.rust.as_deref() {
                None => "not run".into(),
                Some(verdict) => Cell::judged(verdict, verdict == "ok"),
            };
            let cells = said.into_iter().chain([verdicts.test.as_str(), c]);
            table.row(cells.map(Cell::from).chain([rust]));
            // Said once.
            said = [""; 3];
        }
    }
    let text = "The README's table, and what came of the last run of each test (make matrix, also \
                with DRIVER=c) and scenario (make hostile). The tests ask for what the Rust driver \
                is to do, so the C driver fails them where it is weak. Of the scenarios, what came \
                of them with the C driver is on record in the repository.";
    Section {
        id: "weak-points",
        title: "Weak points",
        blocks: vec![Block::Text(text.into()), Block::Table(table)],
    }
}
