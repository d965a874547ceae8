// SPDX-License-Identifier: GPL-2.0

//! Results in the forms that other tools read: JUnit XML and KCIDB.

mod junit;
mod kcidb;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use machine::Arch;

use crate::driver::Driver;
use crate::ktap::{Count, Ktap, Record};

/// The files that are wanted.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Outputs {
    /// Write the results as JUnit XML, too.
    #[arg(long, value_name = "FILE", global = true)]
    junit: Option<PathBuf>,
    /// Write the results as a KCIDB report of version 5.3, too.
    #[arg(long, value_name = "FILE", global = true)]
    kcidb: Option<PathBuf>,
    /// The origin in the KCIDB report: the name of a CI system in a-z, 0-9 and _.
    #[arg(
        long,
        value_name = "NAME",
        default_value = kcidb::ORIGIN,
        value_parser = kcidb::origin,
        global = true
    )]
    origin: String,
}

impl Outputs {
    /// The same, whatever folder is the current one later. The files of a run before this one go: a
    /// run that ends early leaves none.
    pub fn begin(mut self) -> Result<Self> {
        for file in [&mut self.junit, &mut self.kcidb].into_iter().flatten() {
            *file = std::path::absolute(&file)
                .with_context(|| format!("cannot use {}", file.display()))?;
            match fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot write {}", file.display()));
                }
                _ => {}
            }
        }
        Ok(self)
    }

    /// Whether there is a file to write.
    pub fn is_wanted(&self) -> bool {
        self.junit.is_some() || self.kcidb.is_some()
    }

    /// Ends the KTAP output and writes the files; gives the counts.
    pub fn finish<W: Write>(&self, about: &About, ktap: Ktap<W>) -> Result<Count> {
        let (count, records) = ktap.finish()?;
        self.write(about, &records)?;
        Ok(count)
    }

    fn write(&self, about: &About, records: &[Record]) -> Result<()> {
        if let Some(file) = &self.junit {
            write(file, &junit::report(about, records)?)?;
        }
        if let Some(file) = &self.kcidb {
            write(file, &kcidb::report(about, records, &self.origin)?)?;
        }
        Ok(())
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// What the results are of.
#[derive(Clone, Debug)]
pub struct About {
    /// What `uname -r` says.
    kernel: String,
    /// The commit of the kernel's source and its name, where they are known.
    commit: Option<(String, String)>,
    /// What `uname -m` says.
    machine: &'static str,
    /// `c` or `rust`.
    driver: String,
    qemu: String,
    accel: String,
    /// The commit of this repository.
    revision: String,
}

impl About {
    /// What a run on this kernel and driver is of; `source` is the kernel's, where it is known.
    pub fn new(
        environment: results::Environment,
        driver: Driver,
        arch: Arch,
        source: Option<&Path>,
    ) -> Self {
        Self {
            kernel: environment.kernel,
            commit: source.and_then(commit),
            machine: match arch {
                Arch::Amd64 => "x86_64",
                Arch::Arm64 => "aarch64",
            },
            driver: driver.to_string(),
            qemu: environment.qemu,
            accel: environment.accel,
            revision: environment.revision,
        }
    }

    /// Names and values that say what the results are of.
    fn properties(&self) -> [(&'static str, &str); 5] {
        [
            ("kernel", &self.kernel),
            ("driver", &self.driver),
            ("qemu", &self.qemu),
            ("accel", &self.accel),
            ("virtio_pci_rs", &self.revision),
        ]
    }
}

/// The commit of a source that is a Git tree, and what `git describe` calls it.
fn commit(source: &Path) -> Option<(String, String)> {
    if !source.join(".git").exists() {
        return None;
    }
    let said = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        let output = git.arg("-C").arg(source).args(arguments).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    Some((
        said(&["rev-parse", "HEAD"])?,
        said(&["describe", "--always", "--dirty"])?,
    ))
}

#[cfg(test)]
fn example() -> About {
    About {
        kernel: "6.1.0-50-amd64".to_owned(),
        machine: "x86_64",
        commit: Some((
            "0123456789abcdef0123456789abcdef01234567".to_owned(),
            "v6.1".to_owned(),
        )),
        driver: "c".to_owned(),
        qemu: "7.2.22".to_owned(),
        accel: "tcg".to_owned(),
        revision: "8eca814".to_owned(),
    }
}
