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
pub mod marks;
mod observe;
mod parse;
mod phase;
pub mod picture;
pub mod pictures;
mod pre2014;
mod print;
pub mod readme;
mod reduce;
mod rules;
mod run;
mod sleep;
mod state;
pub mod steps;

pub use checker::{check, Breach, Checker};
pub use compare::{compare, Cost, DeviceReport, Difference, PhaseReport, Report, Row};
pub use intended::{Intended, INTENDED};
pub use observe::{Observations, Observed};
pub use phase::{Phase, MARK_PORT};
pub use pre2014::pre_2014;
pub use reduce::reduce;
pub use rules::{Known, Rule, KNOWN, RULES};
pub use run::{DeviceInfo, DeviceTrace, Run, Segment};
pub use state::{DeviceState, QueueState};
