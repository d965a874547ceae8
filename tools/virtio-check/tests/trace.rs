// SPDX-License-Identifier: GPL-2.0

//! The program: what it says of traces, in each format, and its exit status.

mod common;

use common::fixture;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// A driver that sets ACKNOWLEDGE before its reset, and DRIVER alone after it.
const FORGETFUL: &str = "\
memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x1 size 1 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x0 size 1 name 'virtio-pci'
memory_region_ops_read cpu 0 mr 0x7 addr 0xd012 value 0x0 size 1 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x2 size 1 name 'virtio-pci'
";

/// A driver that takes MSI-X for enabled: what it writes as a vector is the device configuration.
const MISTAKEN: &str = "\
memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x0 size 1 name 'virtio-pci'
memory_region_ops_read cpu 0 mr 0x7 addr 0xd012 value 0x0 size 1 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x1 size 1 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x3 size 1 name 'virtio-pci'
memory_region_ops_read cpu 0 mr 0x7 addr 0xd000 value 0x20 size 4 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd004 value 0x20 size 4 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd014 value 0x0 size 2 name 'virtio-pci'
memory_region_ops_read cpu 0 mr 0x7 addr 0xd014 value 0x5452 size 2 name 'virtio-pci'
memory_region_ops_write cpu 0 mr 0x7 addr 0xd014 value 0xffff size 2 name 'virtio-pci'
";

fn run(arguments: &str, input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_virtio-check"))
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read all.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_exit_status_tells_clean_from_broken_from_useless() {
    let clean = run(&format!("trace {}", fixture("rust-msix").display()), b"");
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean));
    let broken = run("trace -", FORGETFUL.as_bytes());
    assert_eq!(broken.status.code(), Some(1), "{}", text(&broken));
    for (input, said) in [
        (FORGETFUL.replacen("0xd012", "0xg012", 1), "trace line 1:"),
        (
            String::new(),
            "no access to a legacy virtio device in 0 events",
        ),
        (
            "kvm_pio: pio_write at 0xc012 size 1 count 1 val 0x0\n".into(),
            "--device",
        ),
    ] {
        let useless = run("trace -", input.as_bytes());
        let error = String::from_utf8_lossy(&useless.stderr).into_owned();
        assert_eq!(useless.status.code(), Some(2), "{error}");
        assert!(error.contains(said), "{error}");
    }
    assert_eq!(run("trace /nowhere", b"").status.code(), Some(2));
    assert_eq!(run("explain no-such-rule", b"").status.code(), Some(2));
}

