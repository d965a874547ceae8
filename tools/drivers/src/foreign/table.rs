// SPDX-License-Identifier: GPL-2.0

//! Tables for a terminal.

use crate::matrix::{rows, Column, Matrix};
use crate::page::sign;
use comfy_table::{presets, Table};
use std::collections::BTreeMap;
use virtio_check::access::Status;
use virtio_check::{Breach, Outcome};

fn table(head: Vec<String>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(head);
    table
}

/// The rules that any driver breaks, a column a driver, and how many are observed.
pub(super) fn text(matrix: &Matrix) -> String {
    let drivers = || matrix.drivers.iter();
    let head = ["rule".to_owned(), "1.4".to_owned()].into_iter();
    let mut table = table(
        head.chain(drivers().map(|d| d.name.replace('-', " ")))
            .collect(),
    );
    for (at, rule) in rows().enumerate() {
        let cells = || drivers().filter_map(move |driver| driver.cells.get(at));
        if cells().any(|cell| cell.outcome == Outcome::Breach) {
            let signs = cells().map(|cell| sign(cell, rule).replace('*', ""));
            let head = [rule.id.to_owned(), rule.v1_4.level.to_string()];
            table.add_row(head.into_iter().chain(signs));
        }
    }
    for outcome in [Outcome::Observed, Outcome::NotReached] {
        let count = |driver: &Column| {
            let cells = driver.cells.iter();
            cells
                .filter(|cell| cell.outcome == outcome)
                .count()
                .to_string()
        };
        let head = [outcome.to_string().to_lowercase(), String::new()];
        table.add_row(head.into_iter().chain(drivers().map(count)));
    }
    format!("{table}\n✗ broken, ○ a convention broken, ✓ observed, empty: not reached\n")
}

/// A line for each rule that only a device sees, with its first breach.
pub(super) fn unseen(breaches: &[(String, Breach)]) -> String {
    let mut rules: BTreeMap<(&str, &str), (usize, &str)> = BTreeMap::new();
    for (device, breach) in breaches {
        let first = (0, breach.message.as_str());
        rules.entry((device, breach.rule.id)).or_insert(first).0 += 1;
    }
    let line = |((device, rule), (count, message)): (&(&str, &str), &(usize, &str))| {
        format!("{device}: {rule}, {count} times: {message}\n")
    };
    rules.iter().map(line).collect()
}

/// What came of a device that lies.
pub(super) struct Lied {
    /// The scenario.
    pub(super) scenario: String,
    /// The device.
    pub(super) device: String,
    /// How often it lied.
    pub(super) told: usize,
    /// The status that the driver left.
    pub(super) status: u8,
    /// How the run ended.
    pub(super) end: String,
    /// The fault on the console.
    pub(super) says: String,
}

/// A row a scenario.
pub(super) fn lies(rows: &[Lied]) -> String {
    let head = [
        "scenario",
        "device",
        "lies told",
        "status",
        "the guest",
        "its console",
    ];
    let mut table = table(head.map(str::to_owned).to_vec());
    for row in rows {
        let says: String = row.says.chars().take(60).collect();
        table.add_row([
            row.scenario.clone(),
            row.device.clone(),
            row.told.to_string(),
            Status(row.status).to_string(),
            row.end.clone(),
            says,
        ]);
    }
    table.to_string()
}
