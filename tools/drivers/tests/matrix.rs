// SPDX-License-Identifier: GPL-2.0

//! The matrix of the fixtures is that of the documentation, and says all that is to be said.

use drivers::catalogue::Catalogue;
use drivers::guest::guests;
use drivers::{page, picture, Matrix};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use virtio_check::{rules, Outcome};

fn matrix() -> (Catalogue, Matrix) {
    let catalogue = Catalogue::load().unwrap();
    let matrix = Matrix::of_fixtures(&catalogue).unwrap();
    (catalogue, matrix)
}

/// The rules that each driver breaks.
fn broken(matrix: &Matrix) -> BTreeMap<&str, BTreeSet<&str>> {
    let of = |column: &'_ drivers::Column| -> BTreeSet<&'static str> {
        let cells = column.cells.iter();
        cells
            .filter(|c| c.outcome == Outcome::Breach)
            .map(|c| c.rule)
            .collect()
    };
    matrix
        .drivers
        .iter()
        .map(|column| (column.name.as_str(), of(column)))
        .collect()
}

#[test]
fn the_documentation_is_what_the_fixtures_say() {
    let (catalogue, matrix) = matrix();
    let json = serde_json::to_string_pretty(&matrix.json()).unwrap();
    for (name, text) in [
        ("drivers.md", page::markdown(&catalogue, &matrix)),
        ("drivers.json", format!("{json}\n")),
        ("drivers.svg", picture::svg(&matrix)),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs")
            .join(name);
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "docs/{name} is old: make drivers ARGS=write"
        );
    }
}

#[test]
fn each_family_breaks_what_it_was_seen_to_break() {
    let (_, matrix) = matrix();
    let broken = broken(&matrix);
    let edk2: &[&str] = &["reset-complete", "features-before-queues", "features-late"];
    let uboot: &[&str] = &["reset-first", "ack-before-driver"];
    let seabios: &[&str] = &[
        "reset-complete",
        "ack-and-driver-apart",
        "features-before-queues",
        "features-before-ok",
    ];
    for (driver, rules) in &broken {
        let expected = match *driver {
            "ipxe-net" | "ipxe-sid-net" => &[
                "reset-complete",
                "ack-before-driver",
                "driver-before-features",
                "driver-before-config",
                "driver-before-queues",
                "features-before-queues",
                "features-late",
                "driver-before-ok",
                "notify-early",
            ],
            "slof-blk" | "slof-sid-blk" => &["reset-complete", "features-read"][..],
            "slof-net" | "slof-sid-net" => &["reset-complete", "status-cleared", "features-read"],
            "uboot-x86-sid-blk" => &[
                "reset-first",
                "ack-before-driver",
                "driver-before-ok",
                "features-before-ok",
                "queues-before-ok",
            ],
            "slof-scsi" => &["reset-first", "features-read"],
            "dpdk-net" | "dpdk-sid-net" => &["config-offset"],
            // What the virtio drivers above the transport do.
            "linux-7.3-marked" => &["queues-before-ok", "notify-early"],
            "virtio_pci_rs" => &["notify-early"],
            name if name.starts_with("linux-") => &[],
            name if name.starts_with("seabios-") => seabios,
            name if name.starts_with("uboot-") => uboot,
            name if name.starts_with("ovmf-") || name.starts_with("aavmf-") => edk2,
            other => panic!("{other} is not expected"),
        };
        assert_eq!(
            *rules,
            BTreeSet::from_iter(expected.iter().copied()),
            "{driver}"
        );
    }
}

#[test]
fn each_broken_rule_has_words_and_no_other() {
    let (catalogue, matrix) = matrix();
    let broken: BTreeSet<&str> = broken(&matrix).into_values().flatten().collect();
    let words: BTreeSet<&str> = catalogue.rule.keys().map(String::as_str).collect();
    assert_eq!(words, broken);
    assert!(words.iter().all(|rule| rules::find(rule).is_some()));
}

#[test]
fn each_driver_that_is_run_has_a_column() {
    let (_, matrix) = matrix();
    let columns: BTreeSet<&str> = matrix.drivers.iter().map(|c| c.name.as_str()).collect();
    for guest in guests() {
        let name = guest.full_name();
        assert!(columns.contains(name.as_str()), "{name}");
    }
}
