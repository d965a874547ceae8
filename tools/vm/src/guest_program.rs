// SPDX-License-Identifier: GPL-2.0

//! Builds of programs that run in the guest, statically linked.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};

/// What the programs are built for; named, so that the flags are not those of build scripts too.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds a package of the workspace for the guest; gives the path of its program.
///
/// # Errors
///
/// A build that fails, with cargo's words on the terminal.
pub fn build(root: &Path, package: &str) -> Result<PathBuf> {
    let target = root.join("target/guest");
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--target", TARGET])
        .args(["--package", package, "--manifest-path"])
        .arg(root.join("tools/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "{package} does not build ({status})");
    Ok(target.join(TARGET).join("release").join(package))
}
