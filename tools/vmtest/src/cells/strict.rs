// SPDX-License-Identifier: GPL-2.0

//! What strict devices have seen.

use std::fmt::Write;

use vm::failure::{Failure, Outcome};
use vm::Vm;

/// The driver has broken no rule since the last look.
pub(crate) fn check_breaches(vm: &Vm) -> Outcome {
    let mut text = String::new();
    for device in vm.scripted() {
        for breach in device.take_breaches() {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{breach}");
        }
    }
    if text.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "the driver breaks the specification:\n{text}"
    )))
}
