// SPDX-License-Identifier: GPL-2.0

//! Results as KTAP: a subtest a device, a test a rule. What was not reached is skipped.

use super::{source, words};
use crate::lane::Lane;
use crate::outcome::{Judged, Measure, Outcome};
use crate::rules::Seen;
use std::fmt::Write;

/// All lanes as KTAP.
pub fn ktap(lanes: &[Lane], measure: &Measure) -> String {
    let devices = lanes.iter().flat_map(|lane| {
        let verdicts = lane.verdicts.iter().enumerate();
        verdicts.map(move |(at, verdict)| (lane, at, verdict))
    });
    let devices: Vec<_> = devices.collect();
    let mut text = format!("KTAP version 1\n1..{}\n", devices.len());
    for (n, (lane, at, verdict)) in devices.iter().enumerate() {
        let name = plain(&format!("{}.{}", lane.name, verdict.device));
        let results = measure.results(lane, *at);
        let results: Vec<_> = results
            .iter()
            .filter(|j| j.rule.seen == Seen::Trace)
            .collect();
        let _ = write!(
            text,
            "  KTAP version 1\n  # Subtest: {name}\n  1..{}\n",
            results.len()
        );
        for (n, judged) in results.iter().enumerate() {
            test(&mut text, n + 1, judged, measure);
        }
        let failed = results.iter().any(|judged| measure.fails(judged));
        let _ = writeln!(text, "{} {} {name}", verb(!failed), n + 1);
    }
    text
}

fn test(text: &mut String, number: usize, judged: &Judged<'_>, measure: &Measure) {
    let (id, fails) = (judged.rule.id, measure.fails(judged));
    if matches!(judged.outcome, Outcome::Breach | Outcome::Waived) {
        let _ = writeln!(text, "  # {}", source(judged, measure));
        let _ = writeln!(text, "  # {}", words(judged));
    }
    let directive = match judged.outcome {
        Outcome::NotReached => " # SKIP not reached".to_owned(),
        Outcome::Waived => format!(" # SKIP waived: {}", judged.reason.unwrap_or_default()),
        Outcome::Breach if !fails => format!(" # SKIP {} is not counted", judged.level),
        Outcome::Breach | Outcome::Observed => String::new(),
    };
    let _ = writeln!(text, "  {} {number} {id}{directive}", verb(!fails));
}

fn verb(good: bool) -> &'static str {
    if good {
        "ok"
    } else {
        "not ok"
    }
}

/// A name in the characters that every reader of KTAP takes.
fn plain(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}
