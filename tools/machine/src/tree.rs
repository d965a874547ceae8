// SPDX-License-Identifier: GPL-2.0

//! A built kernel tree: whether it has what the module and the VM need, and where.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Result};

use crate::config;
use crate::context::read;
use crate::rust::Rust;

/// What the module's build and the VM take from a tree.
const NEEDED: [&str; 5] = [
    "arch/x86/boot/bzImage",
    "Module.symvers",
    "rust/libkernel.rmeta",
    "include/config/kernel.release",
    "drivers/virtio/virtio_pci.ko",
];

/// The modules of the C transport, in the order of insmod; not every configuration has the first.
const C_DRIVER: [&str; 3] = [
    "virtio_pci_modern_dev.ko",
    "virtio_pci_legacy_dev.ko",
    "virtio_pci.ko",
];

/// A built kernel tree.
pub(crate) struct Tree {
    pub(crate) kdir: PathBuf,
    pub(crate) source: Option<PathBuf>,
    pub(crate) bzimage: PathBuf,
    pub(crate) release: String,
    pub(crate) c_driver: Vec<PathBuf>,
    /// Its `.config`.
    pub(crate) config: String,
}

/// Opens the tree at `kdir` if it is complete.
pub(crate) fn open(kdir: &Path) -> Result<Tree> {
    let missing: Vec<_> = NEEDED
        .into_iter()
        .filter(|path| !kdir.join(path).exists())
        .collect();
    if !missing.is_empty() {
        bail!(
            "{} is no kernel tree built with Rust and CONFIG_VIRTIO_PCI=m: it lacks {}",
            kdir.display(),
            missing.join(", ")
        );
    }
    let kdir = fs::canonicalize(kdir)?;
    let drivers = kdir.join("drivers/virtio");
    Ok(Tree {
        source: [kdir.join("source"), kdir.clone()]
            .iter()
            .find(|path| path.join("Kconfig").exists())
            .and_then(|path| fs::canonicalize(path).ok()),
        bzimage: kdir.join(NEEDED[0]),
        release: read(&kdir.join("include/config/kernel.release"))?
            .trim()
            .to_owned(),
        c_driver: C_DRIVER
            .iter()
            .map(|name| drivers.join(name))
            .filter(|path| path.exists())
            .collect(),
        config: read(&kdir.join(".config"))?,
        kdir,
    })
}

impl Tree {
    /// Fails if another rustc built the tree: its metadata is of no use to this one.
    pub(crate) fn check_rustc(&self, rust: &Rust) -> Result<()> {
        let built = self.option("RUSTC_VERSION_TEXT").trim_matches('"');
        if built != rust.text {
            bail!(
                "{} was built by \"{built}\", the rustc here is \"{}\"",
                self.kdir.display(),
                rust.text
            );
        }
        Ok(())
    }

    /// The value of `LLVM=` that names the tree's compiler; none if that is GCC.
    ///
    /// `has` tells whether there is a program of a name.
    pub(crate) fn llvm(&self, has: impl Fn(&str) -> bool) -> Option<String> {
        if self.option("CC_IS_CLANG") != "y" {
            return None;
        }
        let version: u32 = self.option("CLANG_VERSION").parse().unwrap_or(0);
        let number = version / 10_000;
        Some(if has(&format!("clang-{number}")) {
            format!("-{number}")
        } else {
            "1".to_owned()
        })
    }

    fn option(&self, name: &str) -> &str {
        config::parse(&self.config).get(name).copied().unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(config: &str) -> Tree {
        Tree {
            kdir: "/kdir".into(),
            source: None,
            bzimage: "/kdir/bzImage".into(),
            release: "7.3.4".into(),
            c_driver: Vec::new(),
            config: config.to_owned(),
        }
    }

    #[test]
    fn the_compiler_of_the_tree() {
        let clang = tree("CONFIG_CC_IS_CLANG=y\nCONFIG_CLANG_VERSION=190107\n");
        assert_eq!(clang.llvm(|name| name == "clang-19").unwrap(), "-19");
        assert_eq!(clang.llvm(|_| false).unwrap(), "1");
        let gcc = tree("CONFIG_CC_IS_GCC=y\nCONFIG_CLANG_VERSION=0\n");
        assert_eq!(gcc.llvm(|_| true), None);
    }

    #[test]
    fn another_rustc_is_refused() {
        let rust = Rust {
            text: "rustc 1.95.0 (a 2026-04-14)".into(),
            version: "1.95.0".into(),
            sysroot: "/usr".into(),
        };
        let same = "CONFIG_RUSTC_VERSION_TEXT=\"rustc 1.95.0 (a 2026-04-14)\"\n";
        assert!(tree(same).check_rustc(&rust).is_ok());
        let other = "CONFIG_RUSTC_VERSION_TEXT=\"rustc 1.95.0 (b 2026-04-14)\"\n";
        assert!(tree(other).check_rustc(&rust).is_err());
        assert!(tree("").check_rustc(&rust).is_err());
    }

    #[test]
    fn an_unbuilt_tree_is_refused_by_what_it_lacks() {
        let error = open(Path::new("/nowhere")).err().unwrap().to_string();
        for path in NEEDED {
            assert!(error.contains(path), "{error}");
        }
    }
}
