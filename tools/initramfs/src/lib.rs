// SPDX-License-Identifier: GPL-2.0

//! The initramfs of a test VM: a cpio archive in the form that the kernel unpacks, "newc".

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use cpio::newc::{trailer, Builder, ModeFileType};

/// An archive that grows entry by entry.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    /// Two entries of one number would be one file.
    inode: u32,
}

impl Archive {
    /// Adds a directory, after those above it.
    ///
    /// # Errors
    ///
    /// See [`Archive::file`].
    pub fn directory(&mut self, name: &str) -> Result<()> {
        let entry = self.entry(name, 0o755, ModeFileType::Directory);
        self.add(name, entry, &[])
    }

    /// Adds `/dev/console`, without which the kernel gives its first process no output.
    ///
    /// # Errors
    ///
    /// See [`Archive::file`].
    pub fn console(&mut self) -> Result<()> {
        let name = "dev/console";
        let entry = self.entry(name, 0o600, ModeFileType::Char);
        self.add(name, entry.rdev_major(5).rdev_minor(1), &[])
    }

    /// Adds a file with this content, after the directories above it.
    ///
    /// # Errors
    ///
    /// The file is too big for an archive.
    pub fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        let entry = self.entry(name, mode, ModeFileType::Regular);
        self.add(name, entry, content)
    }

    /// Adds a file of the host.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is too big for an archive.
    pub fn copy(&mut self, name: &str, mode: u32, source: &Path) -> Result<()> {
        let content = fs::read(source);
        let content = content.with_context(|| format!("cannot read {}", source.display()))?;
        self.file(name, mode, &content)
    }

    /// Ends the archive.
    ///
    /// # Errors
    ///
    /// None is expected: it is written to memory.
    pub fn finish(self) -> Result<Vec<u8>> {
        Ok(trailer(self.bytes)?)
    }

    fn entry(&mut self, name: &str, mode: u32, kind: ModeFileType) -> Builder {
        self.inode += 1;
        let entry = Builder::new(name).ino(self.inode).nlink(1).mode(mode);
        entry.set_mode_file_type(kind)
    }

    fn add(&mut self, name: &str, entry: Builder, content: &[u8]) -> Result<()> {
        let size = u32::try_from(content.len()).with_context(|| format!("{name} is too big"))?;
        let mut writer = entry.write(&mut self.bytes, size);
        writer.write_all(content)?;
        writer.finish()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpio::newc::Reader;
    use std::io::Read;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.directory("dev").unwrap();
        archive.console().unwrap();
        archive.file("ab", 0o644, b"xyz").unwrap();
        archive.finish().unwrap()
    }

    #[test]
    fn an_entry_is_laid_out_as_newc() {
        let bytes = archive();
        let at = bytes
            .windows(3)
            .position(|window| window == b"ab\0")
            .unwrap();
        let entry = &bytes[at - 110..];
        assert!(entry.starts_with(b"07070100000003000081a4"));
        assert_eq!(&entry[54..62], b"00000003");
        assert_eq!(&entry[94..102], b"00000003");
        assert_eq!(&entry[110..120], b"ab\0\0\0\0xyz\0");
    }

    #[test]
    fn all_that_was_added_is_in_the_archive() {
        let bytes = archive();
        let mut rest = bytes.as_slice();
        let mut seen = Vec::new();
        loop {
            let mut reader = Reader::new(rest).unwrap();
            let entry = reader.entry();
            if entry.is_trailer() {
                break;
            }
            let told = (
                entry.name().to_owned(),
                entry.mode(),
                entry.rdev_major(),
                entry.rdev_minor(),
            );
            let mut content = String::new();
            reader.read_to_string(&mut content).unwrap();
            seen.push((told, content));
            rest = reader.finish().unwrap();
        }
        let entry = |name: &str, mode, major, minor, content: &str| {
            let told = (name.to_owned(), mode, major, minor);
            (told, content.to_owned())
        };
        assert_eq!(
            seen,
            [
                entry("dev", 0o040_755, 0, 0, ""),
                entry("dev/console", 0o020_600, 5, 1, ""),
                entry("ab", 0o100_644, 0, 0, "xyz"),
            ]
        );
    }
}
