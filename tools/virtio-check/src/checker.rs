// SPDX-License-Identifier: GPL-2.0

//! Checks the accesses of a driver against the specification.

use crate::access::{
    Access, Register, Status, ACKNOWLEDGE, DRIVER, DRIVER_OK, FAILED, FEATURES_OK, NO_VECTOR,
};
use crate::phase::Phase;
use crate::rules::{self, table, Known, Rule};
use crate::run::{DeviceTrace, Run};
use crate::state::DeviceState;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// The rule.
    #[serde(serialize_with = "rules::serialize_id")]
    pub rule: &'static Rule,
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
        let Rule { id, text, .. } = self.rule;
        let section = self.rule.section();
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

/// What is known of the driver since the last reset.
#[derive(Default)]
struct Since {
    /// Queues, vectors and features.
    state: DeviceState,
    /// The status as the driver wrote it; none before the first reset.
    status: Option<u8>,
    /// A reset was written, and not seen complete.
    resetting: bool,
    /// The sizes that were read.
    sizes: BTreeMap<u16, u16>,
    /// Vectors that were written and not yet read back.
    vectors: BTreeMap<Register, u16>,
    /// Whether a vector that was read back was refused.
    refused: Option<bool>,
    /// A ring address of 0 was written in the midst of a handshake.
    lost: bool,
    /// The driver gave up.
    failed: bool,
    /// A freeze has reset the device.
    frozen: bool,
}

/// Judges the accesses to one device, one after the other.
#[derive(Default)]
pub struct Checker {
    since: Since,
    /// The features that the device offered when it was asked last.
    offered: Option<u32>,
    /// How often each rule was judged, by its place in the table.
    judged: Vec<u64>,
    /// What the last access broke.
    found: Vec<(&'static Rule, String)>,
}

impl Checker {
    /// Judges the next access; gives each rule that it breaks, with what is wrong. A reset in
    /// [`Phase::Freeze`] is that of a freeze. `msix` tells whether MSI-X is enabled.
    pub fn judge(
        &mut self,
        access: &Access,
        phase: Phase,
        msix: bool,
    ) -> Vec<(&'static Rule, String)> {
        let frozen = self.since.frozen;
        self.form(access, msix);
        if access.is_reset() {
            self.reset(phase == Phase::Freeze);
        } else {
            self.begun(access);
            self.read_back(access, msix);
            match access.write {
                true => self.write(access),
                false => self.read(access),
            }
            if self.has(DRIVER_OK) && msix {
                let reads = access.reads(Register::Isr);
                self.keep(table::ISR_MSIX, !reads, || {
                    "ISR read while the device is live".to_owned()
                });
            }
        }
        if frozen && !self.found.iter().any(|(rule, _)| *rule == table::FROZEN) {
            self.keep(table::FROZEN, true, String::new);
        }
        self.since.state.apply(access);
        std::mem::take(&mut self.found)
    }

    /// The power was off: nothing that was known of the device holds any more.
    pub fn power_on(&mut self) {
        self.since = Since::default();
        self.offered = None;
    }

    /// A restore begins, of a device that was not frozen.
    pub fn thaw(&mut self) {
        self.since.frozen = false;
    }

    /// How often a rule was judged.
    pub fn judged(&self, rule: &Rule) -> u64 {
        self.judged.get(rule.index()).copied().unwrap_or(0)
    }

    /// Whether the device is set live.
    pub fn is_live(&self) -> bool {
        self.has(DRIVER_OK)
    }

    /// Judges a rule.
    fn keep(&mut self, rule: &'static Rule, kept: bool, message: impl FnOnce() -> String) {
        self.judged.resize(rules::RULES.len(), 0);
        if let Some(judged) = self.judged.get_mut(rule.index()) {
            *judged += 1;
        }
        if !kept {
            self.found.push((rule, message()));
        }
    }

    fn has(&self, bits: u8) -> bool {
        self.since.status.unwrap_or(0) & bits != 0
    }

    fn has_features(&self) -> bool {
        self.since.state.features.is_some()
    }

