// SPDX-License-Identifier: GPL-2.0

//! Judges the accesses to one device as they come, and keeps no more than what is shown.

use crate::access::{Access, DRIVER_OK};
use crate::checker::{Breach, Checker};
use crate::parts::{Part, Parts};
use crate::phase::Phase;
use crate::rules::{Rule, RULES};
use std::collections::{BTreeMap, VecDeque};

/// How many accesses before and after a breach are shown with it.
const AROUND: usize = 4;
/// How many breaches of a rule are shown; more are counted.
const SHOWN: usize = 3;

/// What was found of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    /// How often it was judged.
    pub judged: u64,
    /// How often it was broken.
    pub broken: u64,
    /// The first of its breaches.
    pub breaches: Vec<Breach>,
}

/// What was found of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The device.
    pub device: String,
    /// Whether its driver uses MSI-X.
    pub msix: bool,
    /// How many accesses there were.
    pub accesses: u64,
    /// What the driver did, from reset to reset.
    pub parts: Vec<Part>,
    /// How many parts there were beyond those.
    pub more_parts: u64,
    /// The findings, in the order of [`RULES`].
    pub findings: Vec<(&'static Rule, Finding)>,
}

/// Judges the accesses to one device.
pub struct Judge {
    device: String,
    checker: Checker,
    phase: Phase,
    /// A freeze has reset the device, and nothing was done to it since.
    reset_in_freeze: bool,
    accesses: u64,
    recent: VecDeque<Access>,
    parts: Parts,
    broken: BTreeMap<&'static str, Finding>,
    /// Breaches that wait for this number of accesses behind them.
    open: Vec<(&'static str, usize, usize)>,
}

impl Judge {
    /// Begins with a device of which nothing is known.
    pub fn new(device: &str) -> Self {
        Self {
            device: device.to_owned(),
            checker: Checker::default(),
            phase: Phase::Between,
            reset_in_freeze: false,
            accesses: 0,
            recent: VecDeque::new(),
            parts: Parts::default(),
            broken: BTreeMap::new(),
            open: Vec::new(),
        }
    }

    /// A phase begins.
    pub fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.parts.mark();
        if phase == Phase::PowerOn {
            self.checker.power_on();
        }
    }

    /// A phase begins, unless it has begun already.
    pub fn enter(&mut self, phase: Phase) {
        if phase != self.phase {
            self.begin(phase);
        }
    }

    /// Judges the next access.
    pub fn judge(&mut self, access: &Access, msix: bool) {
        self.accesses += access.times;
        self.show_after(access);
        let phase = self.phase_of(access);
        let found = self.checker.judge(access, phase, msix);
        let part = self.parts.push(access, phase, found.len() as u64);
        for (rule, message) in found {
            self.breach(rule, message, access, phase, part);
        }
        match self.recent.back_mut() {
            Some(last) if last.same(access) => last.times += access.times,
            _ => self.recent.push_back(access.clone()),
        }
        if self.recent.len() > AROUND {
            self.recent.pop_front();
        }
    }

    /// Tells freeze from restore where one mark stands for both, as [`crate::run`] does.
    fn phase_of(&mut self, access: &Access) -> Phase {
        if self.phase != Phase::Freeze {
            return self.phase;
        }
        if access.is_reset() {
            self.reset_in_freeze = self.checker.is_live();
        } else if access.writes(crate::access::Register::Status) && self.reset_in_freeze {
            // A device that cannot be frozen was not: that reset was its restore's.
            self.checker.thaw();
            self.reset_in_freeze = access.status() & DRIVER_OK != 0;
        }
        match self.reset_in_freeze || self.checker.is_live() {
            true => Phase::Freeze,
            false => Phase::Restore,
        }
    }

    fn breach(
        &mut self,
        rule: &'static Rule,
        message: String,
        access: &Access,
        phase: Phase,
        part: usize,
    ) {
        let finding = self.broken.entry(rule.id).or_default();
        finding.broken += 1;
        if finding.breaches.len() == SHOWN {
            return;
        }
        let mut context: Vec<_> = self.recent.iter().map(|a| format!("  {a}")).collect();
        context.push(format!("> {access}"));
        self.open.push((rule.id, finding.breaches.len(), AROUND));
        finding.breaches.push(Breach {
            rule,
            device: self.device.clone(),
            phase,
            round: part,
            line: access.line,
            message,
            context,
            known: None,
        });
    }

    /// Shows an access behind the breaches before it.
    fn show_after(&mut self, access: &Access) {
        if self.open.is_empty() {
            return;
        }
        let repeated = self.recent.back().is_some_and(|last| last.same(access));
        for (rule, breach, left) in &mut self.open {
            let finding = self.broken.get_mut(rule);
            let Some(breach) = finding.and_then(|finding| finding.breaches.get_mut(*breach)) else {
                continue;
            };
            if !repeated {
                *left -= 1;
                breach.context.push(format!("  {access}"));
            }
        }
        self.open.retain(|(.., left)| *left > 0);
    }

    /// What was found.
    pub fn finish(mut self, msix: bool) -> Verdict {
        let findings = RULES.iter().map(|rule| {
            let mut finding = self.broken.remove(rule.id).unwrap_or_default();
            finding.judged = self.checker.judged(rule);
            (*rule, finding)
        });
        let findings = findings.collect();
        let (parts, more_parts) = self.parts.finish();
        Verdict {
            device: self.device,
            msix,
            accesses: self.accesses,
            parts,
            more_parts,
            findings,
        }
    }
}
