// SPDX-License-Identifier: GPL-2.0

//! Results for a terminal.

use super::{count, interrupts};
use crate::judge::Verdict;
use crate::lane::Lane;
use crate::outcome::{Judged, Measure, Outcome};
use crate::rules::Seen;
use std::fmt::Write;

/// All lanes as text.
pub fn text(lanes: &[Lane], measure: &Measure) -> String {
    let mut text = String::new();
    for lane in lanes {
        for (at, verdict) in lane.verdicts.iter().enumerate() {
            device(
                &mut text,
                lane,
                verdict,
                &measure.results(lane, at),
                measure,
            );
        }
        if lane.cut {
            let _ = writeln!(text, "{}: the end of the trace was cut off\n", lane.name);
        }
    }
    for waiver in measure.unused(lanes) {
        let _ = writeln!(text, "a waiver of {} was not needed", waiver.rule);
    }
    let _ = writeln!(text, "{}", summary(lanes, measure));
    text
}

fn device(
    text: &mut String,
    lane: &Lane,
    verdict: &Verdict,
    results: &[Judged<'_>],
    measure: &Measure,
) {
    let (name, device) = (&lane.name, &verdict.device);
    let accesses = count(verdict.accesses, "access", "accesses");
    let _ = writeln!(
        text,
        "{name}: {device}, {}, {accesses}",
        interrupts(verdict)
    );
    for (n, part) in verdict.parts.iter().enumerate() {
        let phase = match part.phase {
            crate::Phase::Between => String::new(),
            phase => format!("{phase}, "),
        };
        let accesses = count(part.accesses, "access", "accesses");
        let breaches = match part.breaches {
            0 => String::new(),
            n => format!(", {}", count(n, "breach", "breaches")),
        };
        let (n, line, title) = (n + 1, part.line, part.title());
        let _ = writeln!(
            text,
            "  part {n}, line {line}: {phase}{title}, {accesses}{breaches}"
        );
    }
    if verdict.more_parts != 0 {
        let _ = writeln!(text, "  and {} more parts", verdict.more_parts);
    }
    for judged in results {
        if matches!(judged.outcome, Outcome::Breach | Outcome::Waived) {
            breach(text, judged, measure);
        }
    }
    for outcome in [Outcome::Observed, Outcome::NotReached] {
        let of =
            |judged: &&Judged<'_>| judged.outcome == outcome && judged.rule.seen == Seen::Trace;
        let names: Vec<_> = results.iter().filter(of).map(|j| j.rule.id).collect();
        let _ = writeln!(text, "  {outcome}: {}", names.join(" "));
    }
    text.push('\n');
}

fn breach(text: &mut String, judged: &Judged<'_>, measure: &Measure) {
    let (rule, finding) = (judged.rule, judged.finding);
    let _ = writeln!(
        text,
        "  {} {}: {} ({} {})",
        judged.outcome,
        rule.id,
        rule.text,
        measure.version.name(),
        rule.clause(measure.version)
    );
    if let Some(reason) = judged.reason {
        let _ = writeln!(text, "    reason: {reason}");
    }
    for breach in &finding.breaches {
        let _ = writeln!(text, "    line {}: {}", breach.line, breach.message);
        for line in &breach.context {
            let _ = writeln!(text, "      {line}");
        }
    }
    let more = finding.broken - finding.breaches.len() as u64;
    if more != 0 {
        let _ = writeln!(text, "    and {more} times more");
    }
}

/// The outcome in one line.
fn summary(lanes: &[Lane], measure: &Measure) -> String {
    let mut counts = [0u64; 4];
    let (mut devices, mut failures) = (0, 0u64);
    for lane in lanes {
        for at in 0..lane.verdicts.len() {
            devices += 1;
            for judged in measure.results(lane, at) {
                counts[judged.outcome as usize] += u64::from(judged.rule.seen == Seen::Trace);
                failures += u64::from(measure.fails(&judged));
            }
        }
    }
    let [observed, not_reached, breach, waived] = counts;
    format!(
        "{}: {} broken, {waived} waived, {observed} observed, {not_reached} not reached; \
         {} by {} at {} and above",
        count(devices, "device", "devices"),
        count(breach, "rule", "rules"),
        count(failures, "failure", "failures"),
        measure.version.name(),
        measure.level
    )
}
