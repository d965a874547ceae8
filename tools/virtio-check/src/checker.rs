// SPDX-License-Identifier: GPL-2.0

//! Checks the accesses of a driver against the specification.

use crate::access::{Access, Register, ACKNOWLEDGE, DRIVER, DRIVER_OK, FAILED, NO_VECTOR};
use crate::phase::Phase;
use crate::rules::{self, Known, Rule};
use crate::run::{DeviceTrace, Run};
use crate::state::DeviceState;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// The rule.
    pub rule: Rule,
    /// The device.
    pub device: String,
    /// The phase.
    pub phase: Phase,
    /// Which time the device had it.
    pub round: usize,
    /// The line in the trace file.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// The accesses around it, the one that breaks the rule marked.
    pub context: Vec<String>,
    /// Why it is no failure, if it is known.
    pub known: Option<Known>,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { id, section, text } = self.rule;
        let (device, phase, line) = (&self.device, self.phase, self.line);
        writeln!(f, "{device}, {phase}, line {line}: {}", self.message)?;
        write!(f, "  {id}: {text} (specification {section})")?;
        if let Some(known) = self.known {
            write!(f, "\n  known: {}", known.reason)?;
        }
        self.context.iter().try_for_each(|l| write!(f, "\n  {l}"))
    }
}

/// Checks all devices of a run.
pub fn check(run: &Run) -> Vec<Breach> {
    run.devices.iter().flat_map(check_device).collect()
}

fn check_device(device: &DeviceTrace) -> Vec<Breach> {
    let mut checker = Checker::default();
    let mut breaches = Vec::new();
    for segment in &device.segments {
        if segment.phase == Phase::PowerOn {
            checker = Checker::default();
        }
        for (at, access) in segment.accesses.iter().enumerate() {
            for (rule, message) in checker.judge(access, segment.phase, device.msix) {
                let known = rules::KNOWN.iter();
                let known = known.filter(|k| k.rule == rule.id && device.name.contains(k.device));
                breaches.push(Breach {
                    rule,
                    known: known.copied().next(),
                    device: device.name.clone(),
                    phase: segment.phase,
                    round: segment.round,
                    line: access.line,
                    message,
                    context: context(&segment.accesses, at),
                });
            }
        }
    }
    breaches
}

fn context(accesses: &[Access], at: usize) -> Vec<String> {
    let around = at.saturating_sub(3)..accesses.len().min(at + 3);
    around
        .map(|i| format!("{} {}", if i == at { ">" } else { " " }, accesses[i]))
        .collect()
}

/// Judges the accesses to one device, one after the other.
#[derive(Default)]
pub struct Checker {
    /// Queues, vectors and features.
    state: DeviceState,
    /// The status as the driver wrote it; none before the first reset.
    status: Option<u8>,
    /// A reset was written, and not seen complete.
    resetting: bool,
    /// The features that the device offered when it was asked last.
    offered: Option<u32>,
    /// The sizes that were read since the reset.
    sizes: BTreeMap<u16, u16>,
    /// A vector that was written and not yet read back.
    vector: Option<(Register, u16)>,
    /// A vector was read back otherwise than written.
    refused: bool,
    /// A ring address of 0 was written in the midst of a handshake.
    lost: bool,
    /// The driver gave up.
    failed: bool,
    /// A freeze has reset the device.
    frozen: bool,
    /// What the last access broke.
    found: Vec<(Rule, String)>,
}

impl Checker {
    /// Judges the next access; gives each rule that it breaks, with what is wrong. A reset in
    /// [`Phase::Freeze`] is that of a freeze. `msix` tells whether MSI-X is enabled.
    pub fn judge(&mut self, access: &Access, phase: Phase, msix: bool) -> Vec<(Rule, String)> {
        self.form(access);
        if access.is_reset() {
            self.reset(phase == Phase::Freeze);
        } else {
            self.begun(access);
            self.read_back(access);
            match access.write {
                true => self.write(access),
                false => self.read(access, msix),
            }
        }
        self.state.apply(access);
        std::mem::take(&mut self.found)
    }

    fn breach(&mut self, rule: Rule, message: impl Into<String>) {
        self.found.push((rule, message.into()));
    }

    fn has(&self, bits: u8) -> bool {
        self.status.unwrap_or(0) & bits != 0
    }

