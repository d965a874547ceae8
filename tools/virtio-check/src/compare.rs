// SPDX-License-Identifier: GPL-2.0

//! Compares a run of the C driver with one of the Rust driver.

use crate::access::ACKNOWLEDGE;
use crate::align::{Aligned, Found};
use crate::checker::{self, Breach};
use crate::config::ConfigView;
use crate::cost::{self, Count};
use crate::intended::{self, Intended};
use crate::observe::{self, Observations, Observed};
use crate::phase::Phase;
use crate::run::{DeviceTrace, Run, Segment};
use crate::state::DeviceState;
use crate::steps::{steps, Located, Step};
use serde::Serialize;
use std::collections::BTreeSet;

/// Something that the two drivers do differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The device.
    pub device: String,
    /// The phase, if it belongs to one.
    pub phase: Option<Phase>,
    /// Which time the device had that phase.
    pub round: usize,
    /// The intended difference that it is, if it is one.
    pub id: Option<String>,
    /// What the C driver does.
    pub c: String,
    /// What the Rust driver does.
    pub rust: String,
    /// The steps around it, of both drivers.
    pub context: Vec<String>,
}

/// A line of the handshake of both side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What the C driver does.
    pub c: String,
    /// What the Rust driver does.
    pub rust: String,
    /// The ids of the differences, `!` for one that is not intended.
    pub note: String,
}

/// The number of accesses of a phase, beside the design's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// How many virtqueues there are.
    pub queues: usize,
    /// What the C driver takes.
    pub c: Count,
    /// What the Rust driver takes.
    pub rust: Count,
    /// What the design says of the C driver.
    pub design: usize,
    /// What the Rust driver must reach.
    pub reach: usize,
    /// How many accesses to the device configuration it may take more than the C driver.
    pub compared: usize,
    /// The floor of the interface.
    pub floor: usize,
}

impl Cost {
    /// Whether the Rust driver reaches what it must.
    pub fn ok(&self) -> bool {
        self.rust.handshake <= self.reach && self.rust.config <= self.c.config + self.compared
    }
}

/// The comparison of one phase of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PhaseReport {
    /// The phase.
    pub phase: Phase,
    /// Which time the device had it.
    pub round: usize,
    /// The handshake of both.
    pub rows: Vec<Row>,
    /// The state of the device at the end, with the C driver.
    pub c_state: String,
    /// The state of the device at the end, with the Rust driver.
    pub rust_state: String,
    /// What it takes.
    pub cost: Cost,
}

/// The comparison of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceReport {
    /// The device.
    pub name: String,
    /// Whether MSI-X is used.
    pub msix: bool,
    /// Its phases.
    pub phases: Vec<PhaseReport>,
    /// What the guest saw, if the caller told.
    pub observed: Vec<Observed>,
}

/// The comparison of two runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The devices of both.
    pub devices: Vec<DeviceReport>,
    /// All differences.
    pub differences: Vec<Difference>,
    /// Where the C driver breaks the specification.
    pub c_breaches: Vec<Breach>,
    /// Where the Rust driver breaks the specification.
    pub rust_breaches: Vec<Breach>,
    /// The differences that are intended.
    pub intended: Vec<Intended>,
}

/// Compares two runs of the same test.
pub fn compare(c: &Run, rust: &Run, intended: &[Intended]) -> Report {
    let mut report = Report {
        intended: intended.to_vec(),
        c_breaches: checker::check(c),
        rust_breaches: checker::check(rust),
        ..Report::default()
    };
    if c.devices.is_empty() && rust.devices.is_empty() {
        report.whole("", "no device was traced", "no device was traced");
    }
    for device in &c.devices {
        match rust.device(&device.name) {
            Some(other) => report.device(device, other),
            None => report.whole(&device.name, "traced", "not traced"),
        }
    }
    for device in &rust.devices {
        if c.device(&device.name).is_none() {
            report.whole(&device.name, "not traced", "traced");
        }
    }
    report
}

impl Report {
    /// Adds what the guest saw of a device.
    pub fn observe(&mut self, name: &str, c: &Observations, rust: &Observations) {
        let pairs = observe::pair(c, rust);
        for pair in pairs.iter().filter(|p| p.c != p.rust) {
            let mut difference = whole(name, &pair.c, &pair.rust);
            difference.id = self.intends(&format!("sysfs-{}", pair.what));
            difference.context.push(pair.what.clone());
            self.differences.push(difference);
        }
        match self.devices.iter_mut().find(|d| d.name == name) {
            Some(device) => device.observed = pairs,
            None => self.whole(name, "observed, but not traced", "observed, but not traced"),
        }
    }

    /// Whether nothing differs but what is intended, nothing breaks the specification, and
    /// nothing takes more accesses than it may.
    pub fn ok(&self) -> bool {
        let mut phases = self.devices.iter().flat_map(|d| &d.phases);
        self.unexplained().next().is_none()
            && self.breaches().next().is_none()
            && !self.devices.is_empty()
            && phases.all(|p| p.cost.ok())
    }

