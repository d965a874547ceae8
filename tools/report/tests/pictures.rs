// SPDX-License-Identifier: GPL-2.0

//! The pictures, drawn from recorded traces.

mod common;

use std::path::PathBuf;

use common::facts;
use virtio_check::ground::Ground;

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
fn the_pictures_in_docs_are_what_the_tool_draws() {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let facts = facts();
    let picture = facts.handshake("msix", "blk", "restore").unwrap();
    for (name, ground) in [
        ("handshake.svg", Ground::Light),
        ("handshake-dark.svg", Ground::Dark),
    ] {
        let committed = std::fs::read_to_string(docs.join(name)).unwrap();
        let is_same = committed == picture.file(ground);
        assert!(is_same, "docs/{name} is not up to date: make handshake");
    }
}

#[test]
fn each_access_is_a_box_with_a_tool_tip() {
    let svg = facts()
        .handshake("msix", "blk", "restore")
        .unwrap()
        .file(Ground::Light);
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
                .file(Ground::Light);
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
    let svg = facts
        .handshake("msix", "balloon", "probe")
        .unwrap()
        .file(Ground::Light);
    assert!(!svg.contains("hs-pointer\""));
    // The C driver alone sets 9p live without its virtqueue.
    let svg = facts
        .handshake("msix", "9p", "restore")
        .unwrap()
        .file(Ground::Light);
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
