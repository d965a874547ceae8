// SPDX-License-Identifier: GPL-2.0

//! A phase as the steps of the handshake, without ring addresses and notifications.

use crate::access::{Access, Register, NO_VECTOR};
use serde::Serialize;
use std::fmt;

/// One step of the handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Status 0 written, and what was read until it was seen.
    Reset {
        /// How often the status was read.
        reads: u32,
        /// Whether it read 0 at last.
        complete: bool,
        /// Whether ISR was read then.
        isr: bool,
    },
    /// A status written.
    Status {
        /// The status.
        value: u8,
        /// What was read right before.
        read_before: Option<u8>,
    },
    /// The status read, for its own sake.
    StatusRead {
        /// The status.
        value: u8,
    },
    /// The offered features read.
    Offered {
        /// The features.
        features: u32,
    },
    /// The accepted features written.
    Accept {
        /// The features.
        features: u32,
    },
    /// The vector of configuration changes written.
    ConfigVector {
        /// The vector.
        vector: u16,
        /// What was read back.
        read_back: Option<u16>,
    },
    /// A virtqueue set up.
    Queue(QueueStep),
    /// A virtqueue only looked at.
    QueueLook {
        /// Which.
        index: u16,
        /// Its size, if read.
        size: Option<u16>,
    },
    /// A virtqueue taken down.
    Teardown {
        /// Which.
        index: u16,
    },
    /// Anything else.
    Other(String),
}

/// How a virtqueue was set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueStep {
    /// Which.
    pub index: u16,
    /// Its size, if read.
    pub size: Option<u16>,
    /// Whether it had a ring before, if read.
    pub active_before: Option<bool>,
    /// The vector written.
    pub vector: Option<u16>,
    /// The vector read back.
    pub read_back: Option<u16>,
    /// Whether the vector was written before the ring address.
    pub vector_first: bool,
    /// How often it was selected.
    pub selects: u32,
}

/// A step and where it is in the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Located {
    /// The step.
    pub step: Step,
    /// The line of its first access.
    pub line: usize,
    /// How many accesses it took.
    pub accesses: usize,
}

impl Step {
    /// What makes two steps the same one, done in maybe different ways.
    pub(crate) fn key(&self) -> (u8, u32) {
        match self {
            Step::Reset { .. } => (0, 0),
            Step::Status { value, .. } => (1, u32::from(*value)),
            Step::StatusRead { .. } => (2, 0),
            Step::Offered { .. } => (3, 0),
            Step::Accept { .. } => (4, 0),
            Step::ConfigVector { vector, .. } => (5, u32::from(*vector == NO_VECTOR)),
            Step::Queue(queue) => (6, u32::from(queue.index)),
            Step::QueueLook { index, .. } => (7, u32::from(*index)),
            Step::Teardown { index } => (8, u32::from(*index)),
            Step::Other(_) => (9, 0),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Reset {
                reads,
                complete,
                isr,
            } => {
                let end = if *complete {
                    "complete"
                } else {
                    "not seen complete"
                };
                write!(f, "reset, {end}, {reads} read")?;
                if *isr {
                    f.write_str(", ISR")?;
                }
                Ok(())
            }
            Step::Status { value, read_before } => {
                write!(f, "STATUS = {value:#04x}")?;
                match read_before {
                    Some(before) => write!(f, " (read {before:#04x} before)"),
                    None => Ok(()),
                }
            }
            Step::StatusRead { value } => write!(f, "STATUS? {value:#04x}"),
            Step::Offered { features } => write!(f, "HOST_FEATURES? {features:#010x}"),
            Step::Accept { features } => write!(f, "GUEST_FEATURES = {features:#010x}"),
            Step::ConfigVector { vector, read_back } => {
                write!(f, "CONFIG_VECTOR = ")?;
                vector_and_read_back(f, *vector, *read_back)
            }
            Step::Queue(queue) => {
                write!(f, "queue {}: ", queue.index)?;
                if let Some(size) = queue.size {
                    write!(f, "NUM? {size}, ")?;
                }
                if let Some(active) = queue.active_before {
                    write!(f, "PFN? {}, ", if active { "set" } else { "0" })?;
                }
                if let (Some(vector), true) = (queue.vector, queue.vector_first) {
                    f.write_str("VECTOR = ")?;
                    vector_and_read_back(f, vector, queue.read_back)?;
                    f.write_str(", ")?;
                }
                f.write_str("PFN = set")?;
                if let (Some(vector), false) = (queue.vector, queue.vector_first) {
                    f.write_str(", VECTOR = ")?;
                    vector_and_read_back(f, vector, queue.read_back)?;
                }
                write!(f, ", {} SEL", queue.selects)
            }
            Step::QueueLook { index, size } => {
                write!(f, "queue {index}: looked at")?;
                match size {
                    Some(size) => write!(f, ", NUM? {size}"),
                    None => Ok(()),
                }
            }
            Step::Teardown { index } => write!(f, "queue {index}: taken down"),
            Step::Other(text) => f.write_str(text),
        }
    }
}

