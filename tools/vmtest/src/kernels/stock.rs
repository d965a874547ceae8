// SPDX-License-Identifier: GPL-2.0

//! Builds of the module for Debian's own kernels.
//!
//! Their symbols are known: one that the module takes and the kernel does not export is an error.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use machine::{Arch, Kernel, Options, Series};

use vm::module;
use vm::setup::Setup;

/// The series of which there are rows, the newest first.
const SERIES: [&str; 3] = ["next", "7.3", "7.2"];

/// The flavours of which there are rows.
const FLAVOURS: [(&str, Kernel, Arch); 5] = [
    ("amd64", Kernel::Stock, Arch::Amd64),
    ("cloud", Kernel::Cloud, Arch::Amd64),
    ("rt", Kernel::Rt, Arch::Amd64),
    ("arm64", Kernel::Stock, Arch::Arm64),
    ("arm64-16k", Kernel::Pages16k, Arch::Arm64),
];

/// A kernel of Debian's own.
pub(super) struct Stock {
    pub(super) name: String,
    pub(super) arch: Arch,
    series: Series,
    kernel: Kernel,
}

/// What came of one.
pub(super) enum Outcome {
    /// The module builds for the kernel of this release and version, without a warning.
    Builds(String),
    /// The mirror does not have it.
    Missing,
}

/// All of them.
pub(super) fn all() -> Result<Vec<Stock>> {
    let mut all = Vec::new();
    for series in SERIES {
        for (flavour, kernel, arch) in FLAVOURS {
            all.push(Stock {
                name: format!("stock-{series}-{flavour}"),
                arch,
                series: series.parse()?,
                kernel,
            });
        }
    }
    Ok(all)
}

impl Stock {
    /// Makes what its packages lack, and builds the module; logs go to a folder.
    ///
    /// # Errors
    ///
    /// A step that fails.
    pub(super) fn build(&self, setup: &Setup, logs: &Path) -> Result<Outcome> {
        let options = Options {
            kernel: self.kernel,
            series: self.series.clone(),
            arch: self.arch,
            kernel_source: None,
            kdir: None,
            ..Options::new(&setup.root)?
        };
        let tree = machine::ensure_stock_tree(&options, &|line| eprintln!("{line}"))?;
        let Some(tree) = tree else {
            return Ok(Outcome::Missing);
        };
        module::remove(&setup.root, &self.name)?;
        let built = module::build(&setup.root, logs, &self.name, &tree.kdir, &tree.make_env)?;
        let log = fs::read_to_string(&built.log).context("cannot read a log")?;
        let warning = log.lines().find(|line| line.contains("warning:"));
        ensure!(
            warning.is_none(),
            "{}, see {}",
            warning.unwrap_or_default(),
            built.log.display()
        );
        Ok(Outcome::Builds(format!(
            "{} ({})",
            tree.release, tree.version
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_has_every_flavour() {
        let all = all().unwrap();
        assert_eq!(all.len(), SERIES.len() * FLAVOURS.len());
        let names: std::collections::BTreeSet<_> = all.iter().map(|stock| &stock.name).collect();
        assert_eq!(names.len(), all.len());
    }
}
