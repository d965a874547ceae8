// SPDX-License-Identifier: GPL-2.0

//! A kernel tree of a configuration, as far as modules need it, and the module for it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{bail, ensure, Context, Result};

use super::variants::{Compiler, Variant};
use machine::Lock;
use vm::module;

/// Fragments that all variants have.
const FRAGMENTS: [&str; 3] = ["base", "virtio", "pm"];

/// The symbols of a kernel that is not built: with none, modpost writes a table of versions that is
/// no C (`CONFIG_EXTENDED_MODVERSIONS`).
const SYMVERS: &str = "0x00000001\t_dev_printk\tvmlinux\tEXPORT_SYMBOL\t\n";

/// What `check-build` puts before its lines.
const REFUSES: &str = "check-build: ";

/// What came of a variant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The module builds, without a warning.
    Builds,
    /// `check-build` refuses: its lines.
    Refused(Vec<String>),
    /// The kernel cannot be configured like that: what is not as it should be.
    Unmet(Vec<String>),
}

/// Where and with what a variant is built.
pub(super) struct Site<'a> {
    /// The repository's root.
    pub(super) root: &'a Path,
    /// Where trees are kept.
    pub(super) cache: &'a Path,
    /// The kernel's source.
    pub(super) source: &'a Path,
    /// Its version.
    pub(super) release: &'a str,
    /// The environment of make.
    pub(super) environment: &'a [(String, OsString)],
    /// Where the log of each variant goes.
    pub(super) logs: &'a Path,
}

impl Site<'_> {
    fn log(&self, variant: &Variant) -> PathBuf {
        self.logs.join(format!("{}.log", self.place(variant)))
    }

    /// The name of a variant's folder.
    fn place(&self, variant: &Variant) -> String {
        format!("{}-{}", self.release, variant.name)
    }

    /// Configures the variant, makes what modules need of it, and builds the module.
    ///
    /// # Errors
    ///
    /// A step that fails; its output is in the log.
    pub(super) fn build(&self, variant: &Variant) -> Result<Outcome> {
        let has_llvm = self.environment.iter().any(|(name, _)| name == "LLVM");
        ensure!(
            variant.compiler == Compiler::Gcc || has_llvm,
            "the test machine was set up without clang"
        );
        let place = self.cache.join(self.place(variant));
        let tree = place.join("build");
        fs::create_dir_all(&tree).with_context(|| format!("cannot make {}", tree.display()))?;
        let _lock = Lock::take(&place.join("lock"), &|line| eprintln!("{line}"))?;
        File::create(self.log(variant)).context("cannot write a log")?;

        let fragments = self.fragments(variant)?;
        let inputs = format!("{}\n{:?}\n{fragments}", self.source.display(), variant);
        let stamp = place.join("inputs");
        if !fs::read_to_string(&stamp).is_ok_and(|old| old == inputs) {
            // The configuration of before is gone, also if this one fails.
            fs::write(&stamp, "").context("cannot write a stamp")?;
            self.configure(variant, &place, &tree, &fragments)?;
            let unmet = unmet_in(&tree, variant)?;
            if !unmet.is_empty() {
                return Ok(Outcome::Unmet(unmet));
            }
            fs::write(&stamp, &inputs).context("cannot write a stamp")?;
        }
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let targets = [&format!("-j{jobs}"), "prepare", "modules_prepare"];
        self.run(variant, &mut self.make_kernel(variant, &tree, &targets))?;
        // Other programs than those of the stamp may have taken an option away.
        let unmet = unmet_in(&tree, variant)?;
        if !unmet.is_empty() {
            return Ok(Outcome::Unmet(unmet));
        }
        fs::write(tree.join("Module.symvers"), SYMVERS).context("cannot write symbols")?;
        self.build_module(variant, &tree)
    }

    fn fragments(&self, variant: &Variant) -> Result<String> {
        let mut all = String::new();
        for name in FRAGMENTS {
            let path = self.root.join(format!("tests/kernel/{name}.config"));
            all += &fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
        }
        for option in variant.options {
            all += &format!("CONFIG_{option}\n");
        }
        Ok(all)
    }

    fn configure(
        &self,
        variant: &Variant,
        place: &Path,
        tree: &Path,
        fragments: &str,
    ) -> Result<()> {
        self.run(
            variant,
            &mut self.make_kernel(variant, tree, &["allnoconfig"]),
        )?;
        let fragment = place.join("fragment");
        fs::write(&fragment, fragments).context("cannot write a fragment")?;
        let mut merge = self.command(variant, "scripts/kconfig/merge_config.sh");
        merge.current_dir(self.source).args(["-m", "-O"]).arg(tree);
        merge.arg(tree.join(".config")).arg(fragment);
        self.run(variant, &mut merge)?;
        self.run(
            variant,
            &mut self.make_kernel(variant, tree, &["olddefconfig"]),
        )
    }

    fn build_module(&self, variant: &Variant, tree: &Path) -> Result<Outcome> {
        let name = format!("kernels/{}", self.place(variant));
        module::remove(self.root, &name)?;
        let copy = module::copy(self.root, &name)?;
        let mut make = self.command(variant, "make");
        make.arg("-C").arg(copy);
        make.arg(format!("KDIR={}", tree.display())).arg("module");
        // There is no kernel whose symbols there could be.
        make.env("KBUILD_MODPOST_WARN", "1");
        let before = fs::read_to_string(self.log(variant)).map_or(0, |log| log.len());
        let built = self.run(variant, &mut make);
        let log = fs::read_to_string(self.log(variant)).context("cannot read a log")?;
        let said = log.get(before..).unwrap_or_default();
        let refused: Vec<_> = said
            .lines()
            .filter_map(|line| line.strip_prefix(REFUSES).map(str::to_owned))
            .collect();
        if !refused.is_empty() {
            return Ok(Outcome::Refused(refused));
        }
        built?;
        let warning = said.lines().find(|line| line.contains("warning:"));
        ensure!(
            warning.is_none(),
            "{}, see {}",
            warning.unwrap_or_default(),
            self.log(variant).display()
        );
        Ok(Outcome::Builds)
    }

    fn make_kernel(&self, variant: &Variant, tree: &Path, targets: &[&str]) -> Command {
        let mut make = self.command(variant, "make");
        make.arg("-C").arg(self.source);
        make.arg(format!("O={}", tree.display())).args(targets);
        make
    }

    /// A program in the environment that the variant is built in.
    fn command(&self, variant: &Variant, program: &str) -> Command {
        let mut command = Command::new(program);
        for variable in module::MAKE_VARIABLES {
            command.env_remove(variable);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if variant.compiler == Compiler::Gcc {
            command.env_remove("LLVM");
        }
        command.env("ARCH", variant.arch).stdin(Stdio::null());
        command
    }

    /// Runs a step, with its output behind that of the others in the log.
    fn run(&self, variant: &Variant, command: &mut Command) -> Result<()> {
        let path = self.log(variant);
        let log = File::options()
            .append(true)
            .open(&path)
            .context("cannot write a log")?;
        let program = command.get_program().to_string_lossy().into_owned();
        let status = command.stdout(log.try_clone()?).stderr(log).status();
        let status = status.with_context(|| format!("cannot run {program}"))?;
        if !status.success() {
            bail!("{program} failed ({status}), see {}", path.display());
        }
        Ok(())
    }
}

