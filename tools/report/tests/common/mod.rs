// SPDX-License-Identifier: GPL-2.0

//! The recorded results.

#![allow(dead_code)]

use report::facts::{self, Facts};
use std::path::PathBuf;

/// Where the recorded results are.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/results")
}

/// Where some weak points and a record of the C driver are.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/repository")
}

/// What is in them.
pub(crate) fn facts() -> Facts {
    facts::gather(&repository(), &folder()).unwrap()
}

/// A folder of this process that is not there yet.
pub(crate) fn fresh(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("report-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}