    /// The differences that are not intended.
    pub fn unexplained(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|d| d.id.is_none())
    }

    /// The breaches of the specification, by both drivers, that are not known.
    pub fn breaches(&self) -> impl Iterator<Item = &Breach> {
        let c = self.c_breaches.iter().filter(|b| b.known.is_none());
        let rust = self.rust_breaches.iter();
        c.chain(rust.filter(|b| b.known.is_none_or(|known| known.c_only)))
    }

    /// The intended differences that were seen.
    pub fn seen(&self) -> BTreeSet<&str> {
        let ids = self.differences.iter();
        ids.filter_map(|d| d.id.as_deref()).collect()
    }

    /// The intended differences that were not seen.
    pub fn unseen(&self) -> Vec<&'static str> {
        let seen = self.seen();
        let ids = self.intended.iter().map(|i| i.id);
        ids.filter(|id| !seen.contains(id)).collect()
    }

    fn intends(&self, id: &str) -> Option<String> {
        let found = self.intended.iter().find(|i| i.id == id);
        found.map(|i| i.id.to_owned())
    }

    fn whole(&mut self, device: &str, c: &str, rust: &str) {
        self.differences.push(whole(device, c, rust));
    }

    fn device(&mut self, c: &DeviceTrace, rust: &DeviceTrace) {
        let mode = |msix: bool| if msix { "MSI-X" } else { "INTx" };
        if c.msix != rust.msix {
            self.whole(&c.name, mode(c.msix), mode(rust.msix));
        }
        if ![c, rust]
            .iter()
            .all(|d| d.segments.iter().any(is_handshake))
        {
            self.whole(&c.name, "a phase is needed", "with accesses in both");
        }
        let mut phases = Vec::new();
        let mut held_in_reset = false;
        let rust_sides = sides(rust);
        let c_sides = sides(c);
        for side in &c_sides {
            let same = |s: &&Side<'_>| s.key() == side.key();
            match rust_sides.iter().find(same) {
                Some(other) if side.segment.phase.is_compared() => {
                    held_in_reset = is_held_in_reset(side, other, held_in_reset);
                    phases.push(self.phase(c, side, other, held_in_reset));
                }
                Some(other) => {
                    let (state, rust_state) = (side.state.to_string(), other.state.to_string());
                    held_in_reset &= state != rust_state;
                    if state != rust_state && !held_in_reset {
                        self.differences.push(Difference {
                            phase: Some(side.segment.phase),
                            round: side.segment.round,
                            ..whole(&c.name, &state, &rust_state)
                        });
                    }
                }
                None => self.alone(c, side, true),
            }
        }
        for side in &rust_sides {
            if !c_sides.iter().any(|s| s.key() == side.key()) {
                self.alone(rust, side, false);
            }
        }
        self.devices.push(DeviceReport {
            name: c.name.clone(),
            msix: c.msix,
            phases,
            observed: Vec::new(),
        });
    }

    /// A phase that only one of them has.
    fn alone(&mut self, device: &DeviceTrace, side: &Side<'_>, is_c: bool) {
        if side.steps.is_empty() || !side.segment.phase.is_compared() {
            return;
        }
        let texts: Vec<String> = side.steps.iter().map(|s| s.step.to_string()).collect();
        let (c, rust) = match is_c {
            true => (texts.join("; "), String::new()),
            false => (String::new(), texts.join("; ")),
        };
        self.differences.push(Difference {
            phase: Some(side.segment.phase),
            round: side.segment.round,
            ..whole(&device.name, &c, &rust)
        });
    }

    fn phase(
        &mut self,
        device: &DeviceTrace,
        c: &Side<'_>,
        rust: &Side<'_>,
        held_in_reset: bool,
    ) -> PhaseReport {
        let segment = c.segment;
        let mut differences = Vec::new();
        let sides = Aligned {
            phase: segment.phase,
            is_console: device.name == CONSOLE,
            c: &c.steps,
            rust: &rust.steps,
        };
        let mut rows = sides.align(&mut differences);
        let checks = rows.iter().filter(|r| r.note == intended::OUTPUT_CHECKED);
        let checks = checks.count();
        config(c, rust, &mut differences);
        let (c_state, rust_state) = (c.state.to_string(), rust.state.to_string());
        if c_state != rust_state {
            differences.push((None, c_state.clone(), rust_state.clone()));
        }
        if held_in_reset {
            let ids = differences.iter_mut().map(|(id, ..)| id);
            ids.for_each(|id| *id = Some(intended::HELD_IN_RESET));
            let rows = rows.iter_mut().filter(|r| r.c != r.rust);
            rows.for_each(|r| r.note = intended::HELD_IN_RESET.to_owned());
        }
        for (id, c, rust) in differences {
            let id = id.and_then(|id| self.intends(id));
            let mut context = Vec::new();
            if id.is_none() {
                let at = rows.iter().position(|r| r.c == c && r.rust == rust);
                if let Some(at) = at {
                    rows[at].note = "!".to_owned();
                    let around = at.saturating_sub(2)..rows.len().min(at + 3);
                    context.extend(rows[around].iter().map(|r| format!("{} | {}", r.c, r.rust)));
                }
            }
            self.differences.push(Difference {
                device: device.name.clone(),
                phase: Some(segment.phase),
                round: segment.round,
                id,
                c,
                rust,
                context,
            });
        }
        PhaseReport {
            phase: segment.phase,
            round: segment.round,
            rows,
            cost: count(segment.phase, device.msix, c, rust, checks),
            c_state,
            rust_state,
        }
    }
}

