// SPDX-License-Identifier: GPL-2.0

//! The sections of the report, made of the facts.

mod costs;
mod handshake;
mod observed;
mod sleep;
mod what_ran;

use crate::facts::Facts;
use crate::section::{Block, Cell, Section, Table};

/// All sections.
pub fn all(facts: &Facts) -> Vec<Section> {
    vec![
        handshake::pictures(facts),
        handshake::accesses(facts),
        handshake::differences(facts),
        observed::features(facts),
        observed::vectors(facts),
        sleep::section(facts),
        weaknesses(facts),
        costs::section(facts),
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

/// The kind of interrupts, for people.
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

fn weaknesses(facts: &Facts) -> Section {
    let mut ids: Vec<&str> = Vec::new();
    for weakness in &facts.weaknesses {
        if !ids.contains(&weakness.id.as_str()) {
            ids.push(&weakness.id);
        }
    }
    let mut table = Table::new(&["id", "what is done", "C driver", "Rust driver", "test"]);
    for id in &ids {
        let of = |driver: &str| {
            let mut all = facts.weaknesses.iter();
            all.find(|w| w.id == *id && w.driver == driver)
        };
        let result = |driver: &str| {
            of(driver).map_or(Cell::from("not run"), |w| Cell::judged(&w.result, w.good))
        };
        let any = of("rust").or(of("c"));
        let (what, test) = any.map_or(("", ""), |w| (w.weakness.as_str(), w.test.as_str()));
        table.row([
            Cell::from(*id),
            what.into(),
            result("c"),
            result("rust"),
            test.into(),
        ]);
    }
    let mut blocks = vec![Block::Text(
        "What a device or a hypervisor can do to a driver, and what each driver does then.".into(),
    )];
    blocks.push(match ids.is_empty() {
        true => missing("results of weak points", "make matrix"),
        false => Block::Table(table),
    });
    Section {
        id: "weak-points",
        title: "Weak points",
        blocks,
    }
}
