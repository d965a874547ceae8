// SPDX-License-Identifier: GPL-2.0

//! Results as a KCIDB report of version 5.3: one checkout, one build of it, a test a part.

use std::time::SystemTime;

use anyhow::{ensure, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{json, Value};

use super::About;
use crate::ktap::Record;
use crate::verdict::Verdict;

/// The origin unless the user names one.
pub(super) const ORIGIN: &str = "virtio_pci_rs";

/// What all paths begin with.
const ROOT: &str = "virtio_pci_legacy";

/// How many characters of a log there may be.
const EXCERPT: usize = 16_384;

/// A report.
#[derive(Serialize)]
struct Report {
    version: Version,
    checkouts: [Checkout; 1],
    builds: [Build; 1],
    tests: Vec<Test>,
}

#[derive(Serialize)]
struct Version {
    major: u32,
    minor: u32,
}

/// The source of the kernel.
#[derive(Serialize)]
struct Checkout {
    id: String,
    origin: String,
    comment: String,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    git_commit_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    git_commit_name: Option<String>,
}

/// The kernel.
#[derive(Serialize)]
struct Build {
    id: String,
    checkout_id: String,
    origin: String,
    comment: String,
    architecture: &'static str,
    status: Status,
}

/// A part of a test.
#[derive(Serialize)]
struct Test {
    id: String,
    build_id: String,
    origin: String,
    path: String,
    status: Status,
    start_time: String,
    duration: f64,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    log_excerpt: String,
    environment: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    misc: Value,
}

/// What came of it. KCIDB has `DONE` as well, for tests that give a number and no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    /// The kernel is at fault.
    Fail,
    /// The test did not come to its end.
    Error,
    /// The test did not begin.
    Miss,
    /// The kernel is right.
    Pass,
    /// The test does not apply.
    Skip,
}

impl From<&Verdict> for Status {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::Pass,
            // That it is known does not make the kernel right.
            Verdict::Failed(_) | Verdict::Known(_) => Self::Fail,
            Verdict::TimedOut(_) | Verdict::Lost(_) => Self::Error,
            Verdict::NotRun(_) => Self::Miss,
            Verdict::Skipped(_) => Self::Skip,
        }
    }
}

/// The name of a CI system, if it is one.
pub(super) fn origin(name: &str) -> Result<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    ensure!(
        !name.is_empty() && name.chars().all(fits),
        "give a name in a-z, 0-9 and _"
    );
    Ok(name.to_owned())
}

