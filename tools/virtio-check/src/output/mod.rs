// SPDX-License-Identifier: GPL-2.0

//! Results in the forms that people and programs read.

mod json;
mod junit;
mod ktap;
mod text;

pub use json::json;
pub use junit::junit;
pub use ktap::ktap;
pub use text::text;

use crate::judge::Verdict;
use crate::outcome::{Judged, Measure};

/// How a device's interrupts are in texts.
fn interrupts(verdict: &Verdict) -> &'static str {
    match verdict.msix {
        true => "MSI-X",
        false => "INTx",
    }
}

/// The words to a breach: where it is first, and what is wrong there.
fn words(judged: &Judged<'_>) -> String {
    let times = judged.finding.broken;
    let text = judged
        .finding
        .breaches
        .first()
        .map_or_else(String::new, |breach| {
            format!("line {}: {}", breach.line, breach.message)
        });
    match times {
        1 => text,
        _ => format!("{text} ({times} times)"),
    }
}

/// What a rule says and where, for the version that is measured by.
fn source(judged: &Judged<'_>, measure: &Measure) -> String {
    let clause = judged.rule.clause(measure.version);
    format!("{} ({} {clause})", judged.rule.text, measure.version.name())
}

/// A number of things.
fn count(number: u64, one: &str, more: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {more}"),
    }
}
