// SPDX-License-Identifier: GPL-2.0

//! The modules of a packaged kernel that the tests need, in the order in which they are loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{bail, Context as _, Result};

use crate::command::command;
use crate::context::{create_dir, read, write, Context};

/// What the tests need: the tools disk, and the virtio drivers.
const WANTED: [&str; 12] = [
    "9p",
    "9pnet_virtio",
    "button",
    "ext4",
    "nvme",
    "sd_mod",
    "virtio_balloon",
    "virtio_blk",
    "virtio_console",
    "virtio_net",
    "virtio_rng",
    "virtio_scsi",
];

/// The file that has their names, in order.
const ORDER: &str = "order";

/// Gives the modules in `target`, each after those that it needs; takes them from the installed
/// kernel modules in `release` if they are not there yet. `xz` unpacks them.
pub(crate) fn ensure(
    cx: &mut Context<'_>,
    release: &Path,
    target: &Path,
    xz: &Path,
) -> Result<Vec<PathBuf>> {
    if !target.join(ORDER).exists() {
        cx.fill(target, |cx, partial| take(cx, release, partial, xz))?;
    }
    let order = read(&target.join(ORDER))?;
    Ok(order.lines().map(|name| target.join(name)).collect())
}

fn take(cx: &mut Context<'_>, release: &Path, target: &Path, xz: &Path) -> Result<()> {
    create_dir(target)?;
    let mut packed = BTreeMap::new();
    find(&release.join("kernel"), &mut packed)?;
    let built_in = read(&release.join("modules.builtin"))?;
    let built_in = built_in.lines().filter_map(|line| name_of(Path::new(line)));
    let built_in: BTreeSet<String> = built_in.collect();
    let mut order = Vec::new();
    for name in WANTED {
        let known = packed.contains_key(name) || built_in.contains(name);
        if !known {
            cx.say(format!(
                "note: this kernel has no {name}; tests that need it will fail"
            ));
        }
        add(name, &packed, &built_in, &mut order, &mut |name, from| {
            let to = target.join(format!("{name}.ko"));
            unpack(from, &to, xz)?;
            let module = fs::read(&to).with_context(|| format!("cannot read {}", to.display()))?;
            needs(&module).with_context(|| format!("{} tells no needs", to.display()))
        })?;
    }
    let order: String = order.iter().map(|name| format!("{name}.ko\n")).collect();
    write(&target.join(ORDER), order)
}

/// Adds a module to `order`, after those that it needs; `unpack` unpacks one and tells its needs.
fn add(
    name: &str,
    packed: &BTreeMap<String, PathBuf>,
    built_in: &BTreeSet<String>,
    order: &mut Vec<String>,
    unpack: &mut dyn FnMut(&str, &Path) -> Result<Vec<String>>,
) -> Result<()> {
    if order.iter().any(|other| other == name) || built_in.contains(name) {
        return Ok(());
    }
    let Some(from) = packed.get(name) else {
        return Ok(());
    };
    for need in unpack(name, from)?.iter().filter(|need| !need.is_empty()) {
        let need = need.replace('-', "_");
        if !packed.contains_key(&need) && !built_in.contains(&need) {
            bail!("the kernel module {name} needs {need}, which the kernel's package lacks");
        }
        add(&need, packed, built_in, order, unpack)?;
    }
    order.push(name.to_owned());
    Ok(())
}

/// The modules that a module needs, from the strings of its section `.modinfo`.
fn needs(module: &[u8]) -> Option<Vec<String>> {
    let mut strings = module.split(|byte| *byte == 0);
    let needs = strings.find_map(|string| string.strip_prefix(b"depends="))?;
    let needs = String::from_utf8_lossy(needs);
    Some(needs.split(',').map(str::to_owned).collect())
}

/// Finds the modules below a directory, by their names.
fn find(directory: &Path, packed: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()));
    for entry in entries? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, packed)?;
        } else if let Some(name) = name_of(&path) {
            packed.insert(name, path);
        }
    }
    Ok(())
}

/// The name of the module in a file, as the kernel has it.
fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (name, _) = file.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

fn unpack(from: &Path, to: &Path, xz: &Path) -> Result<()> {
    if from.extension().is_some_and(|suffix| suffix == "xz") {
        let out = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
        let status = command(xz).arg("-dc").arg(from).stdout(out).status()?;
        if !status.success() {
            bail!("{} cannot be unpacked ({status})", from.display());
        }
        return Ok(());
    }
    let copied = fs::copy(from, to).map(|_| ());
    copied.with_context(|| format!("cannot copy {}", from.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order for `wanted` among modules that need these; `mbcache` is built in.
    fn order(wanted: &str, modules: &[(&str, &str)]) -> Result<Vec<String>> {
        let packed = modules
            .iter()
            .map(|(name, _)| ((*name).to_owned(), PathBuf::from(name)));
        let built_in = ["mbcache".to_owned()].into();
        let mut order = Vec::new();
        add(
            wanted,
            &packed.collect(),
            &built_in,
            &mut order,
            &mut |name, _| {
                let (_, needs) = modules.iter().find(|(other, _)| *other == name).unwrap();
                Ok(needs.split(',').map(str::to_owned).collect())
            },
        )?;
        Ok(order)
    }

    #[test]
    fn a_module_comes_after_those_that_it_needs() {
        let modules = [
            ("ext4", "jbd2,mbcache,crc16"),
            ("jbd2", "crc16"),
            ("crc16", ""),
            ("nvme", "nvme-core"),
        ];
        assert_eq!(order("ext4", &modules).unwrap(), ["crc16", "jbd2", "ext4"]);
        assert_eq!(order("mbcache", &modules).unwrap(), [""; 0]);
        let error = order("nvme", &modules).unwrap_err().to_string();
        assert!(error.contains("needs nvme_core"), "{error}");
    }

    #[test]
    fn what_a_module_needs_is_in_its_strings() {
        let module = b"ELF\0license=GPL\0depends=jbd2,mbcache\0name=ext4\0";
        assert_eq!(needs(module).unwrap(), ["jbd2", "mbcache"]);
        assert_eq!(needs(b"ELF\0license=GPL\0"), None);
    }

    #[test]
    fn names_are_those_of_the_kernel() {
        let name = |path: &str| name_of(Path::new(path));
        assert_eq!(name("kernel/virtio-rng.ko.xz").unwrap(), "virtio_rng");
        assert_eq!(name("kernel/fs/ext4.ko").unwrap(), "ext4");
        assert_eq!(name("modules.order"), None);
    }
}