/// The results as a KCIDB report.
pub(super) fn report(about: &About, records: &[Record], origin: &str) -> Result<String> {
    let id = |what: &str| format!("{origin}:{what}");
    let kernel = &about.kernel;
    let commit = about.commit.as_ref();
    let checkout = match commit {
        Some((hash, _)) => id(hash),
        None => id(kernel),
    };
    let build = id(&format!("{kernel}-{}", about.machine));
    let run = format!("{}-{}", time(SystemTime::now()), std::process::id());
    let tests = records.iter().enumerate().map(|(number, record)| Test {
        id: id(&format!("{run}-{number}")),
        build_id: build.clone(),
        origin: origin.to_owned(),
        path: path(&record.path),
        status: (&record.verdict).into(),
        start_time: time(record.began),
        duration: record.took.as_secs_f64(),
        comment: record.verdict.reason().replace('\0', ""),
        log_excerpt: excerpt(record),
        environment: json!({
            "comment": format!("QEMU {} ({}), driver {}", about.qemu, about.accel, about.driver),
            "misc": about.properties().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        }),
        misc: match &record.verdict {
            Verdict::TimedOut(_) => json!({ "timed_out": true }),
            Verdict::Known(_) => json!({ "known": true }),
            _ => Value::Null,
        },
    });
    let report = Report {
        version: Version { major: 5, minor: 3 },
        checkouts: [Checkout {
            id: checkout.clone(),
            origin: origin.to_owned(),
            comment: format!("Linux {kernel}"),
            valid: true,
            git_commit_hash: commit.map(|(hash, _)| hash.clone()),
            git_commit_name: commit.map(|(_, name)| name.clone()),
        }],
        builds: [Build {
            id: build.clone(),
            checkout_id: checkout,
            origin: origin.to_owned(),
            comment: format!("Linux {kernel}"),
            architecture: about.machine,
            status: Status::Pass,
        }],
        tests: tests.collect(),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

/// The path of a test: the names may have no dots, which stand between them.
fn path(names: &[String]) -> String {
    let names = names.iter().map(|name| name.replace('.', "_"));
    let names: Vec<_> = [ROOT.to_owned()].into_iter().chain(names).collect();
    names.join(".")
}

fn time(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The end of what was noted about what did not pass.
fn excerpt(record: &Record) -> String {
    if record.verdict == Verdict::Passed {
        return String::new();
    }
    let notes = record.notes.replace('\0', "");
    let skipped = notes.chars().count().saturating_sub(EXCERPT);
    notes.chars().skip(skipped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SCHEMA: &str = include_str!("kcidb-5.3.schema.json");

    fn example() -> Vec<Record> {
        crate::ktap::tests::example().2
    }

    /// The report of results, which must be one by the schema.
    fn valid(about: &About, records: &[Record]) -> Value {
        let text = report(about, records, ORIGIN).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        let errors = schema.iter_errors(&value);
        let errors: Vec<_> = errors.map(|error| format!("{error}\n")).collect();
        assert!(errors.is_empty(), "{errors:?}");
        value
    }

    #[test]
    fn a_report_is_one_by_the_schema() {
        let mut about = super::super::example();
        let mut records = example();
        records.push(Record {
            path: vec!["builds-for-7.3.4".to_owned(), "a.b".to_owned()],
            verdict: Verdict::Failed("zero \0 bytes".to_owned()),
            began: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
            took: Duration::from_secs(2),
            notes: "\0ä".repeat(EXCERPT),
        });
        let value = valid(&about, &records);
        let tests = value["tests"].as_array().unwrap();
        let last = tests.last().unwrap();
        assert_eq!(tests.len(), records.len());
        assert_eq!(last["path"], "virtio_pci_legacy.builds-for-7_3_4.a_b");
        assert_eq!(last["start_time"], "1970-01-01T00:00:01.500Z");
        assert_eq!(value["checkouts"][0]["git_commit_name"], "v6.1");
        about.commit = None;
        let value = valid(&about, &records);
        assert_eq!(value["checkouts"][0]["id"], "virtio_pci_rs:6.1.0-50-amd64");
    }

    #[test]
    fn each_verdict_has_its_status() {
        let value = valid(&super::super::example(), &example());
        let tests = value["tests"].as_array().unwrap();
        let statuses: Vec<_> = tests
            .iter()
            .filter_map(|test| test["status"].as_str())
            .collect();
        assert_eq!(
            statuses,
            [
                "PASS", "FAIL", "ERROR", "ERROR", "SKIP", "FAIL", "PASS", "MISS", "MISS", "SKIP",
                "SKIP", "PASS",
            ]
        );
        assert_eq!(tests[2]["misc"]["timed_out"], true);
        assert_eq!(tests[5]["misc"]["known"], true);
        assert!(tests[0].get("misc").is_none() && tests[0].get("log_excerpt").is_none());
    }

    #[test]
    fn the_schema_refuses_what_kcidb_refuses() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        let good = valid(&super::super::example(), &example());
        for (place, wrong) in [
            ("/version/major", json!(4)),
            ("/version/minor", json!(4)),
            ("/tests/0/path", json!("a..b")),
            ("/tests/0/path", json!("a b")),
            ("/tests/0/status", json!("ok")),
            ("/tests/0/id", json!("no_colon")),
            ("/tests/0/log_excerpt", json!("a".repeat(EXCERPT + 1))),
            ("/tests/0/comment", json!("\0")),
            ("/tests/0/misc", json!([])),
            ("/tests/0/other", json!(1)),
            ("/builds/0/architecture", json!("x86-64")),
            ("/builds/0/checkout_id", json!(null)),
            ("/checkouts/0/git_commit_hash", json!("v6.1")),
            ("/checkouts/0/origin", json!("A")),
            ("/checkouts/0/valid", json!("true")),
        ] {
            let mut bad = good.clone();
            let (object, name) = place.rsplit_once('/').unwrap();
            bad.pointer_mut(object).unwrap()[name] = wrong;
            assert!(!schema.is_valid(&bad), "{place}");
        }
    }

    #[test]
    fn an_origin_is_a_name() {
        assert_eq!(origin("my_ci2").unwrap(), "my_ci2");
        for name in ["", "My", "a-b", "a:b"] {
            assert!(origin(name).is_err(), "{name}");
        }
    }
}
