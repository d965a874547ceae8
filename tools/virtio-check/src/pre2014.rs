// SPDX-License-Identifier: GPL-2.0

//! The order in which the C driver restored devices before it was mended in 2014.

use crate::access::{Access, Register};
use crate::phase::Phase;
use crate::run::Run;

/// Puts each restore of a run into that order: after the reset, features and virtqueues, and
/// only then ACKNOWLEDGE, DRIVER and DRIVER_OK.
pub fn pre_2014(run: &Run) -> Run {
    let mut run = run.clone();
    for device in &mut run.devices {
        for segment in &mut device.segments {
            if segment.phase == Phase::Restore {
                segment.accesses = reorder(&segment.accesses);
            }
        }
    }
    run
}

fn reorder(accesses: &[Access]) -> Vec<Access> {
    let is_status = |a: &Access| a.register == Register::Status;
    let sets_status = |a: &Access| a.writes(Register::Status) && a.value != 0;
    let first = accesses.iter().position(sets_status);
    let (reset, handshake) = accesses.split_at(first.unwrap_or(accesses.len()));
    let last = handshake.iter().rposition(sets_status);
    let (handshake, after) = handshake.split_at(last.map_or(0, |at| at + 1));
    let others = handshake.iter().filter(|a| !is_status(a));
    let statuses = handshake.iter().filter(|a| sets_status(a));
    reset
        .iter()
        .chain(others)
        .chain(statuses)
        .chain(after)
        .cloned()
        .collect()
}
