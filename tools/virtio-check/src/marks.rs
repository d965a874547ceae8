// SPDX-License-Identifier: GPL-2.0

//! What the accesses of one phase become in a picture: marks, states and spans.

use crate::access::{Access, Register, ACKNOWLEDGE, DRIVER, DRIVER_OK, FAILED, NO_VECTOR};
use crate::steps::{steps, Located, Step};
use crate::{Breach, DeviceState, Segment};

/// The device status as far as the driver has brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It was not written yet.
    Unknown,
    /// 0: the device is reset.
    Reset,
    /// The guest has seen the device.
    Acknowledged,
    /// The guest has a driver for it.
    Driver,
    /// The driver is ready.
    Live,
    /// The driver has given up.
    Failed,
}

impl Stage {
    /// All stages that a driver brings a device to, in the order of the handshake.
    pub const ALL: [Stage; 5] = [
        Stage::Reset,
        Stage::Acknowledged,
        Stage::Driver,
        Stage::Live,
        Stage::Failed,
    ];

    /// The stage that a device status stands for.
    pub fn of(status: Option<u8>) -> Stage {
        match status {
            None => Stage::Unknown,
            Some(status) if status & FAILED != 0 => Stage::Failed,
            Some(status) if status & DRIVER_OK != 0 => Stage::Live,
            Some(status) if status & DRIVER != 0 => Stage::Driver,
            Some(status) if status & ACKNOWLEDGE != 0 => Stage::Acknowledged,
            Some(_) => Stage::Reset,
        }
    }

    /// The name of its highest status bit.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Unknown => "not known",
            Stage::Reset => "reset",
            Stage::Acknowledged => "ACKNOWLEDGE",
            Stage::Driver => "DRIVER",
            Stage::Live => "DRIVER_OK",
            Stage::Failed => "FAILED",
        }
    }

    /// The name where there is no room for the whole one.
    pub fn short_name(self) -> &'static str {
        match self {
            Stage::Unknown => "?",
            Stage::Reset => "0",
            Stage::Acknowledged => "ACK",
            Stage::Driver => "DRV",
            Stage::Live => "OK",
            Stage::Failed => "FAIL",
        }
    }

    /// What it means, for the legend.
    pub fn meaning(self) -> &'static str {
        match self {
            Stage::Unknown => "no status was written yet",
            Stage::Reset => "0x00: the device has forgotten features, virtqueues and vectors",
            Stage::Acknowledged => "bit 0, 0x01: the guest has seen the device",
            Stage::Driver => "bit 1, 0x02: the guest has a driver for it",
            Stage::Live => "bit 2, 0x04: the driver is ready, the device may use its virtqueues",
            Stage::Failed => "bit 7, 0x80: the driver has given up",
        }
    }

    /// The CSS class.
    pub fn class(self) -> &'static str {
        match self {
            Stage::Unknown => "hs-unknown",
            Stage::Reset => "hs-reset",
            Stage::Acknowledged => "hs-ack",
            Stage::Driver => "hs-driver",
            Stage::Live => "hs-live",
            Stage::Failed => "hs-failed",
        }
    }
}

/// One access, or a run of accesses of one kind, in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The register's short name.
    pub label: &'static str,
    /// Its value, in a few characters.
    pub value: String,
    /// Whether it is a write.
    pub write: bool,
    /// How many accesses it stands for.
    pub count: u64,
    /// The device status after it.
    pub stage: Stage,
    /// Whether it brought the device to another stage.
    pub changes: bool,
    /// Register, width, value and phase.
    pub text: String,
    /// The rules that it breaks, each with its section of the specification.
    pub breaches: Vec<String>,
}

/// Marks that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first mark.
    pub from: usize,
    /// The last mark.
    pub to: usize,
    /// What they do.
    pub text: String,
    /// The same where there is no room.
    pub short: String,
    /// Whether it shows a virtqueue to the device.
    pub queue: bool,
}

/// The short name of a register.
pub fn label(register: Register) -> &'static str {
    match register {
        Register::HostFeatures => "HF",
        Register::GuestFeatures => "GF",
        Register::QueuePfn => "PFN",
        Register::QueueNum => "NUM",
        Register::QueueSel => "SEL",
        Register::QueueNotify => "NTFY",
        Register::Status => "ST",
        Register::Isr => "ISR",
        Register::ConfigVector => "CV",
        Register::QueueVector => "QV",
        Register::Config(_) => "cfg",
        Register::Inside(_) => "?",
    }
}

/// The registers of the legend with what they are.
pub const REGISTERS: [(&str, &str); 11] = [
    ("ST", "STATUS"),
    ("HF", "HOST_FEATURES"),
    ("GF", "GUEST_FEATURES"),
    ("SEL", "QUEUE_SEL"),
    ("NUM", "QUEUE_NUM"),
    ("PFN", "QUEUE_PFN"),
    ("QV", "QUEUE_VECTOR"),
    ("CV", "CONFIG_VECTOR"),
    ("ISR", "ISR"),
    ("NTFY", "QUEUE_NOTIFY"),
    ("cfg", "device configuration"),
];

