// SPDX-License-Identifier: GPL-2.0

//! The main job on arm64, in its shortest form.

use std::time::Duration;

use machine::Arch;

use super::sleep;
use crate::layout::Kind;
use crate::main_job;
use crate::runner::Test;
use crate::vm::BOOT;

/// The test.
pub(crate) fn all() -> Vec<Test> {
    vec![Test {
        name: "arm64".to_owned(),
        about: "every device on arm64, I/O, one of each deep sleep".to_owned(),
        layout: main_job::layout(Arch::Arm64),
        boot: BOOT,
        limit: Duration::from_secs(900),
        cells: main_job::cells(Kind::TESTED, sleep::shortest()),
    }]
}
