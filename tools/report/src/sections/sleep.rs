// SPDX-License-Identifier: GPL-2.0

//! Every kind of sleep on every machine.

use results::stats::failure_bound;
use results::{Part, TestRun};

use super::missing;
use crate::facts::Facts;
use crate::section::{Block, Cell, Section, Table};

/// The cycles that a driver went through, and how many parts failed.
struct Total {
    cycles: u32,
    failed: usize,
}

fn sleeps<'a>(facts: &'a Facts, driver: &str) -> Vec<&'a TestRun> {
    let of = |test: &&TestRun| test.driver == driver && test.parts.iter().any(|p| p.cycles > 0);
    facts.tests.iter().filter(of).collect()
}

fn total(tests: &[&TestRun]) -> Total {
    let parts = || {
        tests
            .iter()
            .flat_map(|test| &test.parts)
            .filter(|p| p.cycles > 0)
    };
    Total {
        cycles: parts()
            .filter(|p| p.verdict == "ok")
            .map(|p| p.cycles)
            .sum(),
        failed: parts().filter(|p| p.verdict != "ok").count(),
    }
}

fn words(driver: &str, total: &Total) -> String {
    let Total { cycles, failed } = total;
    let mut text = format!("{driver}: {cycles} cycles of sleep without a failure");
    match (failed, failure_bound(*cycles)) {
        (0, Some(bound)) => text.push_str(&format!(
            ", so with 95 % confidence fewer than {:.2} % fail",
            100.0 * bound
        )),
        (0, None) => {}
        (failed, _) => text.push_str(&format!(", and {failed} kinds that FAILED")),
    }
    text
}

/// The outcome of each driver in one line.
pub(super) fn summary(facts: &Facts) -> Vec<String> {
    let drivers = [("rust", "Rust driver"), ("c", "C driver")];
    let lines = drivers.iter().filter_map(|(driver, name)| {
        let tests = sleeps(facts, driver);
        (!tests.is_empty()).then(|| words(name, &total(&tests)))
    });
    lines.collect()
}

/// The kinds of sleep by the machines.
pub(super) fn section(facts: &Facts) -> Section {
    let mut blocks = vec![Block::Text(
        "Cycles of each kind of sleep, while disks are written and verified; every device is checked \
         afterwards. The failure bound is that of independent cycles."
            .into(),
    )];
    for (driver, name) in [("rust", "Rust driver"), ("c", "C driver")] {
        let tests = sleeps(facts, driver);
        if tests.is_empty() {
            continue;
        }
        blocks.push(Block::Heading(name.into()));
        blocks.push(Block::Table(matrix(&tests)));
        blocks.push(Block::Text(format!("{}.", words(name, &total(&tests)))));
    }
    if blocks.len() == 1 {
        blocks.push(missing("results of sleep", "make matrix"));
    }
    Section {
        id: "sleep",
        title: "Sleep",
        blocks,
    }
}

/// What a part goes through, without how often.
fn kind(part: &Part) -> &str {
    let suffix = format!(", {} times", part.cycles);
    part.name.strip_suffix(&suffix).unwrap_or(&part.name)
}

fn matrix(tests: &[&TestRun]) -> Table {
    let mut kinds: Vec<&str> = Vec::new();
    for part in tests.iter().flat_map(|test| &test.parts) {
        if part.cycles > 0 && !kinds.contains(&kind(part)) {
            kinds.push(kind(part));
        }
    }
    let mut heads = vec!["kind of sleep"];
    let machine = |test: &&TestRun| test.name.clone();
    let names: Vec<String> = tests.iter().map(machine).collect();
    heads.extend(
        names
            .iter()
            .map(|name| name.strip_prefix("sleep-").unwrap_or(name)),
    );
    let mut table = Table::new(&heads);
    for name in kinds {
        let mut row = vec![Cell::from(name)];
        for test in tests {
            let part = test.parts.iter().find(|p| p.cycles > 0 && kind(p) == name);
            row.push(match part {
                None => "not run".into(),
                Some(part) if part.verdict == "ok" => {
                    Cell::judged(format!("{}, 0 failed", part.cycles), true)
                }
                Some(part) => Cell::judged(part.verdict.as_str(), false),
            });
        }
        table.row(row);
    }
    table
}
