// SPDX-License-Identifier: GPL-2.0

//! A kernel without message-signalled interrupts: every device has INTx.

use machine::Variant;

use crate::cells::main_job;
use vm::layout::Interrupts;
use vm::runner::Test;

/// The main job on it.
pub(crate) fn all() -> Vec<Test> {
    vec![main_job::on_kernel(
        "no-msi",
        Variant::NoMsi,
        Interrupts::PerQueue,
        2,
    )]
}
