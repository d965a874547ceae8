// SPDX-License-Identifier: GPL-2.0

//! The exit status of the program.

mod common;

use common::fixture;
use std::process::{Command, Output};

fn regtrace(command: &str, files: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_regtrace"))
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
    let shown = regtrace("show", &["c-msix"]);
    assert!(shown.status.success());
    assert!(text(&shown).contains("device@c000 (MSI-X), probe 1"));
    assert!(regtrace("check", &["c-intx"]).status.success());
    assert!(regtrace("pre-2014", &["c-intx"]).status.success());
    let compared = regtrace("compare", &["c-msix", "rust-msix"]);
    assert!(compared.status.success(), "{}", text(&compared));
    let json = regtrace("compare --json", &["c-msix", "rust-msix"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["report"]["devices"].as_array().unwrap().len(), 2);
}

#[test]
fn bad_ones_fail() {
    assert!(!regtrace("check", &["no-such-trace"]).status.success());
    assert!(!regtrace("compare", &["c-msix", "c-msix"]).status.success());
    assert!(!regtrace("compare", &["c-msix", "rust-intx"])
        .status
        .success());
    assert!(!regtrace(
        "compare --device blk=0xc000+0x80:intx",
        &["c-msix", "rust-msix"]
    )
    .status
    .success());
}

#[test]
fn a_readme_without_the_ids_fails() {
    assert!(regtrace("intended", &[]).status.success());
    let path = std::env::temp_dir().join(format!("regtrace-readme-{}", std::process::id()));
    let checked = |readme: &str| {
        std::fs::write(&path, readme).unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_regtrace"))
            .args(["intended", "--readme"])
            .arg(&path)
            .output();
        command.unwrap()
    };
    let readme = include_str!("../../../README.md");
    assert!(checked(readme).status.success());
    let less = checked(&readme.replace("| `sel-once` |", "| |"));
    assert!(!less.status.success());
    assert!(text(&less).contains("does not name sel-once"));
    let none = checked("no table");
    assert!(!none.status.success());
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(said.contains("there is no table under"), "{said}");
    std::fs::remove_file(path).unwrap();
}
