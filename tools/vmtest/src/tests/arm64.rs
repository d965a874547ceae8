// SPDX-License-Identifier: GPL-2.0

//! The main job on arm64, in its shortest form.

use std::time::Duration;

use machine::Arch;

use crate::cells::main_job;
use crate::cells::sleep;
use vm::layout::Kind;
use vm::runner::Test;

/// The test.
pub(crate) fn all() -> Vec<Test> {
    vec![Test::new(
        "arm64",
        "every device on arm64, I/O, one of each deep sleep",
        main_job::layout(Arch::Arm64),
        main_job::cells(Kind::TESTED, sleep::shortest()),
    )
    .in_check()
    .limit(Duration::from_secs(900))]
}
