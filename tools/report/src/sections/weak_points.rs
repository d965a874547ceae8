// SPDX-License-Identifier: GPL-2.0

//! What the drivers do where the C driver is weak.

use crate::facts::Facts;
use crate::section::{Block, Cell, Section, Table};

/// The rows, each with a line for each test.
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
        let row = &point.row;
        let mut said = [&row.what, &row.c, &row.rust].map(|text| text.replace('`', ""));
        for verdicts in &point.measured {
            let c = verdicts.c.as_deref().unwrap_or("not run");
            let rust = match verdicts.rust.as_deref() {
                None => "not run".into(),
                Some(verdict) => Cell::judged(verdict, verdict == "ok"),
            };
            let cells = said.iter().map(String::as_str);
            let cells = cells.chain([verdicts.test.as_str(), c]);
            table.row(cells.map(Cell::from).chain([rust]));
            // Said once.
            said = Default::default();
        }
    }
    let text = "The table of docs/c-driver.md, and the last result of each test (make matrix, also with \
                DRIVER=c) and scenario (make hostile). The tests ask for what the Rust driver must \
                do, so the C driver fails them where it is weak. The outcomes of scenarios with the C \
                driver are on record in the repository.";
    Section {
        id: "weak-points",
        title: "Weak points",
        blocks: vec![Block::Text(text.into()), Block::Table(table)],
    }
}
