// SPDX-License-Identifier: GPL-2.0

//! A line an access, as `virtio-check trace` reads it.

use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use virtio_check::access::Access;

use crate::oracle::Circumstances;

/// The file.
pub(crate) struct Log(LineWriter<File>);

impl Log {
    /// Begins a file.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(LineWriter::new(file)))
    }

    /// Notes an access; a disk that is full ends the log, not the device.
    pub(crate) fn access(
        &mut self,
        device: &str,
        access: &Access,
        offset: u64,
        now: &Circumstances,
    ) {
        let mode = if now.msix { "msix" } else { "intx" };
        let kind = if access.write { "write" } else { "read" };
        let (size, value) = (access.size, access.value);
        let _ = writeln!(
            self.0,
            "scripted {device}: {} {mode} {kind} {offset:#x} size {size} value {value:#x}",
            now.phase
        );
    }
}