    /// Checks what holds for an access whatever came before.
    fn form(&mut self, access: &Access, msix: bool) {
        let Access { register, size, .. } = *access;
        let vector = matches!(register, Register::ConfigVector | Register::QueueVector);
        let inside = matches!(register, Register::Inside(_));
        let vectors = vector || matches!(register, Register::Inside(21 | 23));
        let fits = register.width().is_none_or(|width| width == size);
        if msix && vectors {
            self.keep(table::CONFIG_OFFSET, fits && !inside, || {
                format!("{access}, where MSI-X has its vectors")
            });
        } else {
            if register.width().is_some() {
                self.keep(table::WIDTH, fits, || {
                    format!("{register} accessed in {size} bytes")
                });
            }
            if !access.is_config() {
                self.keep(table::LAYOUT, !inside, || {
                    format!("there is no register at {register}")
                });
            }
        }
        if register == Register::QueueNum {
            self.keep(table::QUEUE_NUM_WRITTEN, !access.write, || {
                access.to_string()
            });
        } else if register.is_read_only() {
            self.keep(table::READ_ONLY, !access.write, || {
                format!("{register} written")
            });
        }
    }

    fn reset(&mut self, freeze: bool) {
        if self.since.state.live_queues() != 0 && self.has(DRIVER_OK) {
            self.keep(table::TEARDOWN_LIVE, true, String::new);
            self.keep(table::VECTOR_OFF_LIVE, true, String::new);
        }
        if self.since.status.is_none() {
            self.keep(table::RESET_FIRST, true, String::new);
        }
        if self.since.failed {
            self.keep(table::FAILED_CONTINUES, true, String::new);
        }
        if self.since.lost {
            self.keep(table::PFN_ZERO, true, String::new);
        }
        self.since = Since {
            status: Some(0),
            resetting: true,
            frozen: freeze,
            ..Since::default()
        };
    }

    /// Checks that the device was reset, and that the reset is complete.
    fn begun(&mut self, access: &Access) {
        if access.reads(Register::Status) {
            if self.since.resetting && access.value == 0 {
                self.since.resetting = false;
                self.keep(table::RESET_COMPLETE, true, String::new);
            }
            return;
        }
        if self.since.status.is_none() {
            self.keep(table::RESET_FIRST, false, || {
                format!("{access} before any reset")
            });
            self.since.status = Some(0);
        }
        if self.since.resetting && !access.reads(Register::Isr) {
            self.keep(table::RESET_COMPLETE, false, || {
                format!("{access} before the status was read as 0")
            });
            self.since.resetting = false;
        }
    }

    /// Checks that vectors that were written are read back in time, and that they are vectors.
    fn read_back(&mut self, access: &Access, msix: bool) {
        let ready = access.writes(Register::Status) && access.status() & DRIVER_OK != 0;
        let ready = ready || self.has(DRIVER_OK);
        for register in [Register::ConfigVector, Register::QueueVector] {
            let Some(&written) = self.since.vectors.get(&register) else {
                continue;
            };
            let selects = register == Register::QueueVector && access.writes(Register::QueueSel);
            let other = access.value != u64::from(written) && access.value != u64::from(NO_VECTOR);
            if access.reads(register) && other && !msix {
                self.keep(table::CONFIG_OFFSET, false, || {
                    format!("{register} was written with {written}, and {access} is no vector")
                });
            } else if access.reads(register) {
                let refused = access.value != u64::from(written);
                self.since.refused = Some(refused || self.since.refused == Some(true));
                self.keep(table::VECTOR_READ_BACK, true, String::new);
            } else if access.writes(register) || selects || ready {
                self.keep(table::VECTOR_READ_BACK, false, || {
                    format!("{register} was written with {written}, then {access}")
                });
            } else {
                continue;
            }
            self.since.vectors.remove(&register);
        }
    }

