// SPDX-License-Identifier: GPL-2.0

//! The files that pm-graph's `sleepgraph` reads: the kernel log and ftrace, with heads of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The name of the machine in the files.
const HOST: &str = "vm";

/// What the heads of the files tell.
pub(super) struct Head<'a> {
    /// The sleep, as sleepgraph names it: `mem` or `disk`.
    pub(super) mode: &'a str,
    /// When it was, as `112626-201500`: month, day, year.
    pub(super) date: &'a str,
    /// The release of the kernel.
    pub(super) kernel: &'a str,
    /// How many processors the machine has.
    pub(super) cpus: u8,
}

impl Head<'_> {
    fn text(&self) -> String {
        let Self {
            mode,
            date,
            kernel,
            cpus,
        } = self;
        format!(
            "# suspend-{date} {HOST} {mode} {kernel}\n\
             # sysinfo | man:QEMU | plat:pc | cpu:{cpus} processors | numcpu:{cpus} | memsz:0 | memfr:0\n\
             # command | make trace-sleep\n"
        )
    }

    /// Writes both files, and gives their names.
    pub(super) fn write(&self, folder: &Path, log: &str, ftrace: &str) -> Result<[PathBuf; 2]> {
        let write = |what: &str, text: String| -> Result<PathBuf> {
            let path = folder.join(format!("{HOST}_{}_{what}.txt", self.mode));
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        };
        Ok([
            write("dmesg", format!("{}{log}", self.text()))?,
            write("ftrace", format!("{}{ftrace}", self.text()))?,
        ])
    }
}