    /// Checks what holds for an access whatever came before.
    fn form(&mut self, access: &Access) {
        let Access { register, size, .. } = *access;
        if register.width().is_some_and(|width| width != size) {
            self.breach(rules::WIDTH, format!("{register} accessed in {size} bytes"));
        }
        if let Register::Inside(offset) = register {
            self.breach(rules::LAYOUT, format!("there is no register at {offset}"));
        }
        if access.write && register.is_read_only() {
            self.breach(rules::READ_ONLY, format!("{register} written"));
        }
    }

    fn reset(&mut self, freeze: bool) {
        *self = Checker {
            status: Some(0),
            resetting: true,
            offered: self.offered,
            frozen: freeze,
            found: std::mem::take(&mut self.found),
            ..Checker::default()
        };
    }

    /// Checks that the device was reset, and that the reset is complete.
    fn begun(&mut self, access: &Access) {
        if access.reads(Register::Status) {
            self.resetting &= access.value != 0;
            return;
        }
        if self.status.is_none() {
            self.breach(rules::RESET_FIRST, format!("{access} before any reset"));
            self.status = Some(0);
        }
        if self.resetting && !access.reads(Register::Isr) {
            self.breach(
                rules::RESET_COMPLETE,
                format!("{access} before the status was read as 0"),
            );
            self.resetting = false;
        }
    }

    /// Checks that a vector that was just written is read back.
    fn read_back(&mut self, access: &Access) {
        let Some((register, written)) = self.vector.take() else {
            return;
        };
        if access.reads(register) {
            self.refused |= access.value != u64::from(written);
        } else {
            self.breach(
                rules::VECTOR_READ_BACK,
                format!("{register} was written with {written}, then {access}"),
            );
        }
    }

    fn read(&mut self, access: &Access, msix: bool) {
        match access.register {
            Register::Status => self.status_read(access.status()),
            Register::HostFeatures => {
                self.features(access);
                self.offered = Some(access.value as u32);
            }
            Register::QueueNum => {
                if let Some(index) = self.selected(access) {
                    self.sizes.insert(index, access.value as u16);
                }
            }
            Register::QueuePfn | Register::QueueVector => {
                self.selected(access);
            }
            Register::Isr if msix && self.has(DRIVER_OK) => {
                self.breach(rules::ISR_MSIX, "ISR read while the device is live");
            }
            Register::Config(_) => self.config(access),
            _ => {}
        }
    }

    fn write(&mut self, access: &Access) {
        let value = access.value;
        match access.register {
            Register::Status => self.status_write(access.status()),
            Register::GuestFeatures => self.accept(access),
            Register::ConfigVector => self.vector(access),
            Register::QueueVector => {
                self.selected(access);
                self.vector(access);
            }
            Register::QueuePfn if value == 0 => {
                self.selected(access);
                self.teardown(access);
                self.lost |= self.status != Some(0);
            }
            Register::QueuePfn => self.ring(access),
            Register::QueueNotify => self.notify(access),
            Register::Config(_) => {
                self.config(access);
                if self.state.features.is_none() {
                    self.breach(
                        rules::FEATURES_BEFORE_CONFIG_WRITE,
                        format!("{access} before features were accepted"),
                    );
                }
            }
            _ => {}
        }
    }

    fn status_read(&mut self, value: u8) {
        let Some(status) = self.status else {
            return;
        };
        // A device that is gone reads as ones; one that lost its queues is another rule's.
        if status & !value != 0 && !self.lost {
            self.breach(
                rules::STATUS_LOST,
                format!("the status was {status:#x} and reads {value:#x}"),
            );
        }
    }

    fn status_write(&mut self, value: u8) {
        let before = self.status.unwrap_or(0);
        let set = value & !before;
        let text = format!("status {value:#x} after {before:#x}");
        let mut check = |broken: bool, rule: Rule| {
            if broken {
                self.found.push((rule, text.clone()));
            }
        };
        let known = ACKNOWLEDGE | DRIVER | DRIVER_OK | FAILED;
        let ready = set & DRIVER_OK != 0;
        check(self.frozen, rules::FROZEN);
        check(self.lost, rules::PFN_ZERO);
        check(value & !known != 0, rules::STATUS_BITS);
        check(before & !value != 0, rules::STATUS_CLEARED);
        check(self.failed && set != 0, rules::FAILED_CONTINUES);
        check(
            set & DRIVER != 0 && before & ACKNOWLEDGE == 0,
            rules::ACK_BEFORE_DRIVER,
        );
        check(ready && before & DRIVER == 0, rules::DRIVER_BEFORE_OK);
        check(
            ready && self.state.features.is_none(),
            rules::FEATURES_BEFORE_OK,
        );
        check(
            ready && self.state.live_queues() == 0,
            rules::QUEUES_BEFORE_OK,
        );
        check(ready && self.refused, rules::VECTOR_REFUSED);
        // Set before DRIVER, it only tells of a failure before the freeze.
        self.failed |= set & FAILED != 0 && before & DRIVER != 0;
        self.lost = false;
        self.status = Some(value);
    }

