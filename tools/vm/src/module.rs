// SPDX-License-Identifier: GPL-2.0

//! Builds of this repository's module for the kernels other than the standard one.
//!
//! Each has a copy of the sources of its own, so that the module in the repository's root stays
//! what it is.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};

/// The module's file, in the repository's root and in a copy.
pub const MODULE: &str = "virtio_pci_rs.ko";

/// What the module's build reads.
const SOURCES: [&str; 9] = [
    "Kbuild",
    "Makefile",
    "abstractions",
    "bindings",
    "legacy",
    "rust-toolchain",
    "scripts",
    "tests/kunit",
    "virtio_pci_rs.rs",
];

/// Variables of an outer `make`.
pub const MAKE_VARIABLES: [&str; 4] = ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"];

/// A module that was built.
pub struct Built {
    /// Its file.
    pub module: PathBuf,
    /// What was said during the build.
    pub log: PathBuf,
}

/// Builds the module for the kernel of this name, as far as something has changed.
///
/// # Errors
///
/// A build that fails; its output is in the logs.
pub fn build(
    root: &Path,
    logs: &Path,
    name: &str,
    kdir: &Path,
    make_env: &[(String, OsString)],
) -> Result<Built> {
    let copy = copy(root, name)?;
    fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let path = logs.join(format!("module-{name}.log"));
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut make = Command::new("make");
    for variable in MAKE_VARIABLES {
        make.env_remove(variable);
    }
    let status = make
        .arg("-C")
        .arg(&copy)
        .arg(format!("KDIR={}", kdir.display()))
        .arg("module")
        .envs(make_env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .context("cannot run make")?;
    ensure!(
        status.success(),
        "the module does not build for the {name} kernel ({status}), see {}",
        path.display()
    );
    Ok(Built {
        module: copy.join(MODULE),
        log: path,
    })
}

/// Brings a copy of the sources up to date; gives its folder.
///
/// # Errors
///
/// A file that cannot be copied.
pub fn copy(root: &Path, name: &str) -> Result<PathBuf> {
    let copy = root.join("target/module").join(name);
    fs::create_dir_all(&copy).with_context(|| format!("cannot make {}", copy.display()))?;
    for source in SOURCES {
        update(&root.join(source), &copy.join(source))?;
    }
    Ok(copy)
}

/// Removes a copy with all that was built in it: the compiler warns only of what it compiles.
///
/// # Errors
///
/// A file that cannot be removed.
pub fn remove(root: &Path, name: &str) -> Result<()> {
    let copy = root.join("target/module").join(name);
    match fs::remove_dir_all(&copy) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.with_context(|| format!("cannot remove {}", copy.display())),
    }
}

/// Copies a file or a folder; what is the same already keeps its time, so that make leaves it
/// alone.
fn update(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
        let entries = fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()));
        for entry in entries? {
            let name = entry?.file_name();
            if is_source(Path::new(&name)) || from.join(&name).is_dir() {
                update(&from.join(&name), &to.join(&name))?;
            }
        }
        return Ok(());
    }
    let new = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if !fs::read(to).is_ok_and(|old| old == new) {
        // Removed before: a copied file has the permissions of its source.
        let _ = fs::remove_file(to);
        fs::copy(from, to).with_context(|| format!("cannot copy to {}", to.display()))?;
    }
    Ok(())
}

/// Whether a file in a folder of sources is one, and nothing that a build in the root left there.
fn is_source(name: &Path) -> bool {
    match name.extension() {
        Some(extension) => {
            (extension == "rs" || extension == "h") && name != Path::new("virtio_generated.rs")
        }
        None => !name.to_string_lossy().starts_with('.'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_leaves_is_not_copied() {
        for name in ["pci.rs", "virtio.h", "check-build"] {
            assert!(is_source(Path::new(name)), "{name}");
        }
        for name in ["virtio_generated.rs", ".pci.o.cmd", "pci.o", ".cmd"] {
            assert!(!is_source(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn only_what_changed_is_written() {
        let root = std::env::temp_dir().join(format!("vmtest-module-{}", std::process::id()));
        let (from, to) = (root.join("from"), root.join("to"));
        fs::create_dir_all(from.join("sub")).unwrap();
        for name in ["same.rs", "sub/other.rs"] {
            fs::write(from.join(name), "1").unwrap();
        }
        update(&from, &to).unwrap();
        let written = |name: &str| fs::metadata(to.join(name)).unwrap().modified().unwrap();
        let before = written("same.rs");
        fs::write(from.join("sub/other.rs"), "2").unwrap();
        update(&from, &to).unwrap();
        assert_eq!(written("same.rs"), before);
        assert_eq!(fs::read(to.join("sub/other.rs")).unwrap(), b"2");
        fs::remove_dir_all(root).unwrap();
    }
}
