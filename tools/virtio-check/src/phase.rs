// SPDX-License-Identifier: GPL-2.0

//! The phases of a test, and the marks that begin them in the trace.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The I/O port whose monitor writes are the marks (`o /b 0x80 N`).
pub const MARK_PORT: u64 = 0x80;

/// What the guest does between two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Phase {
    /// The transport module is inserted, or the device bound or plugged in.
    Probe = 1,
    /// Input and output.
    Io = 2,
    /// Going to sleep; a restore that follows without a mark is split off.
    Freeze = 3,
    /// Waking up.
    Restore = 4,
    /// The transport module is removed, or the device unbound or unplugged.
    Remove = 5,
    /// Between phases: sysfs is read and the like; checked, not compared.
    Between = 6,
    /// Accesses by others than the driver, firmware for one: left out.
    Ignore = 7,
    /// A new QEMU process, put in by [`crate::Run::join`]; needs no mark.
    PowerOn = 8,
}

impl Phase {
    /// All phases, in the order of their marks.
    pub const ALL: [Phase; 8] = [
        Phase::Probe,
        Phase::Io,
        Phase::Freeze,
        Phase::Restore,
        Phase::Remove,
        Phase::Between,
        Phase::Ignore,
        Phase::PowerOn,
    ];

    /// The byte that is written to [`MARK_PORT`] when the phase begins.
    pub fn mark(self) -> u8 {
        self as u8
    }

    /// The phase that a mark begins.
    pub fn from_mark(mark: u64) -> Option<Phase> {
        Phase::ALL.into_iter().find(|p| u64::from(p.mark()) == mark)
    }

    /// Whether the handshake in this phase is compared and counted.
    pub fn is_compared(self) -> bool {
        matches!(
            self,
            Phase::Probe | Phase::Freeze | Phase::Restore | Phase::Remove
        )
    }

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Probe => "probe",
            Phase::Io => "io",
            Phase::Freeze => "freeze",
            Phase::Restore => "restore",
            Phase::Remove => "remove",
            Phase::Between => "between",
            Phase::Ignore => "ignore",
            Phase::PowerOn => "power-on",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_name_their_phase() {
        for phase in Phase::ALL {
            assert_eq!(Phase::from_mark(phase.mark().into()), Some(phase));
        }
        assert_eq!(Phase::from_mark(0), None);
    }
}
