// SPDX-License-Identifier: GPL-2.0

//! The initramfs: a cpio archive in the kernel's "newc" form.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::setup::{Driver, Setup};

const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive that grows entry by entry.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        self.inode += 1;
        let size = u32::try_from(content.len()).with_context(|| format!("{name} is too big"))?;
        let name_size = u32::try_from(name.len() + 1)?;
        let fields = [
            self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    fn directory(&mut self, name: &str) -> Result<()> {
        self.entry(name, DIRECTORY | 0o755, (0, 0), &[])
    }

    fn file(&mut self, name: &str, mode: u32, source: &Path) -> Result<()> {
        let content =
            fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        self.entry(name, FILE | mode, (0, 0), &content)
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        Ok(self.bytes)
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Adds modules in the order in which they are loaded, for a driver or for all.
fn add_modules(archive: &mut Archive, name: &str, modules: &[std::path::PathBuf]) -> Result<()> {
    archive.directory(&format!("modules/{name}"))?;
    let mut order = String::new();
    for module in modules {
        let file = module
            .file_name()
            .and_then(|file| file.to_str())
            .with_context(|| format!("{} has no file name", module.display()))?;
        archive.file(&format!("modules/{name}/{file}"), 0o644, module)?;
        order.push_str(file);
        order.push('\n');
    }
    archive.entry(
        &format!("modules/{name}/order"),
        FILE | 0o644,
        (0, 0),
        order.as_bytes(),
    )
}

/// Builds the initramfs of the test VM.
pub(crate) fn build(setup: &Setup) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "guest", "modules"] {
        archive.directory(directory)?;
    }
    archive.entry("dev/console", CHARACTER_DEVICE | 0o600, (5, 1), &[])?;
    archive.file("bin/busybox", 0o755, &setup.machine.busybox)?;
    for program in &setup.programs {
        let name = program
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        archive.file(&format!("bin/{}", name.unwrap_or_default()), 0o755, program)?;
    }
    let guest = setup.root.join("tests/guest");
    archive.file("init", 0o755, &guest.join("init"))?;
    let mut parts: Vec<_> = fs::read_dir(&guest)
        .with_context(|| format!("cannot list {}", guest.display()))?
        .collect::<std::io::Result<Vec<_>>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .collect();
    parts.sort();
    for part in parts {
        let name = part
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        archive.file(&format!("guest/{}", name.unwrap_or_default()), 0o644, &part)?;
    }
    add_modules(&mut archive, "kernel", &setup.machine.modules)?;
    for driver in Driver::BOTH {
        let modules = setup.modules(driver);
        // The one that is not under test need not have been built.
        if driver == setup.driver || modules.iter().all(|module| module.exists()) {
            add_modules(&mut archive, driver.name(), &modules)?;
        }
    }
    archive.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_laid_out_as_newc() {
        let mut archive = Archive::default();
        archive.entry("ab", FILE | 0o644, (0, 0), b"xyz").unwrap();
        let text = String::from_utf8(archive.bytes).unwrap();
        assert_eq!(&text[..6], "070701");
        assert_eq!(&text[6..14], "00000001");
        assert_eq!(&text[14..22], "000081a4");
        assert_eq!(&text[54..62], "00000003");
        assert_eq!(&text[94..102], "00000003");
        assert_eq!(&text[110..120], "ab\0\0\0\0xyz\0");
        assert_eq!(text.len() % 4, 0);
    }

    #[test]
    fn an_archive_ends_with_its_trailer() {
        let bytes = Archive::default().finish().unwrap();
        assert!(bytes.windows(10).any(|window| window == b"TRAILER!!!"));
    }
}