    fn read(&mut self, access: &Access) {
        match access.register {
            Register::Status => self.status_read(access.status()),
            Register::HostFeatures => {
                self.features(access);
                self.offered = Some(access.value as u32);
            }
            Register::QueueNum => {
                if let Some(index) = self.selected(access) {
                    self.since.sizes.insert(index, access.value as u16);
                }
            }
            Register::QueuePfn | Register::QueueVector => {
                self.selected(access);
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
                let live = self.has(DRIVER_OK);
                self.keep(table::TEARDOWN_LIVE, !live, || {
                    format!("{access} without a reset")
                });
                self.since.lost |= self.since.status != Some(0);
            }
            Register::QueuePfn => self.ring(access),
            Register::QueueNotify => self.notify(access),
            Register::Config(_) => {
                self.config(access);
                let accepted = self.has_features();
                self.keep(table::FEATURES_BEFORE_CONFIG_WRITE, accepted, || {
                    format!("{access} before features were accepted")
                });
            }
            _ => {}
        }
    }

    fn status_read(&mut self, value: u8) {
        let Some(status) = self.since.status else {
            return;
        };
        // A device that is gone reads as ones; one that lost its queues is another rule's.
        if status != 0 && !self.since.lost {
            self.keep(table::STATUS_LOST, status & !value == 0, || {
                format!(
                    "the status was {} and reads {}",
                    Status(status),
                    Status(value)
                )
            });
        }
    }

    fn status_write(&mut self, value: u8) {
        let before = self.since.status.unwrap_or(0);
        let set = value & !before;
        let text = || format!("status {} after {}", Status(value), Status(before));
        let reserved = value & !(ACKNOWLEDGE | DRIVER | DRIVER_OK | FEATURES_OK | FAILED);
        let (driver, ready) = (set & DRIVER != 0, set & DRIVER_OK != 0);
        if self.since.frozen {
            self.keep(table::FROZEN, false, text);
        }
        if self.since.lost {
            self.keep(table::PFN_ZERO, false, text);
        }
        self.keep(table::STATUS_BITS, reserved == 0, text);
        self.keep(table::FEATURES_OK, value & FEATURES_OK == 0, text);
        if before != 0 {
            self.keep(table::STATUS_CLEARED, before & !value == 0, text);
        }
        if self.since.failed {
            self.keep(table::FAILED_CONTINUES, set == 0, text);
        }
        if driver {
            let acknowledged = value & ACKNOWLEDGE != 0;
            self.keep(table::ACK_BEFORE_DRIVER, acknowledged, text);
            if acknowledged {
                let apart = before & ACKNOWLEDGE != 0;
                self.keep(table::ACK_AND_DRIVER_APART, apart, text);
            }
        }
        if ready {
            let live = self.since.state.live_queues();
            let accepted = self.has_features();
            self.keep(table::DRIVER_BEFORE_OK, before & DRIVER != 0, text);
            self.keep(table::FEATURES_BEFORE_OK, accepted, text);
            self.keep(table::QUEUES_BEFORE_OK, live != 0, text);
            self.keep(table::QUEUES_LATE, true, String::new);
            self.keep(table::FEATURES_AFTER_OK, true, String::new);
            if let Some(refused) = self.since.refused {
                self.keep(table::VECTOR_REFUSED, !refused, text);
            }
        }
        // Set before DRIVER, it only tells of a failure before the freeze.
        self.since.failed |= set & FAILED != 0 && before & DRIVER != 0;
        self.since.lost = false;
        self.since.status = Some(value);
    }

    /// Checks that this is a time for features.
    fn features(&mut self, access: &Access) {
        if self.frozen(access) {
            return;
        }
        let driver = self.has(DRIVER);
        self.keep(table::DRIVER_BEFORE_FEATURES, driver, || {
            format!("{access} before DRIVER")
        });
    }

    /// Whether the device is frozen, which it must not be.
    fn frozen(&mut self, access: &Access) -> bool {
        if self.since.frozen {
            self.keep(table::FROZEN, false, || access.to_string());
        }
        self.since.frozen
    }

