// SPDX-License-Identifier: GPL-2.0

//! Cuts what a driver does into parts that begin with a reset, and names them by what happens.

use crate::access::{Access, Register, ACKNOWLEDGE, DRIVER, DRIVER_OK, FAILED};
use crate::phase::Phase;
use serde::Serialize;

/// How many parts are shown; more are counted.
const SHOWN: usize = 100;

/// What a driver did from one reset to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The phase that the trace marks.
    pub phase: Phase,
    /// The line of its first access.
    pub line: usize,
    /// How many accesses it has.
    pub accesses: u64,
    /// How many breaches are in it.
    pub breaches: u64,
    /// The status bits that were set in it.
    pub status: u8,
    /// Whether it begins with a reset.
    pub reset: bool,
    /// Whether features, virtqueues or the device configuration were accessed in it.
    pub used: bool,
}

impl Part {
    fn new(access: &Access, phase: Phase) -> Self {
        Self {
            phase,
            line: access.line,
            accesses: 0,
            breaches: 0,
            status: 0,
            reset: access.is_reset(),
            used: false,
        }
    }

    fn push(&mut self, access: &Access) {
        self.accesses += access.times;
        if access.writes(Register::Status) {
            self.status |= access.status();
        }
        self.used |= !matches!(access.register, Register::Status | Register::Isr);
    }

    /// What accesses are in this part of a trace.
    pub fn of(accesses: &[Access], phase: Phase) -> Option<Self> {
        let mut part = Self::new(accesses.first()?, phase);
        accesses.iter().for_each(|access| part.push(access));
        Some(part)
    }

    /// What happens in it.
    pub fn title(&self) -> &'static str {
        match (self.reset, self.status) {
            (_, status) if status & (FAILED | DRIVER_OK) == FAILED => "driver gives up",
            (_, status) if status & FAILED != 0 => "set live, given up",
            (true, status) if status & DRIVER_OK != 0 => "set up and live",
            (false, status) if status & DRIVER_OK != 0 => "set up and live, without a reset",
            (_, status) if status & DRIVER != 0 => "begun, not set live",
            (_, status) if status & ACKNOWLEDGE != 0 => "acknowledged only",
            (true, _) if self.used => "reset and looked at",
            (true, _) => "reset only",
            (false, _) => "before any reset",
        }
    }
}

/// Gathers parts.
#[derive(Default)]
pub(crate) struct Parts {
    parts: Vec<Part>,
    more: u64,
    marked: bool,
}

impl Parts {
    /// The next access begins a part.
    pub(crate) fn mark(&mut self) {
        self.marked = true;
    }

    /// The place of the part that an access with these breaches is in.
    pub(crate) fn push(&mut self, access: &Access, phase: Phase, breaches: u64) -> usize {
        let marked = std::mem::take(&mut self.marked);
        if access.is_reset() || marked || self.parts.is_empty() {
            if self.parts.len() < SHOWN {
                self.parts.push(Part::new(access, phase));
            } else {
                self.more += 1;
            }
        }
        if let Some(part) = self.parts.last_mut().filter(|_| self.more == 0) {
            part.push(access);
            part.breaches += breaches;
        }
        self.parts.len() - 1
    }

    /// The parts, and how many there were beyond those.
    pub(crate) fn finish(self) -> (Vec<Part>, u64) {
        (self.parts, self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::{parse, Word};

    fn titles(text: &str) -> Vec<&'static str> {
        let mut parts = Parts::default();
        for word in parse(text).unwrap() {
            match word {
                Word::Access(access) => {
                    parts.push(&access, Phase::Between, 0);
                }
                _ => parts.mark(),
            }
        }
        parts.finish().0.iter().map(Part::title).collect()
    }

    #[test]
    fn parts_begin_with_resets_and_tell_what_happens() {
        let cases = [
            ("STATUS?0", "before any reset"),
            ("STATUS=0 STATUS?0", "reset only"),
            ("STATUS=0 HOST_FEATURES?0", "reset and looked at"),
            ("STATUS=0 STATUS=1", "acknowledged only"),
            ("STATUS=0 STATUS=1 STATUS=3", "begun, not set live"),
            ("STATUS=0 STATUS=1 STATUS=3 STATUS=7", "set up and live"),
            ("STATUS=3 STATUS=7", "set up and live, without a reset"),
            ("STATUS=0 STATUS=3 STATUS=0x83", "driver gives up"),
            ("STATUS=0 STATUS=7 STATUS=0x87", "set live, given up"),
        ];
        for (text, title) in cases {
            assert_eq!(titles(text), [title], "{text}");
        }
        let all = cases.map(|(text, _)| text).join(" [restore] ");
        assert_eq!(titles(&all), cases.map(|(_, title)| title));
    }

    #[test]
    fn a_storm_of_resets_is_counted() {
        let storm = "STATUS=0 ".repeat(SHOWN + 7);
        let mut parts = Parts::default();
        for word in parse(&storm).unwrap() {
            if let Word::Access(access) = word {
                parts.push(&access, Phase::Between, 0);
            }
        }
        let (parts, more) = parts.finish();
        assert_eq!((parts.len(), more), (SHOWN, 7));
    }
}