    /// Checks that this is a time for features.
    fn features(&mut self, access: &Access) {
        if self.frozen {
            self.breach(rules::FROZEN, access.to_string());
        } else if !self.has(DRIVER) {
            self.breach(
                rules::DRIVER_BEFORE_FEATURES,
                format!("{access} before DRIVER"),
            );
        }
    }

    fn accept(&mut self, access: &Access) {
        self.features(access);
        let accepted = access.value as u32;
        match self.offered {
            None => self.breach(
                rules::FEATURES_OFFERED,
                format!("{access}, but HOST_FEATURES was never read"),
            ),
            Some(offered) if accepted & !offered != 0 => self.breach(
                rules::FEATURES_OFFERED,
                format!("{access}, but {offered:#x} was offered"),
            ),
            Some(_) => {}
        }
        if accepted & 1 << 30 != 0 {
            self.breach(rules::BIT_30, access.to_string());
        }
        if self.has(DRIVER_OK) {
            self.breach(rules::FEATURES_LATE, format!("{access} after DRIVER_OK"));
        } else if self.state.live_queues() != 0 {
            self.breach(
                rules::FEATURES_LATE,
                format!("{access} after a virtqueue was set up"),
            );
        }
    }

    /// Checks that this is a time to set up virtqueues and vectors.
    fn set_up(&mut self, access: &Access) {
        if self.frozen {
            self.breach(rules::FROZEN, access.to_string());
            return;
        }
        if !self.has(DRIVER) {
            self.breach(
                rules::DRIVER_BEFORE_QUEUES,
                format!("{access} before DRIVER"),
            );
        }
        if self.state.features.is_none() {
            self.breach(
                rules::FEATURES_BEFORE_QUEUES,
                format!("{access} before features were accepted"),
            );
        }
        if self.has(DRIVER_OK) {
            self.breach(rules::QUEUES_LATE, format!("{access} after DRIVER_OK"));
        }
    }

    fn selected(&mut self, access: &Access) -> Option<u16> {
        if self.state.selected.is_none() {
            self.breach(
                rules::QUEUE_SELECT,
                format!("{access}, but no virtqueue is selected"),
            );
        }
        self.state.selected
    }

    fn vector(&mut self, access: &Access) {
        let vector = access.value as u16;
        if vector == NO_VECTOR {
            self.teardown(access);
        } else {
            self.set_up(access);
            self.vector = Some((access.register, vector));
        }
    }

    fn ring(&mut self, access: &Access) {
        self.set_up(access);
        let Some(index) = self.selected(access) else {
            return;
        };
        match self.sizes.get(&index) {
            None => self.breach(
                rules::QUEUE_SIZE,
                format!("{access}, but the size of virtqueue {index} was not read"),
            ),
            Some(0) => self.breach(
                rules::QUEUE_SIZE,
                format!("{access}, but virtqueue {index} does not exist"),
            ),
            Some(_) => {}
        }
        if self.state.is_live(index) {
            self.breach(
                rules::QUEUE_LIVE,
                format!("{access}, but virtqueue {index} is live"),
            );
        }
    }

    fn teardown(&mut self, access: &Access) {
        if self.has(DRIVER_OK) {
            self.breach(rules::TEARDOWN_LIVE, format!("{access} without a reset"));
        }
    }

    fn notify(&mut self, access: &Access) {
        if self.frozen {
            self.breach(rules::FROZEN, access.to_string());
        } else if !self.has(DRIVER_OK) {
            self.breach(rules::NOTIFY_EARLY, format!("{access} before DRIVER_OK"));
        } else if !self.state.is_live(access.value as u16) {
            let message = format!("{access}, but that virtqueue is not live");
            self.breach(rules::NOTIFY_DEAD, message);
        }
    }

    fn config(&mut self, access: &Access) {
        if self.frozen {
            self.breach(rules::FROZEN, access.to_string());
        } else if !self.has(DRIVER) {
            self.breach(
                rules::DRIVER_BEFORE_CONFIG,
                format!("{access} before DRIVER"),
            );
        }
    }
}
