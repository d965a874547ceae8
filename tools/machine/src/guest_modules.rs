// SPDX-License-Identifier: GPL-2.0

//! The modules of a kernel that the tests need, in the order in which they are loaded.

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

/// What some of these need on older kernels without naming it: ext4 asks for an algorithm.
const UNNAMED: &str = "crc32c_generic";

/// The transport driver in C.
const C_DRIVER: &str = "virtio_pci";

/// The files that have the names of each, in order.
const ORDERS: [&str; 2] = ["order", "c-driver"];

/// Modules of a kernel, each after those that it needs.
pub(crate) struct Modules {
    /// What the tests need.
    pub(crate) of_tests: Vec<PathBuf>,
    /// What the C driver needs besides; none if it is built in.
    pub(crate) c_driver: Vec<PathBuf>,
}

/// Gives the modules of a packaged kernel, unpacked in `target` by `xz`; takes them from the
/// installed ones of a release if they are not there yet.
pub(crate) fn unpacked(
    cx: &mut Context<'_>,
    release: &Path,
    target: &Path,
    xz: &Path,
) -> Result<Modules> {
    if !ORDERS.iter().all(|order| target.join(order).exists()) {
        cx.fill(target, |cx, partial| take(cx, release, partial, xz))?;
    }
    let [of_tests, c_driver] = ORDERS.map(|order| {
        let order = read(&target.join(order));
        order.map(|text| text.lines().map(|name| target.join(name)).collect())
    });
    Ok(Modules {
        of_tests: of_tests?,
        c_driver: c_driver?,
    })
}

fn take(cx: &mut Context<'_>, release: &Path, target: &Path, xz: &Path) -> Result<()> {
    create_dir(target)?;
    let mut packed = BTreeMap::new();
    find(&release.join("kernel"), &mut packed)?;
    let built_in = built_in(&read(&release.join("modules.builtin"))?);
    let orders = orders(cx, &packed, &built_in, &mut |name, from| {
        let to = target.join(format!("{name}.ko"));
        unpack(from, &to, xz)?;
        needs_of(&to)
    })?;
    for (names, file) in orders.iter().zip(ORDERS) {
        let order: String = names.iter().map(|name| format!("{name}.ko\n")).collect();
        write(&target.join(file), order)?;
    }
    Ok(())
}

/// Gives the modules of a built kernel tree, where they are.
pub(crate) fn in_tree(cx: &mut Context<'_>, tree: &Path) -> Result<Modules> {
    // A kernel without modules has no lists of them.
    let list = |name: &str| fs::read_to_string(tree.join(name)).unwrap_or_default();
    let order = list("modules.order");
    let modules = order.lines().filter_map(|line| {
        let path = tree.join(line).with_extension("ko");
        Some((name_of(&path)?, path))
    });
    let modules: BTreeMap<_, _> = modules.filter(|(_, path)| path.exists()).collect();
    let built_in = built_in(&list("modules.builtin"));
    let [of_tests, c_driver] = orders(cx, &modules, &built_in, &mut |_, from| needs_of(from))?;
    let paths = |names: Vec<String>| {
        let found = names.iter().filter_map(|name| modules.get(name));
        found.cloned().collect()
    };
    Ok(Modules {
        of_tests: paths(of_tests),
        c_driver: paths(c_driver),
    })
}

/// The names in the text of a kernel's file `modules.builtin`.
fn built_in(text: &str) -> BTreeSet<String> {
    let names = text.lines().filter_map(|line| name_of(Path::new(line)));
    names.collect()
}

/// The orders of what the tests need and of what the C driver needs besides.
fn orders(
    cx: &mut Context<'_>,
    packed: &BTreeMap<String, PathBuf>,
    built_in: &BTreeSet<String>,
    unpack: &mut dyn FnMut(&str, &Path) -> Result<Vec<String>>,
) -> Result<[Vec<String>; 2]> {
    let mut order = Vec::new();
    add(UNNAMED, packed, built_in, &mut order, unpack)?;
    for name in WANTED {
        if !packed.contains_key(name) && !built_in.contains(name) {
            cx.say(format!(
                "note: this kernel has no module {name}; tests that need it are skipped"
            ));
        }
        add(name, packed, built_in, &mut order, unpack)?;
    }
    let of_tests = order.len();
    add(C_DRIVER, packed, built_in, &mut order, unpack)?;
    let c_driver = order.split_off(of_tests);
    Ok([order, c_driver])
}

/// What the module in a file needs.
fn needs_of(path: &Path) -> Result<Vec<String>> {
    let module = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    needs(&module).with_context(|| format!("{} tells no needs", path.display()))
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
            bail!("the kernel module {name} needs {need}, which the kernel lacks");
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
    fn the_c_driver_comes_after_what_the_tests_need() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("modules");
        let module = |name: &str, needs: &str| {
            let path = tree.join(format!("drivers/virtio/{name}.ko"));
            fs::write(path, format!("ELF\0depends={needs}\0name={name}\0")).unwrap();
        };
        create_dir(&tree.join("drivers/virtio")).unwrap();
        module("virtio_blk", "virtio");
        module("virtio", "");
        module("crc32c_generic", "");
        module("virtio_pci", "virtio,virtio_pci_legacy_dev");
        module("virtio_pci_legacy_dev", "");
        let order = "drivers/virtio/virtio.o\ndrivers/virtio/virtio_pci.ko\n\
                     drivers/virtio/virtio_blk.o\ndrivers/virtio/virtio_pci_legacy_dev.o\n\
                     drivers/virtio/crc32c_generic.o\n\
                     drivers/virtio/not_built.o\n";
        write(&tree.join("modules.order"), order).unwrap();
        write(&tree.join("modules.builtin"), "kernel/fs/ext4/ext4.ko\n").unwrap();
        let said = std::sync::Mutex::new(String::new());
        let say = |line: &str| said.lock().unwrap().push_str(line);
        let mut cx = Context::new(tree.clone(), tree.clone(), false, &say);
        let modules = in_tree(&mut cx, &tree).unwrap();
        let names = |paths: &[PathBuf]| paths.iter().filter_map(|path| name_of(path)).collect();
        let of_tests: Vec<String> = names(&modules.of_tests);
        let c_driver: Vec<String> = names(&modules.c_driver);
        assert_eq!(of_tests, ["crc32c_generic", "virtio", "virtio_blk"]);
        assert_eq!(c_driver, ["virtio_pci_legacy_dev", "virtio_pci"]);
        let said = said.lock().unwrap();
        assert!(
            said.contains("no module virtio_net;") && !said.contains("ext4"),
            "{said}"
        );
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
