// SPDX-License-Identifier: GPL-2.0

//! Results for programs, as `docs/virtio-check.schema.json` describes them.

use crate::judge::Verdict;
use crate::lane::Lane;
use crate::outcome::{Judged, Measure};
use crate::rules;
use serde_json::{json, Value};

/// All lanes as JSON.
pub fn json(lanes: &[Lane], measure: &Measure) -> Value {
    let lane = |lane: &Lane| {
        let devices = lane.verdicts.iter().enumerate();
        let devices = devices.map(|(at, verdict)| device(verdict, &measure.results(lane, at)));
        json!({
            "name": lane.name,
            "cut": lane.cut,
            "devices": devices.collect::<Vec<_>>(),
        })
    };
    let unused = measure.unused(lanes).into_iter().map(|waiver| &waiver.rule);
    json!({
        "format": 1,
        "rules_version": rules::VERSION,
        "specification": measure.version,
        "counts_from": measure.level,
        "clean": lanes.iter().all(|lane| measure.is_clean(lane)),
        "unused_waivers": unused.collect::<Vec<_>>(),
        "lanes": lanes.iter().map(lane).collect::<Vec<_>>(),
    })
}

fn device(verdict: &Verdict, results: &[Judged<'_>]) -> Value {
    let part = |part: &crate::Part| {
        json!({
            "title": part.title(),
            "phase": part.phase,
            "line": part.line,
            "accesses": part.accesses,
            "breaches": part.breaches,
            "reset": part.reset,
            "status": part.status,
        })
    };
    let breach = |breach: &crate::Breach| {
        json!({
            "line": breach.line,
            "phase": breach.phase,
            "part": breach.round + 1,
            "message": breach.message,
            "accesses": breach.context,
        })
    };
    let rule = |judged: &Judged<'_>| {
        json!({
            "id": judged.rule.id,
            "level": judged.level,
            "outcome": judged.outcome,
            "reason": judged.reason,
            "judged": judged.finding.judged,
            "broken": judged.finding.broken,
            "breaches": judged.finding.breaches.iter().map(breach).collect::<Vec<_>>(),
        })
    };
    json!({
        "name": verdict.device,
        "msix": verdict.msix,
        "accesses": verdict.accesses,
        "parts": verdict.parts.iter().map(part).collect::<Vec<_>>(),
        "more_parts": verdict.more_parts,
        "rules": results.iter().map(rule).collect::<Vec<_>>(),
    })
}
