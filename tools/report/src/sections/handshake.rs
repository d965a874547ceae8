// SPDX-License-Identifier: GPL-2.0

//! The pictures of the handshakes, their lengths, and why the drivers differ.

use std::collections::BTreeSet;

use virtio_check::{check, Breach, Difference, Phase, PhaseReport};

use super::{interrupts, missing};
use crate::facts::Facts;
use crate::section::{Block, Cell, Picture, Section, Table};
use virtio_check::ground::Ground;
use virtio_check::picture::{self, draw, legend_picture, panels};
use virtio_check::pictures::lane;

/// The pictures.
pub(super) fn pictures(facts: &Facts) -> Section {
    let mut blocks = vec![Block::Text(
        "Each box is an access to a register of the device, in the order in which QEMU saw it: each \
         one is an exit from the guest. The lane \"before 2014\" has the C driver's own accesses at \
         restore in the order of before the fix \"virtio_pci: fix virtio spec compliance on \
         restore\". Point at a box for register, width, value and phase. On paper are the pictures that are open."
            .into(),
    )];
    if facts.comparisons.is_empty() {
        blocks.push(missing("traces", "make compare"));
    } else {
        blocks.push(Block::Picture(Picture {
            title: "Legend".into(),
            name: "legend".into(),
            svg: legend_picture(),
            file: picture::legend_file(Ground::Light),
            open: true,
        }));
    }
    for compared in &facts.comparisons {
        let mode = &compared.comparison.interrupts;
        blocks.push(Block::Heading(interrupts(mode).into()));
        let checked: Vec<Vec<Breach>> = compared
            .runs
            .iter()
            .map(|named| check(&named.run))
            .collect();
        for device in &compared.report.devices {
            let name = &device.name;
            let lanes: Vec<_> = compared
                .runs
                .iter()
                .zip(&checked)
                .filter_map(|(named, breaches)| lane(named, breaches, name))
                .collect();
            let title = format!("{name}, {}", interrupts(mode));
            let drawn = draw(
                &format!("Register accesses: {title}"),
                &lanes,
                &panels(&lanes),
            );
            blocks.push(Block::Picture(Picture {
                title,
                name: format!("handshake-{name}-{mode}"),
                svg: drawn.inline(),
                file: drawn.file(Ground::Light),
                open: name == "blk" && mode == "msix",
            }));
        }
    }
    Section {
        id: "handshakes",
        title: "Handshakes",
        blocks,
    }
}

/// How many accesses each phase takes.
pub(super) fn accesses(facts: &Facts) -> Section {
    let mut blocks = vec![Block::Text(
        "Accesses to the registers of the handshake. N is the number of virtqueues; \"to reach\" is \
         the design's limit, \"floor\" what the interface makes necessary with MSI-X. Accesses to \
         the device configuration and reads of ISR apart, C / Rust."
            .into(),
    )];
    if facts.comparisons.is_empty() {
        blocks.push(missing("traces", "make compare"));
    }
    for compared in &facts.comparisons {
        let mode = &compared.comparison.interrupts;
        blocks.push(Block::Heading(interrupts(mode).into()));
        let mut table = Table::new(&[
            "device", "phase", "N", "C", "Rust", "to reach", "floor", "saved", "config", "ISR",
        ]);
        for device in &compared.report.devices {
            for phase in device.phases.iter().filter(|p| p.round == 0) {
                if phase.cost.c.handshake + phase.cost.rust.handshake > 0 {
                    table.row(row(&device.name, device.msix, phase));
                }
            }
        }
        blocks.push(Block::Table(table));
    }
    Section {
        id: "accesses",
        title: "Accesses per phase",
        blocks,
    }
}

fn row(device: &str, msix: bool, PhaseReport { phase, cost, .. }: &PhaseReport) -> [Cell; 10] {
    let (c, rust) = (cost.c.handshake, cost.rust.handshake);
    let saved = match c {
        0 => String::new(),
        c => format!("{:.0} %", 100.0 * (1.0 - rust as f64 / c as f64)).replace('-', "−"),
    };
    // The floor is that of MSI-X.
    let floor = match msix {
        true => cost.floor.to_string(),
        false => String::new(),
    };
    let both = |c: usize, rust: usize| format!("{c} / {rust}");
    [
        device.into(),
        phase.name().into(),
        cost.queues.to_string().into(),
        c.to_string().into(),
        Cell::judged(rust.to_string(), cost.ok()),
        cost.reach.to_string().into(),
        floor.into(),
        saved.into(),
        both(cost.c.config, cost.rust.config).into(),
        both(cost.c.isr, cost.rust.isr).into(),
    ]
}