    fn accept(&mut self, access: &Access) {
        self.features(access);
        let accepted = access.value as u32;
        let offered = self.offered;
        self.keep(table::FEATURES_READ, offered.is_some(), || {
            format!("{access}, but HOST_FEATURES was never read")
        });
        if let Some(offered) = offered {
            self.keep(table::FEATURES_OFFERED, accepted & !offered == 0, || {
                format!("{access}, but {offered:#x} was offered")
            });
        }
        self.keep(table::BIT_30, accepted & (1 << 30) == 0, || {
            access.to_string()
        });
        if self.has(DRIVER_OK) {
            self.keep(table::FEATURES_AFTER_OK, false, || {
                format!("{access} after DRIVER_OK")
            });
        } else {
            let live = self.since.state.live_queues();
            self.keep(table::FEATURES_LATE, live == 0, || {
                format!("{access} after a virtqueue was set up")
            });
        }
    }

    /// Checks that this is a time to set up virtqueues and vectors.
    fn set_up(&mut self, access: &Access) {
        if self.frozen(access) {
            return;
        }
        let (driver, ready, accepted) =
            (self.has(DRIVER), self.has(DRIVER_OK), self.has_features());
        self.keep(table::DRIVER_BEFORE_QUEUES, driver, || {
            format!("{access} before DRIVER")
        });
        self.keep(table::FEATURES_BEFORE_QUEUES, accepted, || {
            format!("{access} before features were accepted")
        });
        self.keep(table::QUEUES_LATE, !ready, || {
            format!("{access} after DRIVER_OK")
        });
    }

    fn selected(&mut self, access: &Access) -> Option<u16> {
        let selected = self.since.state.selected;
        self.keep(table::QUEUE_SELECT, selected.is_some(), || {
            format!("{access}, but no virtqueue is selected")
        });
        selected
    }

    fn vector(&mut self, access: &Access) {
        let vector = access.value as u16;
        if vector == NO_VECTOR {
            let live = self.has(DRIVER_OK);
            self.keep(table::VECTOR_OFF_LIVE, !live, || {
                format!("{access} without a reset")
            });
        } else {
            self.set_up(access);
            self.since.vectors.insert(access.register, vector);
        }
    }

    fn ring(&mut self, access: &Access) {
        self.set_up(access);
        let Some(index) = self.selected(access) else {
            return;
        };
        let size = self.since.sizes.get(&index).copied();
        let exists = size.is_some_and(|size| size != 0);
        self.keep(table::QUEUE_SIZE, exists, || match size {
            None => format!("{access}, but the size of virtqueue {index} was not read"),
            Some(_) => format!("{access}, but virtqueue {index} does not exist"),
        });
        if let Some(size) = size {
            let end = access.value.saturating_add(ring_pages(size));
            self.keep(table::PFN_RANGE, end <= 1 << 32, || {
                format!("{access}, and a ring of size {size} ends at page {end:#x}")
            });
        }
        let live = self.since.state.is_live(index);
        self.keep(table::QUEUE_LIVE, !live, || {
            format!("{access}, but virtqueue {index} has a ring")
        });
    }

    fn notify(&mut self, access: &Access) {
        if self.frozen(access) {
            return;
        }
        let ready = self.has(DRIVER_OK);
        self.keep(table::NOTIFY_EARLY, ready, || {
            format!("{access} before DRIVER_OK")
        });
        if !ready {
            return;
        }
        let index = access.value as u16;
        let live = self.since.state.is_live(index);
        let exists = self.since.sizes.get(&index).is_some_and(|size| *size != 0);
        self.keep(table::NOTIFY_ABSENT, live || exists, || {
            format!("{access}, but the driver has seen no such virtqueue")
        });
        if live || exists {
            self.keep(table::NOTIFY_DEAD, live, || {
                format!("{access}, but that virtqueue has no ring")
            });
        }
    }

    fn config(&mut self, access: &Access) {
        if self.frozen(access) {
            return;
        }
        let driver = self.has(DRIVER);
        self.keep(table::DRIVER_BEFORE_CONFIG, driver, || {
            format!("{access} before DRIVER")
        });
    }
}

/// How many pages of 4096 bytes a virtqueue of this size takes.
fn ring_pages(size: u16) -> u64 {
    let size = u64::from(size);
    (16 * size + 2 * (3 + size)).div_ceil(4096) + (6 + 8 * size).div_ceil(4096)
}
