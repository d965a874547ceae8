// SPDX-License-Identifier: GPL-2.0

//! Pictures of any trace, of any driver.

use crate::parts::Part;
use crate::picture::{draw, panels, Lane, Panel, Picture};
use crate::{check, pre_2014, Breach, DeviceTrace, Phase, Run, Segment};
use anyhow::{bail, Result};

/// The name of the lane that shows what the order of before 2014 would have been.
pub const BEFORE_2014: &str = "before 2014";

/// A traced run and its name in pictures.
pub struct Named {
    /// Whose accesses these are.
    pub name: String,
    /// The accesses.
    pub run: Run,
}

/// Draws each device of these runs; devices of the same name share a picture, a lane a run.
///
/// A run with restores gets one more lane: its own restore in the order of before 2014. A trace
/// without marks for phases is cut where the device is reset.
///
/// # Errors
///
/// There is no legacy virtio device in the runs.
pub fn pictures(runs: Vec<Named>) -> Result<Vec<(String, Picture)>> {
    let mut runs: Vec<Named> = runs
        .into_iter()
        .map(|Named { name, run }| Named {
            name,
            run: cut(run),
        })
        .collect();
    if let Some(first) = runs.first().filter(|named| has_restore(&named.run)) {
        let run = pre_2014(&first.run);
        let name = BEFORE_2014.to_owned();
        runs.push(Named { name, run });
    }
    let checked: Vec<(Named, Vec<Breach>)> = runs
        .into_iter()
        .map(|named| {
            let breaches = check(&named.run);
            (named, breaches)
        })
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for device in checked.iter().flat_map(|(named, _)| &named.run.devices) {
        if !names.contains(&device.name.as_str()) {
            names.push(&device.name);
        }
    }
    let drawn: Vec<(String, Picture)> = names
        .into_iter()
        .filter_map(|device| {
            let lanes: Vec<Lane<'_>> = checked
                .iter()
                .filter_map(|(named, breaches)| lane(named, breaches, device))
                .collect();
            let shown = shown(&lanes);
            let title = format!("Register accesses of {device}");
            (!shown.is_empty()).then(|| (device.to_owned(), draw(&title, &lanes, &shown)))
        })
        .collect();
    if drawn.is_empty() {
        bail!(
            "no access to a legacy virtio device: trace memory_region_ops_read and \
             memory_region_ops_write, with ioeventfd=off and disable-modern=on"
        );
    }
    Ok(drawn)
}

/// The lane of a device in a run.
///
/// What the virtio drivers above both transports break is in the tables, not in the pictures.
pub fn lane<'a>(named: &'a Named, breaches: &'a [Breach], device: &str) -> Option<Lane<'a>> {
    Some(Lane {
        name: &named.name,
        device: named.run.device(device)?,
        breaches: breaches
            .iter()
            .filter(|b| b.device == device && b.known.is_none_or(|known| known.c_only))
            .collect(),
        only: (named.name == BEFORE_2014).then_some(Phase::Restore),
    })
}

fn has_restore(run: &Run) -> bool {
    let mut segments = run.devices.iter().flat_map(|device| &device.segments);
    segments.any(|segment| segment.phase == Phase::Restore && !segment.accesses.is_empty())
}

/// The panels: the phases, or what the trace was cut into.
fn shown(lanes: &[Lane<'_>]) -> Vec<Panel> {
    let phases = panels(lanes);
    if !phases.is_empty() {
        return phases;
    }
    let longest = lanes.iter().max_by_key(|lane| lane.device.segments.len());
    let segments = longest.map_or(&[][..], |lane| &lane.device.segments);
    segments
        .iter()
        .filter(|segment| !segment.accesses.is_empty())
        .map(|segment| Panel {
            phase: segment.phase,
            round: segment.round,
            title: title(segment),
        })
        .collect()
}

/// The name of a part: what happens in it.
fn title(segment: &Segment) -> String {
    let part = Part::of(&segment.accesses, segment.phase);
    let what = part.map_or("nothing", |part| part.title());
    let cut = match segment.accesses.len() {
        SHOWN => format!(", the first {SHOWN} accesses"),
        _ => String::new(),
    };
    format!("part {}: {what}{cut}", segment.round + 1)
}

/// Cuts a trace that has no marks into parts that begin with a reset.
fn cut(mut run: Run) -> Run {
    for device in &mut run.devices {
        if let [segment] = &device.segments[..] {
            if segment.phase == Phase::Between {
                device.segments = parts(device);
            }
        }
    }
    run
}

/// No picture shows more accesses of a part; a driver that is live repeats itself.
const SHOWN: usize = 400;

fn parts(device: &DeviceTrace) -> Vec<Segment> {
    let mut parts: Vec<Segment> = Vec::new();
    for access in device.segments.iter().flat_map(|s| &s.accesses) {
        let round = parts.len();
        match parts.last_mut() {
            Some(part) if !access.is_reset() => {
                let shown = part.accesses.len();
                match part.accesses.last_mut() {
                    Some(last) if last.same(access) => last.times += access.times,
                    _ if shown < SHOWN => part.accesses.push(access.clone()),
                    _ => {}
                }
            }
            _ => parts.push(Segment {
                phase: Phase::Between,
                round,
                accesses: vec![access.clone()],
            }),
        }
    }
    parts
}
