// SPDX-License-Identifier: GPL-2.0

//! A kernel for one processor.

use machine::Variant;

use crate::cells::main_job;
use vm::layout::Interrupts;
use vm::runner::Test;

/// The main job on it.
pub(crate) fn all() -> Vec<Test> {
    vec![
        main_job::on_kernel("no-smp-msix", Variant::NoSmp, Interrupts::PerQueue, 1),
        main_job::on_kernel("no-smp-intx", Variant::NoSmp, Interrupts::Intx, 1),
    ]
}
