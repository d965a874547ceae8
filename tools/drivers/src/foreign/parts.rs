// SPDX-License-Identifier: GPL-2.0

//! The accesses to one device, cut where another driver takes it over.
//!
//! A guest that is not ours tells nothing: whether firmware, a boot loader or a kernel drives a
//! device shows only in that each of them begins with a reset. A part begins with the reset of a
//! device that had a driver, and has a driver itself; what is only reset at the end stays with the
//! part before.

use virtio_check::access::{DRIVER, DRIVER_OK};

/// Where the status is in the BAR.
const STATUS: u64 = 18;
/// No part has more accesses than are needed for its verdict.
const ENOUGH: usize = 100_000;

/// The registers of an access, as far as they cut the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Touch {
    /// The offset in the BAR.
    pub(super) offset: u64,
    /// Whether it is a write.
    pub(super) write: bool,
    /// The value.
    pub(super) value: u64,
}

/// What one driver did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// The lines of the trace.
    pub(super) text: String,
    /// How many accesses there were.
    pub(super) accesses: usize,
    /// How many lines are kept.
    kept: usize,
    /// The status bits that were set.
    pub(super) status: u8,
}

impl Part {
    /// Whether the device was set live.
    pub(super) fn is_live(&self) -> bool {
        self.status & DRIVER_OK != 0
    }
}

/// The parts of one device.
#[derive(Debug, Default)]
pub(super) struct Parts {
    parts: Vec<Part>,
    /// The last lines that were kept, which polls repeat.
    last: [String; 2],
}

impl Parts {
    /// Takes the next access, with its line of the trace.
    pub(super) fn push(&mut self, touch: Touch, line: &str) {
        let status = touch.write && touch.offset == STATUS;
        let taken_over = |part: &Part| status && touch.value == 0 && part.status & DRIVER != 0;
        if self.parts.last().is_none_or(taken_over) {
            self.parts.push(Part::default());
        }
        let Some(part) = self.parts.last_mut() else {
            return;
        };
        part.accesses += 1;
        if status {
            part.status |= touch.value as u8;
        }
        let again = !status && self.last.iter().any(|last| last == line);
        if again || part.kept == ENOUGH {
            return;
        }
        part.kept += 1;
        part.text.push_str(line);
        part.text.push('\n');
        self.last.swap(0, 1);
        line.clone_into(&mut self.last[1]);
    }

    /// The parts; those without a driver are put behind the one before.
    pub(super) fn finish(self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for part in self.parts {
            match parts.last_mut() {
                Some(last) if part.status & DRIVER == 0 => {
                    last.text.push_str(&part.text);
                    last.accesses += part.accesses;
                }
                _ => parts.push(part),
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `w12=0` is a write of the status, `r13=1` a read of ISR.
    fn parts(text: &str) -> Vec<Part> {
        let mut parts = Parts::default();
        for word in text.split_whitespace() {
            let (kind, rest) = word.split_at(1);
            let (offset, value) = rest.split_once('=').unwrap();
            let touch = Touch {
                offset: u64::from_str_radix(offset, 16).unwrap(),
                write: kind == "w",
                value: value.parse().unwrap(),
            };
            parts.push(touch, word);
        }
        parts.finish()
    }

    fn texts(text: &str) -> Vec<String> {
        let parts = parts(text).into_iter();
        parts.map(|part| part.text.replace('\n', " ")).collect()
    }

    #[test]
    fn each_driver_has_a_part() {
        let firmware = "w12=0 r13=0 w12=3 w12=7 w10=0 ";
        let kernel = "w12=0 r12=0 w12=1 w12=3 w12=7 w10=1 ";
        let all = format!("{firmware}{kernel}w12=0 r12=0");
        assert_eq!(texts(&all), [firmware, &format!("{kernel}w12=0 r12=0 ")]);
        assert!(parts(&all).iter().all(Part::is_live));
    }

    #[test]
    fn a_reset_before_any_driver_cuts_nothing() {
        let looks = "w12=1 w12=0 r12=0 w12=2 w12=6 ";
        assert_eq!(texts(looks), [looks]);
    }

    #[test]
    fn polls_are_counted_but_not_kept() {
        let all = format!("w12=3 {}", "r13=0 w10=0 ".repeat(1000));
        assert_eq!(texts(&all), ["w12=3 r13=0 w10=0 "]);
        assert_eq!(parts(&all)[0].accesses, 2001);
        assert_eq!(texts("w12=3 w12=3"), ["w12=3 w12=3 "]);
    }
}
