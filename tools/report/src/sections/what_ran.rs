// SPDX-License-Identifier: GPL-2.0

//! What exactly was run.

use results::Environment;

use crate::facts::Facts;
use crate::section::{Block, Section, Table};

/// Versions and commands.
pub(super) fn section(facts: &Facts) -> Section {
    let mut table = Table::new(&[
        "what",
        "when (UTC)",
        "commit",
        "kernel",
        "QEMU",
        "accelerator",
        "Rust compiler",
    ]);
    let mut row = |what: String, environment: &Environment| {
        table.row([
            what,
            environment.date.clone(),
            environment.revision.clone(),
            environment.kernel.clone(),
            environment.qemu.clone(),
            environment.accel.clone(),
            environment.rustc.clone(),
        ]);
    };
    let mut blocks = Vec::new();
    let mut commands = Vec::new();
    for compared in &facts.comparisons {
        let comparison = &compared.comparison;
        let name = format!("make compare, {}", comparison.interrupts);
        commands.push(Block::Commands(
            name.clone(),
            vec![
                comparison.c.command.clone(),
                comparison.rust.command.clone(),
            ],
        ));
        row(name, &comparison.environment);
    }
    for test in &facts.tests {
        let name = format!("{}, driver {}", test.name, test.driver);
        let again = format!("DRIVER={} make run NAME={}", test.driver, test.name);
        commands.push(Block::Commands(
            name.clone(),
            vec![again, test.command.clone()],
        ));
        row(name, &test.environment);
    }
    let mut hostile: Vec<(&Environment, usize)> = Vec::new();
    for run in &facts.scenarios {
        match hostile.iter_mut().find(|(of, _)| **of == run.environment) {
            Some((_, count)) => *count += 1,
            None => hostile.push((&run.environment, 1)),
        }
    }
    for (environment, count) in hostile {
        row(format!("make hostile, {count} scenarios"), environment);
    }
    for measured in &facts.measurements {
        let part = &measured.measurements.part;
        row(
            format!("make bench, {part}"),
            &measured.measurements.environment,
        );
    }
    blocks.push(match table.rows.is_empty() {
        true => Block::Missing("Nothing was run.".into()),
        false => Block::Table(table),
    });
    blocks.extend(commands);
    Section {
        id: "what-was-run",
        title: "What was run",
        blocks,
    }
}