fn vector_and_read_back(
    f: &mut fmt::Formatter<'_>,
    vector: u16,
    read_back: Option<u16>,
) -> fmt::Result {
    match vector {
        NO_VECTOR => f.write_str("none")?,
        vector => write!(f, "{vector}")?,
    }
    match read_back {
        None => f.write_str(" (not read back)"),
        Some(back) if back == vector => f.write_str(" ok"),
        Some(back) => write!(f, " refused ({back:#x} read back)"),
    }
}

/// Makes the steps of a phase; `selected` is the virtqueue that was selected before it.
///
/// Notifications and configuration accesses are left out, and so are reads of ISR, unless they
/// belong to a teardown or come right after a reset.
pub fn steps(accesses: &[Access], selected: Option<u16>) -> Vec<Located> {
    let mut builder = Builder {
        steps: Vec::new(),
        group: Vec::new(),
        index: selected.unwrap_or(0),
    };
    for access in accesses {
        builder.add(access);
    }
    builder.end_group();
    builder.steps
}

struct Builder<'a> {
    steps: Vec<Located>,
    /// The accesses to one virtqueue so far.
    group: Vec<&'a Access>,
    index: u16,
}

impl<'a> Builder<'a> {
    fn add(&mut self, access: &'a Access) {
        let wrong_width = access.register.width().is_some_and(|w| w != access.size);
        match access.register {
            Register::Config(_) | Register::QueueNotify => {}
            Register::Isr => self.isr(access),
            _ if wrong_width => self.push(Step::Other(access.to_string()), access),
            Register::QueueSel
            | Register::QueueNum
            | Register::QueuePfn
            | Register::QueueVector => self.queue(access),
            _ => {
                self.end_group();
                self.device(access);
            }
        }
    }

    fn push(&mut self, step: Step, access: &Access) {
        self.end_group();
        self.steps.push(Located {
            step,
            line: access.line,
            accesses: 1,
        });
    }

    fn last(&mut self) -> Option<&mut Located> {
        self.steps.last_mut()
    }

    /// Takes an access that is of the device, not of one virtqueue.
    fn device(&mut self, access: &Access) {
        let (value, write) = (access.value, access.write);
        let status = access.status();
        match access.register {
            Register::Status if access.is_reset() => self.push(
                Step::Reset {
                    reads: 0,
                    complete: false,
                    isr: false,
                },
                access,
            ),
            Register::Status if write => {
                if let Some(last) = self.last() {
                    if let Step::StatusRead { value: before } = last.step {
                        last.step = Step::Status {
                            value: status,
                            read_before: Some(before),
                        };
                        last.accesses += 1;
                        return;
                    }
                }
                let step = Step::Status {
                    value: status,
                    read_before: None,
                };
                self.push(step, access);
            }
            Register::Status => {
                if let Some(last) = self.last() {
                    if let Step::Reset {
                        reads,
                        complete: complete @ false,
                        ..
                    } = &mut last.step
                    {
                        *reads += 1;
                        *complete = value == 0;
                        last.accesses += 1;
                        return;
                    }
                }
                self.push(Step::StatusRead { value: status }, access);
            }
            Register::HostFeatures if !write => {
                let features = value as u32;
                self.push(Step::Offered { features }, access);
            }
            Register::GuestFeatures if write => {
                let features = value as u32;
                self.push(Step::Accept { features }, access);
            }
            Register::ConfigVector if write => self.push(
                Step::ConfigVector {
                    vector: value as u16,
                    read_back: None,
                },
                access,
            ),
            Register::ConfigVector => {
                if let Some(last) = self.last() {
                    if let Step::ConfigVector {
                        read_back: back @ None,
                        ..
                    } = &mut last.step
                    {
                        *back = Some(value as u16);
                        last.accesses += 1;
                        return;
                    }
                }
                self.push(Step::Other(access.to_string()), access);
            }
            _ => self.push(Step::Other(access.to_string()), access),
        }
    }

    /// Takes an access that is of one virtqueue.
    fn queue(&mut self, access: &'a Access) {
        let clears = access.writes(Register::QueuePfn) && access.value == 0
            || access.writes(Register::QueueVector) && access.value == u64::from(NO_VECTOR);
        if access.writes(Register::QueueSel) {
            let index = access.value as u16;
            if index != self.index || takes_down(&self.group) {
                self.end_group();
            }
            self.index = index;
        } else if clears && sets_up(&self.group) || takes_down(&self.group) {
            let selected = |a: &&&Access| a.writes(Register::QueueSel);
            let select = self.group.last().filter(selected).copied();
            self.group
                .truncate(self.group.len() - usize::from(select.is_some()));
            self.end_group();
            self.group.extend(select);
        }
        self.group.push(access);
    }

    fn isr(&mut self, access: &'a Access) {
        if self.group.iter().any(|a| a.writes(Register::QueueVector)) {
            self.group.push(access);
        } else if self.group.is_empty() {
            if let Some(last) = self.last() {
                if let Step::Reset {
                    isr: isr @ false, ..
                } = &mut last.step
                {
                    *isr = true;
                }
            }
        }
    }