/// What the drivers do differently, and why.
pub(super) fn differences(facts: &Facts) -> Section {
    let all = || facts.comparisons.iter().flat_map(|c| &c.report.differences);
    let mut blocks = Vec::new();
    if facts.comparisons.is_empty() {
        blocks.push(missing("traces", "make compare"));
    } else {
        let mut table = Table::new(&["id", "why", "seen", "phases", "such as: C", "Rust"]);
        for intended in virtio_check::INTENDED {
            let of: Vec<&Difference> = all()
                .filter(|d| d.id.as_deref() == Some(intended.id))
                .collect();
            let phases: BTreeSet<Phase> = of.iter().filter_map(|d| d.phase).collect();
            let phases: Vec<&str> = phases.into_iter().map(Phase::name).collect();
            let text = |pick: fn(&Difference) -> &str| match of.first().map(|d| pick(d)) {
                Some("") => "nothing",
                Some(text) => text,
                None => "",
            };
            table.row([
                intended.id.to_owned(),
                intended.reason().to_owned(),
                of.len().to_string(),
                phases.join(", "),
                text(|d| &d.c).to_owned(),
                text(|d| &d.rust).to_owned(),
            ]);
        }
        blocks.push(Block::Table(table));
        blocks.push(not_intended(facts));
        blocks.extend(breaches(facts));
    }
    Section {
        id: "differences",
        title: "Differences and their reasons",
        blocks,
    }
}

fn not_intended(facts: &Facts) -> Block {
    let mut table = Table::new(&["device", "phase", "C", "Rust"]);
    let all = facts
        .comparisons
        .iter()
        .flat_map(|c| c.report.unexplained());
    for difference in all {
        table.row([
            Cell::from(difference.device.as_str()),
            difference.phase.map_or("", Phase::name).into(),
            difference.c.as_str().into(),
            Cell::judged(&difference.rust, false),
        ]);
    }
    match table.rows.is_empty() {
        true => Block::Text("Nothing else differs.".into()),
        false => Block::Table(table),
    }
}

/// Breaches that differ in nothing but the driver and the interrupts are one row.
fn breaches(facts: &Facts) -> Vec<Block> {
    let mut rows: Vec<(&Breach, BTreeSet<&str>, BTreeSet<&str>)> = Vec::new();
    for compared in &facts.comparisons {
        let mode = compared.comparison.interrupts.as_str();
        let c = compared.report.c_breaches.iter().map(|b| ("C", b));
        let rust = compared.report.rust_breaches.iter().map(|b| ("Rust", b));
        for (driver, breach) in c.chain(rust) {
            let key = |b: &Breach| (b.device.clone(), b.phase, b.message.clone(), b.rule.id);
            let at = rows.iter().position(|(b, ..)| key(b) == key(breach));
            let at = at.unwrap_or_else(|| {
                rows.push((breach, BTreeSet::new(), BTreeSet::new()));
                rows.len() - 1
            });
            rows[at].1.insert(driver);
            rows[at].2.insert(mode);
        }
    }
    let mut table = Table::new(&[
        "device",
        "phase",
        "what",
        "rule",
        "known",
        "drivers",
        "interrupts",
    ]);
    for (breach, drivers, modes) in rows {
        let all = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        table.row([
            Cell::from(breach.device.as_str()),
            breach.phase.name().into(),
            Cell::judged(&breach.message, breach.known.is_some()),
            format!("{} ({})", breach.rule.text, breach.rule.section()).into(),
            breach.known.map_or("", |known| known.reason).into(),
            all(drivers).into(),
            all(modes).into(),
        ]);
    }
    let heading = Block::Heading("Breaches of the specification".into());
    match table.rows.is_empty() {
        true => vec![heading, Block::Text("There are none.".into())],
        false => vec![heading, Block::Table(table)],
    }
}
