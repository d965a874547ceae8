// SPDX-License-Identifier: GPL-2.0

//! The sections of the report, made of the facts.

mod costs;
mod drivers;
mod handshake;
mod observed;
mod sleep;
mod weak_points;
mod what_ran;

use crate::facts::Facts;
use crate::section::{Block, Section};

/// All sections.
pub fn all(facts: &Facts) -> Vec<Section> {
    vec![
        handshake::pictures(facts),
        handshake::accesses(facts),
        handshake::differences(facts),
        observed::features(facts),
        observed::vectors(facts),
        sleep::section(facts),
        weak_points::section(facts),
        costs::section(facts),
        drivers::section(),
        what_ran::section(facts),
    ]
}

/// The outcome in a few lines.
pub fn summary(facts: &Facts) -> Vec<String> {
    let mut lines: Vec<String> = facts
        .comparisons
        .iter()
        .map(|compared| {
            let interrupts = interrupts(&compared.comparison.interrupts);
            format!("{interrupts}: {}", compared.report.summary())
        })
        .collect();
    let caught = facts
        .comparisons
        .iter()
        .map(|compared| compared.before_2014.len());
    if !facts.comparisons.is_empty() {
        let caught: usize = caught.sum();
        lines.push(format!(
            "the order of before 2014, replayed on the same restores, breaks the specification \
             {caught} times"
        ));
    }
    lines.extend(sleep::summary(facts));
    lines.extend(costs::summary(facts));
    lines
}

/// The kind of interrupts, in words.
fn interrupts(name: &str) -> &str {
    match name {
        "msix" => "MSI-X, a vector per virtqueue",
        "shared" => "MSI-X, two vectors",
        "intx" => "INTx",
        other => other,
    }
}

fn missing(what: &str, command: &str) -> Block {
    Block::Missing(format!("There are no {what} yet: {command} makes them."))
}
