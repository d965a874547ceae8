// SPDX-License-Identifier: GPL-2.0

//! Reads the results of KUnit tests from a kernel log, where they are KTAP between other lines.

use std::sync::LazyLock;

use regex::Regex;

/// A line of a test case's or a suite's result; suites have no indentation, cases four blanks.
static RESULT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^( *)(not ok|ok) \d+ (?:- )?(\S+)( # SKIP)?"));
/// The line that says how many results follow at its indentation.
static PLAN: LazyLock<Regex> = LazyLock::new(|| pattern(r"^( *)1\.\.(\d+)$"));
/// What the kernel puts before each line.
static TIME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\[ *\d+\.\d+\] "));

/// The indentation of test cases.
const CASE: usize = 4;

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| panic!("in a pattern of KTAP: {error}"))
}

/// What the tests came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Results {
    /// How many suites there were.
    pub(crate) suites: usize,
    /// How many test cases passed.
    pub(crate) passed: usize,
    /// The test cases that failed.
    pub(crate) failed: Vec<String>,
    /// The test cases that did not run.
    pub(crate) skipped: Vec<String>,
}

/// Reads the results of one load of a module.
///
/// # Errors
///
/// There are no results, or not as many as were planned.
pub(crate) fn parse(log: &str) -> Result<Results, String> {
    let mut results = Results::default();
    let (mut cases_planned, mut suites_planned, mut cases) = (0, 0, 0);
    for line in log.lines() {
        let line = TIME.replace(line, "");
        if let Some(plan) = PLAN.captures(&line) {
            let count: usize = plan[2].parse().unwrap_or(usize::MAX);
            match plan[1].len() {
                0 => suites_planned += count,
                CASE => cases_planned += count,
                _ => {}
            }
        } else if let Some(result) = RESULT.captures(&line) {
            match result[1].len() {
                0 => results.suites += 1,
                CASE => {
                    cases += 1;
                    let name = result[3].to_owned();
                    match (&result[2], result.get(4)) {
                        (_, Some(_)) => results.skipped.push(name),
                        ("ok", None) => results.passed += 1,
                        _ => results.failed.push(name),
                    }
                }
                _ => {}
            }
        }
    }
    if cases == 0 {
        return Err("no KUnit test ran".to_owned());
    }
    if (cases, results.suites) != (cases_planned, suites_planned) {
        return Err(format!(
            "{cases} of {cases_planned} KUnit tests ran, in {} of {suites_planned} suites",
            results.suites
        ));
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
[    9.100000] virtio_pci_rs: loading out-of-tree module taints kernel.
[    9.200000] KTAP version 1
[    9.200000] 1..1
[    9.210000]     KTAP version 1
[    9.210000]     # Subtest: queues
[    9.210000]     # module: virtio_pci_rs
[    9.210000]     1..3
[    9.220000]     ok 1 a_ring_is_shown
[    9.221000] virtio-pci 0000:00:07.0: something else
[    9.230000]     # a_ring_is_hidden: ASSERTION FAILED at queues.rs:1
[    9.230000]     not ok 2 a_ring_is_hidden
[    9.240000]     ok 3 not_here # SKIP no device
[    9.240000] # queues: pass:1 fail:1 skip:1 total:3
[    9.240000] # Totals: pass:1 fail:1 skip:1 total:3
[    9.250000] not ok 1 queues
";

    #[test]
    fn each_result_counts_once() {
        assert_eq!(
            parse(LOG).unwrap(),
            Results {
                suites: 1,
                passed: 1,
                failed: vec!["a_ring_is_hidden".to_owned()],
                skipped: vec!["not_here".to_owned()],
            }
        );
    }

    #[test]
    fn none_is_an_error() {
        for log in [
            "",
            "[    9.2] kunit: disabled\n",
            "[    9.200000] KTAP version 1\n[    9.200000] 1..0\n",
        ] {
            assert_eq!(parse(log).unwrap_err(), "no KUnit test ran");
        }
    }

    #[test]
    fn less_than_was_planned_is_an_error() {
        for lost in ["    ok 1 a_ring", "] not ok 1 queues"] {
            let cut: String = LOG
                .lines()
                .filter(|line| !line.contains(lost))
                .map(|line| format!("{line}\n"))
                .collect();
            assert!(parse(&cut).unwrap_err().contains(" of "), "{cut}");
        }
    }
}
