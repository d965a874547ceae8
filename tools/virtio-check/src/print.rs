// SPDX-License-Identifier: GPL-2.0

//! Reports and runs as text for a terminal.

use crate::compare::{Cost, DeviceReport, Difference, PhaseReport, Report, Row};
use crate::run::Run;
use crate::steps::steps;
use crate::DeviceState;
use anstream::print;
use comfy_table::{presets, ContentArrangement, Table};
use std::fmt::{self, Write};

impl Report {
    /// Prints everything: the handshakes of both, the tables, the differences.
    pub fn print(&self) {
        print!("{self}");
    }

    /// The table of accesses per phase.
    pub fn costs(&self) -> String {
        costs(&self.devices).to_string()
    }

    /// The outcome in one line.
    pub fn summary(&self) -> String {
        let verdict = if self.ok() { "equal" } else { "NOT equal" };
        let unexplained = self.unexplained().count();
        format!(
            "{verdict} but for what is intended: {} devices, {} differences intended, \
             {unexplained} not, {} breaches of the specification, {} phases too long",
            self.devices.len(),
            self.differences.len() - unexplained,
            self.breaches().count(),
            too_long(self)
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for device in &self.devices {
            write_device(f, device)?;
        }
        writeln!(
            f,
            "Accesses per phase, N virtqueues, beside the design's table"
        )?;
        writeln!(f, "{}", costs(&self.devices))?;
        write_differences(f, self)?;
        for breach in self.breaches() {
            let rust = self.rust_breaches.contains(breach);
            let driver = if rust { "Rust" } else { "C" };
            writeln!(f, "the {driver} driver breaks the specification: {breach}")?;
        }
        writeln!(f, "{}", self.summary())
    }
}

fn too_long(report: &Report) -> usize {
    let phases = report.devices.iter().flat_map(|d| &d.phases);
    phases.filter(|p| !p.cost.ok()).count()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

fn mode(device: &DeviceReport) -> &'static str {
    if device.msix {
        "MSI-X"
    } else {
        "INTx"
    }
}

fn write_device(f: &mut fmt::Formatter<'_>, device: &DeviceReport) -> fmt::Result {
    let mut shown: Vec<&PhaseReport> = Vec::new();
    for phase in &device.phases {
        let same = |p: &&PhaseReport| p.phase == phase.phase && p.rows == phase.rows;
        if phase.rows.is_empty() || shown.iter().any(same) {
            continue;
        }
        shown.push(phase);
        let mut table = table(&["C", "Rust", "intended"]);
        for row in fold(&phase.rows) {
            table.add_row([row.c, row.rust, row.note]);
        }
        let again = device.phases.iter().filter(|p| same(&phase) && same(p));
        let times = match again.count() {
            1 => String::new(),
            n => format!(", {n} times the same"),
        };
        writeln!(
            f,
            "{} ({}), {} {}{times}",
            device.name,
            mode(device),
            phase.phase,
            phase.round + 1
        )?;
        writeln!(f, "{table}")?;
        writeln!(f, "the device then: {}", phase.rust_state)?;
        if phase.c_state != phase.rust_state {
            writeln!(f, "with C:          {}", phase.c_state)?;
        }
        writeln!(f)?;
    }
    if !device.observed.is_empty() {
        let mut table = table(&[device.name.as_str(), "C", "Rust"]);
        for seen in &device.observed {
            let rust = if seen.c == seen.rust {
                "the same"
            } else {
                seen.rust.as_str()
            };
            table.add_row([seen.what.as_str(), seen.c.as_str(), rust]);
        }
        writeln!(f, "{table}\n")?;
    }
    Ok(())
}

/// Makes one row of those that say the same of consecutive virtqueues.
fn fold(rows: &[Row]) -> Vec<Row> {
    let mut folded: Vec<(Row, Option<(u16, u16)>)> = Vec::new();
    for row in rows {
        let (c, rust) = (queue(&row.c), queue(&row.rust));
        let index = c.or(rust).map(|(index, _)| index);
        if let (Some((last, Some((_, end)))), Some(index)) = (folded.last_mut(), index) {
            let same = |a: &str, b: &str| queue(a).map(|q| q.1) == queue(b).map(|q| q.1);
            let sames = same(&last.c, &row.c) && same(&last.rust, &row.rust);
            if sames && *end + 1 == index && last.note == row.note {
                *end = index;
                continue;
            }
        }
        folded.push((row.clone(), index.map(|index| (index, index))));
    }
    let name = |text: &str, (first, end): (u16, u16)| match queue(text) {
        Some((_, rest)) if first != end => format!("queues {first} to {end}: {rest}"),
        _ => text.to_owned(),
    };
    folded
        .into_iter()
        .map(|(row, range)| match range {
            None => row,
            Some(range) => Row {
                c: name(&row.c, range),
                rust: name(&row.rust, range),
                note: row.note,
            },
        })
        .collect()
}

/// The virtqueue that a step is about, and the rest of its text.
fn queue(text: &str) -> Option<(u16, &str)> {
    let (index, rest) = text.strip_prefix("queue ")?.split_once(": ")?;
    Some((index.parse().ok()?, rest))
}

fn costs(devices: &[DeviceReport]) -> Table {
    let mut table = table(&[
        "device",
        "phase",
        "N",
        "C",
        "design C",
        "Rust",
        "to reach",
        "floor",
        "config C/Rust",
        "notify C/Rust",
        "ISR C/Rust",
        "",
    ]);
    for device in devices {
        let mut seen: Vec<(&PhaseReport, usize)> = Vec::new();
        for phase in device.phases.iter().filter(|p| !is_empty(&p.cost)) {
            match seen.iter_mut().find(|(p, _)| same_cost(p, phase)) {
                Some((_, times)) => *times += 1,
                None => seen.push((phase, 1)),
            }
        }
        for (PhaseReport { phase, cost, .. }, times) in seen {
            let both = |c: usize, rust: usize| format!("{c}/{rust}");
            table.add_row([
                format!("{} {}", device.name, mode(device)),
                match times {
                    1 => phase.to_string(),
                    n => format!("{phase} ×{n}"),
                },
                cost.queues.to_string(),
                cost.c.handshake.to_string(),
                cost.design.to_string(),
                cost.rust.handshake.to_string(),
                cost.reach.to_string(),
                cost.floor.to_string(),
                both(cost.c.config, cost.rust.config),
                both(cost.c.notify, cost.rust.notify),
                both(cost.c.isr, cost.rust.isr),
                if cost.ok() { "ok" } else { "TOO LONG" }.to_owned(),
            ]);
        }
    }
    table
}

fn is_empty(cost: &Cost) -> bool {
    cost.c.handshake == 0 && cost.rust.handshake == 0
}

fn same_cost(a: &PhaseReport, b: &PhaseReport) -> bool {
    let key = |p: &PhaseReport| {
        let Cost {
            queues, c, rust, ..
        } = p.cost;
        (
            p.phase,
            queues,
            c.handshake,
            rust.handshake,
            c.config,
            rust.config,
        )
    };
    key(a) == key(b)
}

fn write_differences(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let mut table = table(&["intended difference", "seen", "why"]);
    for intended in &report.intended {
        let of = |d: &&Difference| d.id.as_deref() == Some(intended.id);
        let seen = report.differences.iter().filter(of).count();
        table.add_row([intended.id, &seen.to_string(), intended.reason()]);
    }
    if !report.intended.is_empty() {
        writeln!(f, "{table}")?;
    }
    for difference in report.unexplained() {
        let none = |text: &str| {
            if text.is_empty() {
                "nothing".into()
            } else {
                text.to_owned()
            }
        };
        let phase = difference.phase.map_or(String::new(), |p| format!(", {p}"));
        writeln!(
            f,
            "not intended: {}{phase} {}",
            difference.device,
            difference.round + 1
        )?;
        writeln!(f, "  C:    {}", none(&difference.c))?;
        writeln!(f, "  Rust: {}", none(&difference.rust))?;
        for line in &difference.context {
            writeln!(f, "    {line}")?;
        }
    }
    Ok(())
}

impl Run {
    /// The steps of each device and phase, or with `accesses` each access.
    pub fn show(&self, accesses: bool) -> String {
        let mut text = String::new();
        for device in &self.devices {
            let mode = if device.msix { "MSI-X" } else { "INTx" };
            let mut state = DeviceState::default();
            for segment in device.segments.iter().filter(|s| !s.accesses.is_empty()) {
                let (phase, round) = (segment.phase, segment.round + 1);
                let count = segment.accesses.len();
                let _ = writeln!(
                    text,
                    "{} ({mode}), {phase} {round}, {count} accesses",
                    device.name
                );
                let steps = steps(&segment.accesses, state.selected);
                for access in &segment.accesses {
                    state.apply(access);
                    if accesses {
                        let _ = writeln!(text, "  {:>7} {access}", access.line);
                    }
                }
                if !accesses {
                    for step in steps {
                        let _ = writeln!(text, "  {:>7} {}", step.line, step.step);
                    }
                }
                let _ = writeln!(text, "  the device then: {state}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_queues_are_folded() {
        let row = |c: &str, rust: &str| Row {
            c: c.into(),
            rust: rust.into(),
            note: String::new(),
        };
        let rows = [
            row("reset", "reset"),
            row("queue 0: taken down", ""),
            row("queue 1: taken down", ""),
            row("queue 2: looked at", ""),
        ];
        let folded: Vec<String> = fold(&rows).into_iter().map(|r| r.c).collect();
        let expected = ["reset", "queues 0 to 1: taken down", "queue 2: looked at"];
        assert_eq!(folded, expected);
    }
}
