// SPDX-License-Identifier: GPL-2.0

//! Results as JUnit XML: a suite a test, a case a part.

use anyhow::Result;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::About;
use crate::ktap::Record;
use crate::verdict::Verdict;

/// The suite of results that are no part of a test.
const OTHERS: &str = "others";

/// The results as JUnit XML.
pub(super) fn report(about: &About, records: &[Record]) -> Result<String> {
    let mut suites: Vec<TestSuite> = Vec::new();
    for record in records {
        let (suite, case) = match record.path.as_slice() {
            [] => continue,
            [case] => (OTHERS, case.clone()),
            [suite, case @ ..] => (suite.as_str(), case.join("/")),
        };
        let known = suites.iter().position(|known| known.name.as_str() == suite);
        let at = known.unwrap_or_else(|| {
            let mut new = TestSuite::new(suite);
            for (name, value) in about.properties() {
                new.add_property(Property::new(name, value));
            }
            suites.push(new);
            suites.len() - 1
        });
        let mut case = TestCase::new(case, status(record));
        case.set_classname(suite).set_time(record.took);
        if let Some(suite) = suites.get_mut(at) {
            suite.add_test_case(case);
        }
    }
    let mut report = Report::new("vmtest");
    report.add_test_suites(suites);
    Ok(report.to_string()?)
}

fn status(record: &Record) -> TestCaseStatus {
    let mut status = match &record.verdict {
        Verdict::Passed => return TestCaseStatus::success(),
        Verdict::Skipped(_) | Verdict::Known(_) => TestCaseStatus::skipped(),
        Verdict::Failed(_) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::TimedOut(_) | Verdict::Lost(_) | Verdict::NotRun(_) => {
            TestCaseStatus::non_success(NonSuccessKind::Error)
        }
    };
    match &record.verdict {
        Verdict::TimedOut(_) => status.set_type("TIMEOUT"),
        Verdict::Lost(_) => status.set_type("ERROR"),
        Verdict::NotRun(_) => status.set_type("MISS"),
        _ => &mut status,
    };
    status.set_message(record.verdict.reason());
    if !record.notes.is_empty() {
        status.set_description(record.notes.as_str());
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pass_is_none_in_junit() {
        let (_, count, records) = crate::ktap::tests::example();
        let xml = report(&super::super::example(), &records).unwrap();
        let number = |of: &str| xml.matches(of).count();
        assert_eq!(number("<testcase "), records.len());
        assert_eq!(number("<skipped "), count.skipped);
        assert_eq!(number("<failure") + number("<error "), count.failed);
        assert_eq!(number("<testsuite "), 4);
        for part in [
            r#"<testsuites name="vmtest" tests="12" failures="1" errors="4">"#,
            r#"<testsuite name="sleep-pc-msix" tests="6" disabled="2" errors="2" failures="1""#,
            r#"type="TIMEOUT""#,
            r#"<skipped message="the kernel has no hibernation"#,
            r#"<property name="kernel" value="6.1.0-50-amd64"/>"#,
            r#"classname="others""#,
        ] {
            assert!(xml.contains(part), "{part}: {xml}");
        }
    }
}
