// SPDX-License-Identifier: GPL-2.0

//! The exit status of the program.

mod common;

use common::fixture;
use std::process::{Command, Output};

fn program(command: &str, files: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_virtio-check"))
        .args(command.split(' '))
        .args(files.iter().map(|name| fixture(name)))
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn good_traces_succeed() {
    let shown = program("show", &["c-msix"]);
    assert!(shown.status.success());
    assert!(text(&shown).contains("device@c000 (MSI-X), probe 1"));
    assert!(program("trace", &["c-intx"]).status.success());
    assert!(program("pre-2014", &["c-intx"]).status.success());
    let compared = program("diff", &["c-msix", "rust-msix"]);
    assert!(compared.status.success(), "{}", text(&compared));
    let json = program("diff --json", &["c-msix", "rust-msix"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["report"]["devices"].as_array().unwrap().len(), 2);
}

#[test]
fn bad_ones_fail() {
    assert!(!program("show", &["no-such-trace"]).status.success());
    assert!(!program("diff", &["c-msix", "c-msix"]).status.success());
    assert!(!program("diff", &["c-msix", "rust-intx"]).status.success());
    assert!(!program(
        "diff --device blk=0xc000+0x80:intx",
        &["c-msix", "rust-msix"]
    )
    .status
    .success());
}

#[test]
fn what_is_intended_is_listed_with_its_reason() {
    let listed = program("intended", &[]);
    assert!(listed.status.success());
    assert!(text(&listed).contains("sel-once                 QUEUE_SEL keeps its value"));
}
