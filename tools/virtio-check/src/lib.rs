// SPDX-License-Identifier: GPL-2.0

//! Checks and compares the register accesses of legacy virtio-pci drivers, as traced by QEMU
//! (`memory_region_ops_read`, `memory_region_ops_write`, with `ioeventfd=off`).
//!
//! [`Run::load`] reads a trace and splits it into phases, [`check`] checks it against the
//! specification, [`compare`] compares the C driver's run with the Rust driver's.

pub mod access;
mod align;
mod checker;
mod compare;
mod config;
pub mod cost;
mod decode;
pub mod intended;
mod judge;
mod lane;
pub mod marks;
pub mod notation;
mod observe;
mod outcome;
pub mod output;
mod parts;
mod phase;
pub mod picture;
pub mod pictures;
mod places;
mod pre2014;
mod print;
mod read;
pub mod readme;
mod reduce;
pub mod rules;
mod run;
mod sleep;
mod state;
pub mod steps;

pub use checker::{check, Breach, Checker};
pub use compare::{compare, Cost, DeviceReport, Difference, PhaseReport, Report, Row};
pub use intended::{Intended, INTENDED};
pub use judge::{Finding, Judge, Verdict};
pub use lane::Lane;
pub use observe::{Observations, Observed};
pub use outcome::{Judged, Measure, Outcome, Waiver, Waivers};
pub use parts::Part;
pub use phase::{Phase, MARK_PORT};
pub use pre2014::pre_2014;
pub use reduce::reduce;
pub use rules::{Known, Level, Rule, Version, KNOWN, RULES};
pub use run::{DeviceInfo, DeviceTrace, Run, Segment};
pub use state::{DeviceState, QueueState};