#[test]
fn vectors_that_are_not_there_are_told() {
    let said = text(&run("trace mistaken=-", MISTAKEN.as_bytes()));
    for part in [
        "mistaken: device@d000, INTx, 9 accesses",
        "line 8: CONFIG_VECTOR was written with 0, and CONFIG_VECTOR? 0x5452 is no vector",
        "        config+0=0xffff (2 bytes)",
        "1 device: 1 rule broken",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}

#[test]
fn text_shows_parts_and_accesses_around_each_breach() {
    let said = text(&run("trace forgetful=-", FORGETFUL.as_bytes()));
    for part in [
        "forgetful: device@d000, INTx, 4 accesses",
        "part 1, line 1: acknowledged only, 1 access, 1 breach",
        "part 2, line 2: begun, not set live, 3 accesses, 1 breach",
        "BREACH reset-first: ",
        "BREACH ack-before-driver: DRIVER is not set without ACKNOWLEDGE (1.4 MUST, 3.1.1",
        "line 4: status 0x2 (DRIVER) after 0x0",
        "      > STATUS=0x2 (DRIVER)",
        "OBSERVED: width",
        "NOT REACHED: read-only queue-num-written",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}

#[test]
fn each_version_has_its_own_rules() {
    let old = text(&run("trace --specification 0.9.5 -", FORGETFUL.as_bytes()));
    assert!(!old.contains("reset-first"), "{old}");
    assert!(old.contains("BREACH ack-before-driver"), "{old}");
    assert!(old.contains("1 failure by 0.9.5"), "{old}");
}

#[test]
fn levels_tell_what_counts() {
    let early = "\
        memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x0 size 1 name 'virtio-pci'\n\
        memory_region_ops_write cpu 0 mr 0x7 addr 0xd012 value 0x1 size 1 name 'virtio-pci'\n";
    let status = |level| {
        run(&format!("trace --level {level} -"), early.as_bytes())
            .status
            .code()
    };
    assert_eq!(status("must"), Some(0));
    assert_eq!(status("should"), Some(1));
    let once = FORGETFUL
        .lines()
        .skip(1)
        .collect::<Vec<_>>()
        .join("\n")
        .replace("0x2", "0x3");
    let status = |level| {
        run(&format!("trace --level {level} -"), once.as_bytes())
            .status
            .code()
    };
    assert_eq!(status("should"), Some(0));
    assert_eq!(status("convention"), Some(1));
}

#[test]
fn what_is_waived_does_not_count_and_needs_a_reason() {
    let path = std::env::temp_dir().join(format!("virtio-check-waivers-{}", std::process::id()));
    let waived = |rules: &[&str]| {
        let waiver = |rule: &&str| {
            format!("[[waiver]]\nrule = \"{rule}\"\nlane = \"-\"\nreason = \"firmware of 2023\"\n")
        };
        std::fs::write(&path, rules.iter().map(waiver).collect::<String>()).unwrap();
        run(
            &format!("trace --waivers {} -", path.display()),
            FORGETFUL.as_bytes(),
        )
    };
    let all = waived(&["reset-first", "ack-before-driver", "width"]);
    let said = text(&all);
    assert_eq!(all.status.code(), Some(0), "{said}");
    assert!(said.contains("WAIVED reset-first"), "{said}");
    assert!(said.contains("reason: firmware of 2023"), "{said}");
    assert!(said.contains("a waiver of width was not needed"), "{said}");
    assert_eq!(waived(&["reset-first"]).status.code(), Some(1));
    assert_eq!(waived(&["no-such-rule"]).status.code(), Some(2));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn json_is_as_the_schema_says() {
    let schema = include_str!("../../../docs/virtio-check.schema.json");
    let schema = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for version in ["0.9.5", "1.4"] {
        let arguments = format!("trace --format json --specification {version} -");
        let made = run(&arguments, FORGETFUL.as_bytes());
        let json: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&json)
            .map(|e| e.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(json["clean"], false);
    }
    let files = format!("a={0} b={0}", fixture("c-msix").display());
    let made = run(&format!("trace --format json {files}"), b"");
    let mut json: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(validator.is_valid(&json));
    assert_eq!(json["lanes"][1]["devices"][0]["msix"], true);
    json["lanes"][0]["devices"][0]["rules"][0]["outcome"] = "fine".into();
    assert!(!validator.is_valid(&json));
    let rules = serde_json::from_slice::<serde_json::Value>(&run("rules --json", b"").stdout);
    assert_eq!(rules.unwrap()["rules_version"], 2);
}

#[test]
fn junit_and_ktap_tell_failures_from_what_was_not_reached() {
    let junit = text(&run("trace --format junit -", FORGETFUL.as_bytes()));
    let mut reader = quick_xml::Reader::from_str(&junit);
    let mut names = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                names.push(String::from_utf8(tag.name().as_ref().to_vec()).unwrap());
            }
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    let count = |name: &str| names.iter().filter(|found| *found == name).count();
    assert_eq!(count("failure"), 2, "{junit}");
    assert!(count("skipped") > 20 && count("testcase") > 35, "{junit}");

    let ktap = text(&run("trace --format ktap -", FORGETFUL.as_bytes()));
    assert!(
        ktap.starts_with("KTAP version 1\n1..1\n  KTAP version 1\n  # Subtest: -.device_d000\n")
    );
    assert!(ktap.contains("\n  not ok 6 reset-first\n"), "{ktap}");
    assert!(ktap.contains(" queue-size # SKIP not reached\n"), "{ktap}");
    assert!(ktap.ends_with("not ok 1 -.device_d000\n"), "{ktap}");
}

#[test]
fn a_million_reads_are_not_kept() {
    let mut trace = FORGETFUL.to_owned();
    let read =
        "memory_region_ops_read cpu 0 mr 0x7 addr 0xd013 value 0x0 size 1 name 'virtio-pci'\n";
    let write =
        "memory_region_ops_write cpu 0 mr 0x7 addr 0xd010 value 0x0 size 2 name 'virtio-pci'\n";
    let polls = [read, read, write].concat();
    trace.push_str(&polls.repeat(200_000));
    let folder = std::env::temp_dir();
    let path = folder.join(format!("virtio-check-polls-{}", std::process::id()));
    std::fs::write(&path, &trace).unwrap();
    // The file alone is more than twice as large, and so are the accesses.
    let limited = Command::new("sh")
        .args(["-c", "ulimit -v 24576; exec \"$0\" trace \"$1\""])
        .arg(env!("CARGO_BIN_EXE_virtio-check"))
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(path).unwrap();
    let said = String::from_utf8_lossy(&limited.stdout).into_owned();
    assert_eq!(limited.status.code(), Some(1), "{said} {limited:?}");
    assert!(said.contains("600004 accesses"), "{said}");
    assert!(said.contains("and 199997 times more"), "{said}");
    assert!(trace.len() > 50_000_000, "{}", trace.len());
}
