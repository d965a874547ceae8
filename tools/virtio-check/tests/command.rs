// SPDX-License-Identifier: GPL-2.0

//! The program: its exit status, and what it says when it cannot go on.

mod common;

use common::fixture;
use std::process::{Command, Output, Stdio};

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

/// Runs the program with words that it cannot use; gives the line that it says.
fn refused(words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_virtio-check"));
    let output = command.args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{words:?}");
    assert_eq!(text(&output), "", "{words:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_it_cannot_use_is_told_in_one_line() {
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (words, part) in [
        (&[] as &[&str], "virtio-check trace FILE"),
        (&["trace", "/no-such-file"], "/no-such-file"),
        (&["trace", other], "no access to a legacy virtio device"),
        (&["show", other], "no access to a legacy virtio device"),
        (
            &["diff", other, other],
            "no access to a legacy virtio device",
        ),
        (&["picture", other], "no access to a legacy virtio device"),
        (&["explain", "no-such-rule"], "no-such-rule"),
    ] {
        let said = refused(words);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("virtio-check: "), "{said}");
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn every_command_and_option_has_a_line_of_help() {
    for command in [
        "", "trace", "explain", "rules", "picture", "diff", "show", "pre-2014", "intended",
    ] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_virtio-check"));
        let words = [command, "-h"].into_iter().filter(|word| !word.is_empty());
        let help = text(&program.args(words).output().unwrap());
        let begins = |line: &&str| line.starts_with("  ") && !line.trim().is_empty();
        let lines: Vec<_> = help.lines().filter(begins).collect();
        assert!(!lines.is_empty(), "{command}");
        for line in lines {
            let told = line.trim().split_once("  ");
            assert!(told.is_some(), "{command}: no help: {line}");
        }
    }
}

/// A pipe whose reader has gone.
fn closed_pipe() -> Stdio {
    let mut reader = Command::new("true");
    let mut reader = reader.stdin(Stdio::piped()).spawn().unwrap();
    let pipe = reader.stdin.take().unwrap();
    reader.wait().unwrap();
    pipe.into()
}

#[test]
fn a_reader_that_has_enough_ends_the_program() {
    for words in [&["rules"] as &[&str], &["rules", "--markdown"], &["--help"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_virtio-check"));
        let output = command.args(words).stdout(closed_pipe()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
}

#[test]
fn what_is_intended_is_listed_with_its_reason() {
    let listed = program("intended", &[]);
    assert!(listed.status.success());
    assert!(text(&listed).contains("sel-once                 QUEUE_SEL keeps its value"));
}
