// SPDX-License-Identifier: GPL-2.0

//! What the guest sees of the devices.

use virtio_check::Observed;

use super::{interrupts, missing};
use crate::facts::Facts;
use crate::section::{Block, Cell, Section, Table};

/// The negotiated features.
pub(super) fn features(facts: &Facts) -> Section {
    let blocks = observed(
        facts,
        "features",
        &["device", "bits, C driver", "Rust driver"],
        bits,
    );
    Section {
        id: "features",
        title: "Negotiated features",
        blocks,
    }
}

/// The vectors.
pub(super) fn vectors(facts: &Facts) -> Section {
    let heads = ["device", "in /proc/interrupts, C driver", "Rust driver"];
    let blocks = observed(facts, "interrupts", &heads, str::to_owned);
    Section {
        id: "vectors",
        title: "Vectors",
        blocks,
    }
}

fn observed(facts: &Facts, what: &str, heads: &[&str], text: fn(&str) -> String) -> Vec<Block> {
    let mut blocks = Vec::new();
    if facts.comparisons.is_empty() {
        blocks.push(missing("observations", "make compare"));
    }
    for compared in &facts.comparisons {
        let mut table = Table::new(heads);
        for device in &compared.report.devices {
            let seen = device.observed.iter().find(|seen| seen.what == what);
            if let Some(Observed { c, rust, .. }) = seen {
                let same = c == rust;
                let rust = if same {
                    "the same".to_owned()
                } else {
                    text(rust)
                };
                let device = Cell::from(device.name.as_str());
                table.row([device, text(c).into(), Cell::judged(rust, same)]);
            }
        }
        let mode = &compared.comparison.interrupts;
        blocks.push(Block::Heading(interrupts(mode).into()));
        blocks.push(Block::Table(table));
    }
    blocks
}

/// The numbers of the bits that are set; sysfs has bit 0 first.
fn bits(text: &str) -> String {
    let set = text.chars().enumerate().filter(|(_, bit)| *bit == '1');
    let numbers: Vec<String> = set.map(|(n, _)| n.to_string()).collect();
    numbers.join(", ")
}

#[cfg(test)]
mod tests {
    use super::bits;

    #[test]
    fn bit_0_comes_first() {
        assert_eq!(bits("10010"), "0, 3");
        assert_eq!(bits("0000"), "");
    }
}