    fn end_group(&mut self) {
        let group = std::mem::take(&mut self.group);
        let Some(first) = group.first() else {
            return;
        };
        let read = |register| {
            let found = group.iter().find(|a| a.reads(register));
            found.map(|a| a.value)
        };
        let written = |register| group.iter().position(|a| a.writes(register));
        let index = self.index;
        let vector = written(Register::QueueVector);
        let step = if sets_up(&group) {
            let pfn = written(Register::QueuePfn);
            Step::Queue(QueueStep {
                index,
                size: read(Register::QueueNum).map(|v| v as u16),
                active_before: read(Register::QueuePfn).map(|v| v != 0),
                vector: vector.map(|i| group[i].value as u16),
                read_back: read(Register::QueueVector).map(|v| v as u16),
                vector_first: vector.is_some() && vector < pfn,
                selects: group
                    .iter()
                    .filter(|a| a.writes(Register::QueueSel))
                    .count() as u32,
            })
        } else if vector.is_some() || written(Register::QueuePfn).is_some() {
            Step::Teardown { index }
        } else {
            let size = read(Register::QueueNum).map(|v| v as u16);
            Step::QueueLook { index, size }
        };
        self.steps.push(Located {
            step,
            line: first.line,
            accesses: group.len(),
        });
    }
}

fn sets_up(group: &[&Access]) -> bool {
    group
        .iter()
        .any(|a| a.writes(Register::QueuePfn) && a.value != 0)
}

fn takes_down(group: &[&Access]) -> bool {
    group
        .iter()
        .any(|a| a.writes(Register::QueuePfn) && a.value == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::{parse, Word};

    /// Makes steps of accesses like `STATUS=0` and `QUEUE_NUM?256`.
    fn of(text: &str) -> Vec<String> {
        let words = parse(text).unwrap().into_iter();
        let accesses = words.map(|word| match word {
            Word::Access(access) => access,
            other => panic!("{other:?} is no access"),
        });
        let accesses: Vec<Access> = accesses.collect();
        let steps = steps(&accesses, None);
        assert!(steps.iter().map(|s| s.accesses).sum::<usize>() <= accesses.len());
        steps.iter().map(|s| s.step.to_string()).collect()
    }

    #[test]
    fn a_reset_takes_reads_until_it_is_complete() {
        assert_eq!(
            of("STATUS=0 STATUS?7 STATUS?0"),
            ["reset, complete, 2 read"]
        );
        assert_eq!(
            of("STATUS=0 STATUS?7"),
            ["reset, not seen complete, 1 read"]
        );
        let expected = ["reset, complete, 1 read, ISR", "STATUS? 0x00"];
        assert_eq!(of("STATUS=0 STATUS?0 ISR?1 STATUS?0"), expected);
    }

    #[test]
    fn a_status_may_be_read_and_modified() {
        assert_eq!(
            of("STATUS?1 STATUS=3"),
            ["STATUS = 0x03 (read 0x01 before)"]
        );
        let expected = [
            "STATUS? 0x01",
            "GUEST_FEATURES = 0x00000000",
            "STATUS = 0x03",
        ];
        assert_eq!(of("STATUS?1 GUEST_FEATURES=0 STATUS=3"), expected);
    }

    #[test]
    fn queues_are_told_apart_and_set_up_in_any_order() {
        let vector_first = "QUEUE_SEL=0 QUEUE_NUM?8 QUEUE_VECTOR=1 QUEUE_VECTOR?1 QUEUE_PFN=5";
        assert_eq!(
            of(vector_first),
            ["queue 0: NUM? 8, VECTOR = 1 ok, PFN = set, 1 SEL"]
        );
        let refused = "QUEUE_SEL=1 QUEUE_PFN?0 QUEUE_PFN=5 QUEUE_VECTOR=1 QUEUE_VECTOR?65535";
        let expected = "queue 1: PFN? 0, PFN = set, VECTOR = 1 refused (0xffff read back), 1 SEL";
        assert_eq!(of(refused), [expected]);
        let two = "QUEUE_SEL=0 QUEUE_NUM?8 QUEUE_SEL=1 QUEUE_NUM?0";
        assert_eq!(
            of(two),
            ["queue 0: looked at, NUM? 8", "queue 1: looked at, NUM? 0"]
        );
    }

    #[test]
    fn a_queue_is_taken_down_and_set_up_again() {
        let text = "QUEUE_SEL=0 QUEUE_PFN=5 QUEUE_SEL=0 QUEUE_VECTOR=65535 QUEUE_VECTOR?65535 \
                    ISR?0 QUEUE_SEL=0 QUEUE_PFN=0 QUEUE_SEL=0 QUEUE_PFN=6";
        let set_up = "queue 0: PFN = set, 1 SEL";
        assert_eq!(of(text), [set_up, "queue 0: taken down", set_up]);
    }

    #[test]
    fn interrupts_do_not_matter() {
        assert_eq!(
            of("ISR?1 GUEST_FEATURES=0 ISR?1"),
            ["GUEST_FEATURES = 0x00000000"]
        );
    }
}