/// What the devices of the tests call a console.
const CONSOLE: &str = "console";

/// The most accesses that a comparison of the device configuration takes.
const COMPARED: usize = 2;

fn is_handshake(segment: &Segment) -> bool {
    segment.phase.is_compared() && !segment.accesses.is_empty()
}

fn whole(device: &str, c: &str, rust: &str) -> Difference {
    Difference {
        device: device.to_owned(),
        phase: None,
        round: 0,
        id: None,
        c: c.to_owned(),
        rust: rust.to_owned(),
        context: Vec::new(),
    }
}

/// One driver's side of a phase.
struct Side<'a> {
    segment: &'a Segment,
    steps: Vec<Located>,
    config: ConfigView,
    /// How many virtqueues were live before it.
    live_before: usize,
    /// The state after it.
    state: DeviceState,
}

impl Side<'_> {
    fn key(&self) -> (Phase, usize) {
        (self.segment.phase, self.segment.round)
    }
}

/// The phases of a device.
fn sides(device: &DeviceTrace) -> Vec<Side<'_>> {
    let mut state = DeviceState::default();
    let mut result = Vec::new();
    for segment in &device.segments {
        if segment.phase == Phase::PowerOn {
            state = DeviceState::default();
        }
        let selected = state.selected;
        let live_before = state.live_queues();
        for access in &segment.accesses {
            state.apply(access);
        }
        result.push(Side {
            segment,
            steps: steps(&segment.accesses, selected),
            config: ConfigView::of(&segment.accesses),
            live_before,
            state: state.clone(),
        });
    }
    result
}

/// Whether the Rust driver keeps a device reset whose virtio driver cannot be frozen.
///
/// The C driver does not reset such a device in its freeze; the Rust driver does, and only
/// acknowledges it in its restore.
fn is_held_in_reset(c: &Side<'_>, rust: &Side<'_>, before: bool) -> bool {
    let resets = |side: &Side<'_>| {
        let mut steps = side.steps.iter();
        steps.any(|s| matches!(s.step, Step::Reset { complete: true, .. }))
    };
    let acknowledged = rust.state.status == Some(ACKNOWLEDGE);
    match c.segment.phase {
        Phase::Freeze => c.live_before > 0 && !resets(c) && resets(rust),
        Phase::Restore => before && resets(rust) && acknowledged && rust.steps.len() == 2,
        _ => false,
    }
}

fn config(c: &Side<'_>, rust: &Side<'_>, found: &mut Vec<Found>) {
    let is_restore = c.segment.phase == Phase::Restore;
    let (c, rust) = (&c.config, &rust.config);
    if is_restore && c.is_part_of(rust) && !c.same(rust) {
        let id = Some(intended::CONFIG_COMPARED);
        found.push((id, String::new(), rust.beyond(c)));
        return;
    }
    let (more, less) = (c.beyond(rust), rust.beyond(c));
    if !c.same(rust) {
        found.push((None, more, less));
        return;
    }
    let width = |view: &ConfigView| format!("configuration read in up to {} bytes", view.width);
    if rust.width > c.width {
        found.push((Some(intended::CONFIG_WIDTH), width(c), width(rust)));
    }
    if rust.rereads(c) {
        let (once, again) = ("configuration read", "configuration read until stable");
        found.push((Some(intended::CONFIG_STABLE), once.into(), again.into()));
    }
}

/// `checks` are the accesses of the Rust driver before each output of a console.
fn count(phase: Phase, msix: bool, c: &Side<'_>, rust: &Side<'_>, checks: usize) -> Cost {
    let set_up = |side: &Side<'_>| {
        let queues = side.steps.iter();
        queues.filter(|s| matches!(s.step, Step::Queue(_))).count()
    };
    let queues = match phase {
        Phase::Freeze | Phase::Remove => c.live_before.max(rust.live_before),
        _ => set_up(c),
    };
    let columns = cost::design(phase, msix);
    let design = |pick: fn(cost::Design) -> cost::Formula| {
        columns.map_or(0, |columns| pick(columns).count(queues))
    };
    let repeated = cost::repeated_accepts(&rust.steps).min(cost::repeated_accepts(&c.steps));
    Cost {
        queues,
        c: Count::of(&c.segment.accesses, &c.steps),
        rust: Count::of(&rust.segment.accesses, &rust.steps),
        design: design(|d| d.c) + repeated,
        reach: design(|d| d.reach) + repeated + checks,
        compared: if phase == Phase::Restore { COMPARED } else { 0 },
        floor: design(|d| d.floor),
    }
}
