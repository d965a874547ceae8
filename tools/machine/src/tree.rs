// SPDX-License-Identifier: GPL-2.0

//! A built kernel tree: whether it has what the module and the VM need, and where.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Result};

use crate::config;
use crate::context::read;
use crate::rust::Rust;

/// What the VM takes from a tree.
const NEEDED: [&str; 3] = [
    "arch/x86/boot/bzImage",
    "include/config/kernel.release",
    ".config",
];

/// What the module's build takes besides, and the comparison of the two drivers.
const NEEDED_TO_BUILD: [&str; 3] = [
    "Module.symvers",
    "rust/libkernel.rmeta",
    "drivers/virtio/virtio_pci.ko",
];

/// A built kernel tree.
pub(crate) struct Tree {
    pub(crate) kdir: PathBuf,
    pub(crate) source: Option<PathBuf>,
    pub(crate) bzimage: PathBuf,
    pub(crate) release: String,
    /// Its `.config`.
    pub(crate) config: String,
}

/// Opens the tree at `kdir` if it is complete, for the module or to boot it only.
pub(crate) fn open(kdir: &Path, module: bool) -> Result<Tree> {
    let to_build = NEEDED_TO_BUILD.iter().filter(|_| module);
    let missing = NEEDED.iter().chain(to_build).copied();
    let missing: Vec<_> = missing.filter(|path| !kdir.join(path).exists()).collect();
    let place = kdir.display();
    if !missing.is_empty() {
        let lacks = missing.join(", ");
        if module {
            bail!("{place} is no kernel tree built with Rust and CONFIG_VIRTIO_PCI=m: it lacks {lacks}");
        }
        bail!("{place} is no built kernel tree: it lacks {lacks}");
    }
    let kdir = fs::canonicalize(kdir)?;
    let tree = Tree {
        source: [kdir.join("source"), kdir.clone()]
            .iter()
            .find(|path| path.join("Kconfig").exists())
            .and_then(|path| fs::canonicalize(path).ok()),
        bzimage: kdir.join(NEEDED[0]),
        release: read(&kdir.join("include/config/kernel.release"))?
            .trim()
            .to_owned(),
        config: read(&kdir.join(".config"))?,
        kdir,
    };
    if !module && tree.option("VIRTIO_PCI_LEGACY") != "y" {
        bail!(
            "{} has no legacy virtio transport: set CONFIG_VIRTIO_PCI and CONFIG_VIRTIO_PCI_LEGACY",
            tree.kdir.display()
        );
    }
    Ok(tree)
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
        let error = |module| {
            let opened = open(Path::new("/nowhere"), module);
            opened.err().unwrap().to_string()
        };
        for path in NEEDED {
            assert!(error(true).contains(path) && error(false).contains(path));
        }
        for path in NEEDED_TO_BUILD {
            assert!(error(true).contains(path) && !error(false).contains(path));
        }
    }

    #[test]
    fn a_tree_to_boot_needs_no_rust_but_the_legacy_transport() {
        let folder = tempfile::tempdir().unwrap();
        let kdir = folder.path().join("tree");
        for path in NEEDED {
            let path = kdir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "6.1.0\n").unwrap();
        }
        let error = open(&kdir, false).err().unwrap().to_string();
        assert!(error.contains("CONFIG_VIRTIO_PCI_LEGACY"), "{error}");
        fs::write(kdir.join(".config"), "CONFIG_VIRTIO_PCI_LEGACY=y\n").unwrap();
        assert_eq!(open(&kdir, false).unwrap().release, "6.1.0");
        assert!(open(&kdir, true).is_err());
    }
}
