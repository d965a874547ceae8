// SPDX-License-Identifier: GPL-2.0

//! Pictures of traces that nothing is known of.

mod common;

use common::fixture;
use std::process::Command;
use virtio_check::ground::Ground;
use virtio_check::pictures::{pictures, Named};
use virtio_check::Run;

/// A trace as QEMU writes it for any driver: no marks, addresses of its own.
const FOREIGN: &str = "\
memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x0 size 1 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x1 size 1 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x3 size 1 name 'virtio-pci'
memory_region_ops_read cpu 0 mr 0x7 addr 0xd000 value 0x79 size 4 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd010 value 0x0 size 2 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd010 value 0x0 size 2 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x0 size 1 name 'virtio-pci'
";

fn foreign(text: &str) -> Vec<Named> {
    vec![Named {
        name: "<mine>".to_owned(),
        run: Run::parse(text, &[]).unwrap(),
    }]
}

#[test]
fn a_trace_without_marks_is_cut_at_its_resets() {
    let drawn = pictures(foreign(FOREIGN)).unwrap();
    assert_eq!(drawn.len(), 1);
    assert_eq!(drawn[0].0, "device@d000");
    let svg = drawn[0].1.file(Ground::Light);
    assert!(svg.contains(">part 1: begun, not set live<"), "{svg}");
    assert!(svg.contains(">part 2: reset only<"), "{svg}");
    assert!(svg.contains("&lt;mine&gt;") && !svg.contains("<mine>"));
    // Two notifications are one box, and they come too early.
    assert!(svg.contains("breaks the specification"), "{svg}");
}

#[test]
fn a_trace_of_no_virtio_device_is_an_error() {
    let error = pictures(foreign("virtio_notify vdev 0x1\n")).err().unwrap();
    assert!(error
        .to_string()
        .contains("no access to a legacy virtio device"));
}

#[test]
fn the_program_writes_a_file_a_device() {
    let output = std::env::temp_dir().join(format!("virtio-check-picture-{}", std::process::id()));
    let run = |file: &str| {
        Command::new(env!("CARGO_BIN_EXE_virtio-check"))
            .args(["picture", "--device", "blk=0xc000+0x80:msix", "--output"])
            .arg(&output)
            .arg(file)
            .output()
            .unwrap()
    };
    let done = run(&format!("C driver={}", fixture("c-msix").display()));
    assert!(done.status.success(), "{done:?}");
    let named = String::from_utf8(done.stdout).unwrap();
    let blk = named
        .lines()
        .find(|line| line.ends_with("blk.svg"))
        .unwrap();
    assert_eq!(named.lines().count(), 2, "{named}");
    let svg = std::fs::read_to_string(blk).unwrap();
    assert!(svg.contains(">C driver<"));
    // librsvg and others know neither variables nor media queries.
    assert!(!svg.contains("var(") && !svg.contains("@media"));
    assert_eq!(run("/nowhere").status.code(), Some(2));
    std::fs::remove_dir_all(output).unwrap();
}

#[test]
fn a_driver_that_polls_is_a_box_with_a_number() {
    let read = |value: u8| {
        format!(
            "memory_region_ops_read cpu 0 mr 0x7 addr 0xd013 value {value:#x} size 1 \
             name 'virtio-pci'\n"
        )
    };
    let polls = FOREIGN.to_owned() + &read(0).repeat(112_185);
    let svg = pictures(foreign(&polls)).unwrap()[0].1.file(Ground::Light);
    assert!(svg.contains(">×112k<"), "{svg}");
    assert!(svg.contains("the first of 112185 such accesses"));
    assert!(svg.contains(">112186 accesses<"));
    let notify = FOREIGN.lines().nth(4).unwrap();
    let both = format!("{}{notify}\n", read(0)).repeat(2_000);
    let svg = pictures(foreign(&(FOREIGN.to_owned() + &both))).unwrap()[0]
        .1
        .file(Ground::Light);
    assert!(
        svg.contains("part 2: reset and looked at, the first 400 accesses"),
        "{svg}"
    );
    assert_eq!(svg.matches("class=\"hs-name\"").count(), 2);
}
