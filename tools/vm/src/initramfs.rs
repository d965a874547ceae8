// SPDX-License-Identifier: GPL-2.0

//! What is in the initramfs of the test VM.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use initramfs::Archive;

use crate::driver::Driver;
use crate::setup::Setup;

/// Adds modules in the order in which they are loaded, for a driver or for all.
fn add_modules(archive: &mut Archive, name: &str, modules: &[std::path::PathBuf]) -> Result<()> {
    archive.directory(&format!("modules/{name}"))?;
    let mut order = String::new();
    for module in modules {
        let file = module
            .file_name()
            .and_then(|file| file.to_str())
            .with_context(|| format!("{} has no file name", module.display()))?;
        archive.copy(&format!("modules/{name}/{file}"), 0o644, module)?;
        order.push_str(file);
        order.push('\n');
    }
    archive.file(&format!("modules/{name}/order"), 0o644, order.as_bytes())
}

/// Adds the shell functions of a folder.
fn add_scripts(archive: &mut Archive, name: &str, folder: &Path) -> Result<()> {
    archive.directory(&format!("guest/{name}"))?;
    let mut parts: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .collect::<std::io::Result<Vec<_>>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .collect();
    parts.sort();
    for part in parts {
        let file = part.file_name().unwrap_or_default().to_string_lossy();
        archive.copy(&format!("guest/{name}/{file}"), 0o644, &part)?;
    }
    Ok(())
}

/// Builds the initramfs of the test VM.
pub fn build(setup: &Setup) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "guest", "modules"] {
        archive.directory(directory)?;
    }
    archive.console()?;
    archive.copy("bin/busybox", 0o755, &setup.machine.busybox)?;
    for program in &setup.programs {
        let name = program
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        archive.copy(&format!("bin/{}", name.unwrap_or_default()), 0o755, program)?;
    }
    let guest = setup.root.join("tests/guest");
    archive.copy("init", 0o755, &guest.join("init"))?;
    for folder in ["lib", "cases"] {
        add_scripts(&mut archive, folder, &guest.join(folder))?;
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