/// The value in at most four characters.
fn value(access: &Access) -> String {
    let Access {
        register, value, ..
    } = *access;
    match register {
        Register::Status | Register::Isr => format!("{value:x}"),
        Register::ConfigVector | Register::QueueVector if value == u64::from(NO_VECTOR) => {
            "off".to_owned()
        }
        Register::QueueSel
        | Register::QueueNum
        | Register::QueueNotify
        | Register::ConfigVector
        | Register::QueueVector => value.to_string(),
        Register::QueuePfn if value == 0 => "0".to_owned(),
        Register::QueuePfn => "set".to_owned(),
        _ => String::new(),
    }
}

/// A number of accesses in at most five characters, which is what a box has room for.
fn times(count: u64) -> String {
    match count {
        0..1_000 => format!("×{count}"),
        1_000..10_000 => format!("×{}.{}k", count / 1_000, count / 100 % 10),
        10_000..1_000_000 => format!("×{}k", count / 1_000),
        1_000_000..10_000_000 => format!("×{}.{}M", count / 1_000_000, count / 100_000 % 10),
        10_000_000..1_000_000_000 => format!("×{}M", count / 1_000_000),
        _ => "×…".to_owned(),
    }
}

/// Whether a run of such accesses is one mark.
fn is_gathered(register: Register) -> bool {
    matches!(
        register,
        Register::Config(_) | Register::QueueNotify | Register::Isr
    )
}

fn describe(access: &Access, phase: &str, stage: Stage) -> String {
    let Access {
        register,
        write,
        size,
        value,
        line,
        ..
    } = access;
    let what = if *write { "written" } else { "read" };
    let bytes = if *size == 1 { "byte" } else { "bytes" };
    format!(
        "{register} {what}: {value:#x}, {size} {bytes}\nphase: {phase}; status then: {}\n\
         line {line} of the trace",
        stage.name()
    )
}

/// The marks of a segment, and its spans; `state` is the device's before it and then after it.
pub fn marks(
    segment: &Segment,
    phase: &str,
    breaches: &[&Breach],
    state: &mut DeviceState,
) -> (Vec<Mark>, Vec<Span>) {
    let located = steps(&segment.accesses, state.selected);
    let mut marks: Vec<Mark> = Vec::new();
    let mut place = Vec::new();
    let mut last: Option<&Access> = None;
    for access in &segment.accesses {
        let before = Stage::of(state.status);
        state.apply(access);
        let stage = Stage::of(state.status);
        let broken = breaches.iter().filter(|b| b.line == access.line);
        let broken: Vec<String> = broken
            .map(|b| format!("{} ({})", b.message, b.rule.section()))
            .collect();
        let same = |other: &Access| {
            other.write == access.write
                && is_gathered(access.register)
                && label(other.register) == label(access.register)
        };
        match marks.last_mut() {
            Some(mark) if last.is_some_and(same) && broken == mark.breaches => {
                mark.count += access.times;
                mark.value = times(mark.count);
            }
            _ => marks.push(Mark {
                label: label(access.register),
                value: match access.times {
                    1 => value(access),
                    count => times(count),
                },
                write: access.write,
                count: access.times,
                stage,
                changes: stage != before,
                text: describe(access, phase, stage),
                breaches: broken,
            }),
        }
        place.push(marks.len() - 1);
        last = Some(access);
    }
    let spans = located
        .iter()
        .filter_map(|step| span(step, &segment.accesses, &place))
        .collect();
    (marks, spans)
}

/// Where the accesses of a step are, if it is one that is named in the picture.
fn span(located: &Located, accesses: &[Access], place: &[usize]) -> Option<Span> {
    let (text, short, queue) = match &located.step {
        Step::Reset { .. } => ("reset".to_owned(), "reset".to_owned(), false),
        Step::Accept { .. } => ("features".to_owned(), "feat".to_owned(), false),
        Step::Queue(queue) => (
            format!("virtqueue {} set up", queue.index),
            format!("vq {}", queue.index),
            true,
        ),
        Step::Teardown { index } => (
            format!("virtqueue {index} taken down"),
            format!("vq {index} down"),
            false,
        ),
        _ => return None,
    };
    let first = accesses.iter().position(|a| a.line == located.line)?;
    let last = (first + located.accesses).min(accesses.len()) - 1;
    Some(Span {
        from: *place.get(first)?,
        to: *place.get(last)?,
        text,
        short,
        queue,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_wider_than_a_box() {
        let shown = [
            1,
            999,
            1_000,
            12_345,
            112_185,
            999_999,
            1_000_000,
            123_456_789,
            u64::MAX,
        ];
        let shown = shown.map(times);
        let expected = [
            "×1", "×999", "×1.0k", "×12k", "×112k", "×999k", "×1.0M", "×123M", "×…",
        ];
        assert_eq!(shown, expected);
        assert!(shown.iter().all(|text| text.chars().count() <= 5));
    }
}
