// SPDX-License-Identifier: GPL-2.0

//! How many accesses a phase takes, beside what the design allows.

use crate::access::{Access, Register};
use crate::phase::Phase;
use crate::steps::{Located, Step};
use serde::Serialize;

/// The accesses of one phase of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The handshake: all but the other three.
    pub handshake: usize,
    /// The device configuration.
    pub config: usize,
    /// Notifications.
    pub notify: usize,
    /// Reads of ISR that are not part of a teardown.
    pub isr: usize,
}

impl Count {
    /// Counts the accesses of a phase that has these steps.
    pub fn of(accesses: &[Access], steps: &[Located]) -> Count {
        let of = |register| accesses.iter().filter(|a| a.register == register).count();
        let handshake: usize = steps.iter().map(|s| s.accesses).sum();
        let config = accesses.iter().filter(|a| a.is_config()).count();
        let notify = of(Register::QueueNotify);
        Count {
            handshake,
            config,
            notify,
            isr: accesses.len() - handshake - config - notify,
        }
    }
}

/// The figures of the design for a phase: `a + b·N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Formula {
    base: usize,
    each: usize,
}

impl Formula {
    /// The count for this many virtqueues.
    pub fn count(self, queues: usize) -> usize {
        self.base + self.each * queues
    }
}

/// The design's columns for a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Design {
    /// The C driver of Linux 7.3.4.
    pub c: Formula,
    /// What the Rust driver must reach.
    pub reach: Formula,
    /// The floor of the interface, given for MSI-X.
    pub floor: Formula,
}

/// The design's table; none for phases that are not counted.
pub fn design(phase: Phase, msix: bool) -> Option<Design> {
    let row = |c: (usize, usize), reach: (usize, usize), floor: (usize, usize)| {
        let formula = |(base, each)| Formula { base, each };
        Some(Design {
            c: formula(c),
            reach: formula(reach),
            floor: formula(floor),
        })
    };
    match (phase, msix) {
        (Phase::Probe, true) => row((13, 9), (13, 6), (9, 5)),
        (Phase::Probe, false) => row((11, 6), (11, 4), (9, 5)),
        (Phase::Freeze, true) => row((5, 6), (3, 0), (2, 0)),
        (Phase::Freeze, false) => row((3, 2), (3, 0), (2, 0)),
        (Phase::Restore, true) => row((12, 9), (13, 6), (8, 5)),
        (Phase::Restore, false) => row((10, 6), (11, 4), (8, 5)),
        (Phase::Remove, true) => row((7, 6), (5, 0), (2, 0)),
        (Phase::Remove, false) => row((5, 2), (5, 0), (2, 0)),
        _ => None,
    }
}

/// Feature writes beyond the first, which the virtio core does when a driver changes its mind.
pub(crate) fn repeated_accepts(steps: &[Located]) -> usize {
    let accepts = steps
        .iter()
        .filter(|s| matches!(s.step, Step::Accept { .. }));
    accepts.count().saturating_sub(1)
}
