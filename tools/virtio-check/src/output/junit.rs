// SPDX-License-Identifier: GPL-2.0

//! Results as JUnit XML: a suite a device, a case a rule. What was not reached is skipped.

use super::{source, words};
use crate::lane::Lane;
use crate::outcome::{Judged, Measure, Outcome};
use crate::rules::Seen;
use anyhow::Result;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// All lanes as JUnit XML.
///
/// # Errors
///
/// The XML cannot be written.
pub fn junit(lanes: &[Lane], measure: &Measure) -> Result<String> {
    let mut report = Report::new("virtio-check");
    for lane in lanes {
        for (at, verdict) in lane.verdicts.iter().enumerate() {
            let mut suite = TestSuite::new(format!("{}.{}", lane.name, verdict.device));
            let results = measure.results(lane, at);
            let traced = results.iter().filter(|j| j.rule.seen == Seen::Trace);
            suite.add_test_cases(traced.map(|judged| case(judged, measure)));
            report.add_test_suite(suite);
        }
    }
    Ok(report.to_string()?)
}

fn case(judged: &Judged<'_>, measure: &Measure) -> TestCase {
    let status = match judged.outcome {
        Outcome::Observed => TestCaseStatus::success(),
        Outcome::NotReached => skipped("not reached"),
        Outcome::Waived => skipped(judged.reason.unwrap_or("waived")),
        Outcome::Breach if measure.fails(judged) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(judged.level.name());
            status.set_message(source(judged, measure));
            let breaches = judged.finding.breaches.iter().map(ToString::to_string);
            status.set_description(breaches.collect::<Vec<_>>().join("\n\n"));
            status
        }
        Outcome::Breach => {
            let text = format!("{} is not counted: {}", judged.level, words(judged));
            skipped(&text)
        }
    };
    TestCase::new(judged.rule.id, status)
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}
