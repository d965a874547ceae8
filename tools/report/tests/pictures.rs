// SPDX-License-Identifier: GPL-2.0

//! The pictures, drawn from recorded traces.

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::{facts, folder, fresh};
use virtio_check::pictures::{pictures, Named};
use virtio_check::Run;

/// How often a text is in another.
fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// The picture of a restore, lane by lane.
fn lanes(svg: &str) -> Vec<&str> {
    let lanes: Vec<&str> = svg.split("class=\"hs-name\"").skip(1).collect();
    assert_eq!(lanes.len(), 3);
    lanes
}

#[test]
fn the_picture_in_the_readme_is_what_the_tool_makes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/handshake.svg");
    let committed = std::fs::read_to_string(path).unwrap();
    let drawn = facts().handshake("msix", "blk", "restore").unwrap().file();
    assert!(
        committed == drawn,
        "make handshake draws another docs/handshake.svg"
    );
}

#[test]
fn each_access_is_a_box_with_a_tool_tip() {
    let svg = facts().handshake("msix", "blk", "restore").unwrap().file();
    let boxes: Vec<usize> = lanes(&svg)
        .iter()
        .map(|lane| count(lane, " bytes\nphase: restore") + count(lane, " byte\nphase: restore"))
        .collect();
    assert_eq!(boxes, [21, 16, 19]);
    assert!(
        svg.contains("<title>STATUS written: 0x3, 1 byte\nphase: restore; status then: DRIVER\n")
    );
    assert!(svg.contains("<title>QUEUE_NUM read: 0x100, 2 bytes\n"));
    for lane in lanes(&svg) {
        assert_eq!(count(lane, "virtqueue 0 set up"), 1);
        assert_eq!(count(lane, "DRIVER_OK: the device is live"), 1);
    }
}

#[test]
fn only_the_old_order_is_pointed_at() {
    for interrupts in ["msix", "intx"] {
        for device in ["blk", "net", "rng"] {
            let svg = facts()
                .handshake(interrupts, device, "restore")
                .unwrap()
                .file();
            let pointers: Vec<usize> = lanes(&svg)
                .iter()
                .map(|lane| count(lane, "class=\"hs-pointer\""))
                .collect();
            assert_eq!(pointers, [0, 0, 1], "{device}, {interrupts}");
            assert!(svg.contains(" before DRIVER (3.1.1 Device Initialization)"));
        }
    }
}

#[test]
fn what_the_virtio_drivers_break_is_not_pointed_at() {
    let facts = facts();
    let known = facts.comparisons[0].report.rust_breaches.iter();
    assert!(known.filter(|b| b.device == "balloon").count() > 0);
    let svg = facts.handshake("msix", "balloon", "probe").unwrap().file();
    assert!(!svg.contains("hs-pointer\""));
    // The C driver alone sets 9p live without its virtqueue.
    let svg = facts.handshake("msix", "9p", "restore").unwrap().file();
    assert!(lanes(&svg)[0].contains("class=\"hs-pointer\""));
    assert!(!lanes(&svg)[1].contains("class=\"hs-pointer\""));
}

#[test]
fn what_was_not_recorded_is_an_error() {
    let facts = facts();
    assert!(facts.handshake("shared", "blk", "restore").is_err());
    assert!(facts.handshake("msix", "gpu", "restore").is_err());
    assert!(facts.handshake("msix", "blk", "io").is_err());
}

/// A trace as QEMU writes it for a driver that nobody knows: no marks, addresses of its own.
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
    let svg = drawn[0].1.file();
    assert!(svg.contains(">part 1<") && svg.contains(">part 2<"));
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
    let output = fresh("trace");
    let file = folder().join("compare-intx-c.txt");
    let run = |file: &str| {
        Command::new(env!("CARGO_BIN_EXE_report"))
            .args(["trace", "--device", "blk=0xc000+0x80:intx", "--output"])
            .arg(&output)
            .arg(file)
            .output()
            .unwrap()
    };
    let done = run(&format!("C driver={}", file.display()));
    assert!(done.status.success(), "{done:?}");
    let named = String::from_utf8(done.stdout).unwrap();
    assert!(
        named.lines().any(|line| line.ends_with("blk.svg")),
        "{named}"
    );
    assert_eq!(named.lines().count(), 8, "{named}");
    assert!(named.lines().all(|path| std::fs::metadata(path).is_ok()));
    assert!(!run("/nowhere").status.success());
    std::fs::remove_dir_all(output).unwrap();
}
