// SPDX-License-Identifier: GPL-2.0

//! Judges the register accesses of legacy virtio-pci drivers against the specification.
//!
//! [`Lane::read`] judges a trace of any driver as it is read, [`Measure`] says what counts, and
//! [`output`] puts it into words. [`Run::load`] keeps a trace, split into phases: [`compare`] puts
//! the C driver's run beside the Rust driver's, and [`pictures`] draws them.

pub mod access;
mod align;
mod checker;
mod compare;
mod config;
pub mod cost;
mod cut;
mod decode;
pub mod ground;
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
mod reduce;
pub mod rules;
mod run;
mod sleep;
mod state;
pub mod steps;

pub use checker::{check, Breach, Checker};
pub use compare::{compare, Cost, DeviceReport, Difference, PhaseReport, Report, Row};
pub use cut::cut;
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