/// Which of the variant's own options its tree does not have, one line each.
fn unmet_in(tree: &Path, variant: &Variant) -> Result<Vec<String>> {
    let config = fs::read_to_string(tree.join(".config")).context("there is no .config")?;
    Ok(unmet(variant.options, &config))
}

/// Which of `options` are not in `config`, one line each.
fn unmet(options: &[&str], config: &str) -> Vec<String> {
    let is_set = |option: &str| match option.strip_suffix("=n") {
        Some(name) => !config.lines().any(|line| {
            line.strip_prefix("CONFIG_")
                .and_then(|line| line.split_once('='))
                .is_some_and(|(set, _)| set == name)
        }),
        None => config
            .lines()
            .any(|line| line.strip_prefix("CONFIG_") == Some(option)),
    };
    let lacking = options.iter().filter(|option| !is_set(option));
    lacking
        .map(|option| format!("CONFIG_{option} is not to be had"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::variants::ALL;

    #[test]
    fn options_that_are_not_as_wanted_are_told() {
        let config = "CONFIG_SMP=y\nCONFIG_NR_CPUS=8\n# CONFIG_PCI_MSI is not set\n";
        assert!(unmet(&["SMP=y", "PCI_MSI=n", "PCI=n", "NR_CPUS=8"], config).is_empty());
        let lines = unmet(&["SMP=n", "NR_CPUS=64", "PCI_MSI=y"], config);
        assert_eq!(
            lines,
            ["SMP=n", "NR_CPUS=64", "PCI_MSI=y"]
                .map(|option| format!("CONFIG_{option} is not to be had"))
        );
    }

    #[test]
    fn a_warning_is_seen_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in [
            "abstractions",
            "bindings",
            "legacy",
            "scripts",
            "tests/kunit",
        ] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        for name in ["Kbuild", "rust-toolchain", "virtio_pci_rs.rs"] {
            fs::write(root.join(name), "").unwrap();
        }
        let makefile = "module: object\nobject:\n\t@echo warning: unused\n\ttouch object\n";
        fs::write(root.join("Makefile"), makefile).unwrap();
        let site = Site {
            root,
            cache: root,
            source: root,
            release: "7.3",
            environment: &[],
            logs: root,
        };
        let variant = &ALL[0];
        for _ in 0..2 {
            File::create(site.log(variant)).unwrap();
            let error = site.build_module(variant, root).unwrap_err().to_string();
            assert!(error.starts_with("warning: unused, see "), "{error}");
        }
    }
}
