// SPDX-License-Identifier: GPL-2.0

//! The package in a clean root: what it says when something is missing, and what it leaves.

use std::io::Stdout;

use anyhow::{bail, ensure, Context, Result};

use super::image::INSTALL;
use super::root::Root;
use super::{report, Bench};
use vm::failure::Outcome;
use vm::ktap::Ktap;

/// What is taken away, and what the line about it has to have.
const MISSING: [(&str, &str); 5] = [
    (
        "apt-get purge -y 'linux-source-*'",
        "install linux-source-7",
    ),
    ("apt-get purge -y rust-src", "install rust-src"),
    ("apt-get purge -y rustc", "install the rustc"),
    ("apt-get purge -y bindgen", "install bindgen"),
    ("rm /usr/lib/modules/*/build", "install linux-headers-"),
];

/// What makes an initramfs. It refuses while the module is gone and the command line takes the C
/// driver away.
const MAKE_INITRAMFS: [&str; 2] = [
    "update-initramfs -u",
    "dracut --quiet --no-hostonly --kver $(ls /usr/lib/modules) /tmp/initrd.dracut",
];

/// Where a file may change or appear although the package is gone: logs, caches, states of dpkg and
/// dkms, the key that dkms made for all packages.
const MAY_CHANGE: &str = "/tmp /proc /dev /run /var/log /var/cache /var/lib/dpkg /var/lib/apt \
    /var/lib/dkms/mok.key /var/lib/dkms/mok.pub /boot";

/// Runs the tests of the package.
pub(crate) fn run(bench: &Bench, ktap: &mut Ktap<Stdout>) -> Outcome {
    ktap.begin_test("package", MISSING.len() + 5)
        .context("cannot report")?;
    for (take_away, wanted) in MISSING {
        let outcome = refusal(bench, take_away, wanted).map_err(Into::into);
        report(ktap, &format!("one line: {wanted}"), &outcome)?;
    }
    let folder = bench.debian.cache.join("package");
    let root = Root::fresh(&[&bench.debian.root], &folder)?;
    root.run(&format!("{} >/tmp/before", list_files()))?;
    put_packages(bench, &root)?;
    let installed = install(&root).map_err(Into::into);
    report(ktap, "the module is built and signed", &installed)?;
    report(
        ktap,
        "the initramfs has it",
        &initramfs(&root).map_err(Into::into),
    )?;
    report(
        ktap,
        "a kernel goes and comes",
        &kernel(&root).map_err(Into::into),
    )?;
    report(
        ktap,
        "no initramfs without a driver",
        &no_driver(&root).map_err(Into::into),
    )?;
    report(
        ktap,
        "removal leaves nothing",
        &removal(&root).map_err(Into::into),
    )?;
    Ok(())
}

fn put_packages(bench: &Bench, root: &Root) -> Result<()> {
    root.put(&bench.packages.dkms, "/tmp/dkms.deb")?;
    root.put(&bench.packages.tools, "/tmp/tools.deb")
}

/// Takes something away, and wants one line that says what to install.
fn refusal(bench: &Bench, take_away: &str, wanted: &str) -> Result<()> {
    let folder = bench.debian.cache.join("refusal");
    let root = Root::fresh(&[&bench.debian.root], &folder)?;
    let script = bench.repository.join("packaging/dkms/prepare-kernel");
    root.put(&script, "/tmp/prepare-kernel")?;
    root.run(take_away)?;
    let check = format!("/tmp/prepare-kernel --check {}", bench.debian.release);
    let (good, said) = root.attempt(&check)?;
    if good || said.lines().count() != 1 || !said.contains(wanted) {
        bail!("without it, --check is good: {good}, and says {said:?}");
    }
    Ok(())
}

fn install(root: &Root) -> Result<()> {
    root.run(INSTALL)?;
    is_installed(root)?;
    let kernel = "$(ls /usr/lib/modules)";
    let signer = root.run(&format!("modinfo -k {kernel} -F signer virtio_pci_rs"))?;
    ensure!(!signer.is_empty(), "the module is not signed");
    root.run("[ -z \"$(find /usr/src/linux-* -newer /tmp/before)\" ]")
        .context("something was written below /usr/src/linux-*")?;
    root.run("virtio-pci-rs-switch --version && virtio-check --version")?;
    Ok(())
}

fn initramfs(root: &Root) -> Result<()> {
    let list = root.run("lsinitramfs /boot/initrd.img-*")?;
    for name in [
        "virtio_pci_rs.ko",
        "virtio_blk.ko",
        "virtio-pci-rs/handover",
    ] {
        ensure!(list.contains(name), "the initramfs has no {name}");
    }
    Ok(())
}

/// dkms has the module installed for the kernel.
fn is_installed(root: &Root) -> Result<()> {
    let status = root.run("dkms status virtio-pci-rs")?;
    ensure!(status.ends_with(": installed"), "dkms says {status:?}");
    Ok(())
}

/// The module of the kernel goes, as its package has it go.
fn without_module(root: &Root) -> Result<()> {
    root.run("/etc/kernel/prerm.d/dkms $(ls /usr/lib/modules)")?;
    let status = root.run("dkms status virtio-pci-rs")?;
    ensure!(
        !status.contains("installed"),
        "without the kernel, dkms says {status:?}"
    );
    Ok(())
}

/// The module of the kernel comes, as its package has it come.
fn with_module(root: &Root) -> Result<()> {
    root.run("/etc/kernel/postinst.d/dkms $(ls /usr/lib/modules)")?;
    is_installed(root)
}

/// What the packages of a kernel run when they are removed and installed.
fn kernel(root: &Root) -> Result<()> {
    without_module(root)?;
    with_module(root)
}

/// A machine whose command line takes the C driver away would not find its disks without the
/// module: the package stays, and no initramfs is made without the module.
fn no_driver(root: &Root) -> Result<()> {
    refuses_with_word(
        root,
        "apt-get purge -y virtio-pci-rs-dkms",
        "remove the package then",
    )?;
    root.run("dpkg -s virtio-pci-rs-dkms | grep '^Status: install ok installed'")?;
    is_installed(root)?;
    without_module(root)?;
    let refused = makes_no_initramfs(root);
    with_module(root)?;
    refused
}

/// The module is gone: what makes an initramfs refuses, and that which is there stays.
fn makes_no_initramfs(root: &Root) -> Result<()> {
    let sums = "sha256sum /boot/initrd.img-*";
    let before = root.run(sums)?;
    for command in MAKE_INITRAMFS {
        refuses_with_word(root, command, "has no module virtio_pci_rs")?;
    }
    ensure!(root.run(sums)? == before, "the initramfs has changed");
    root.run("[ ! -s /tmp/initrd.dracut ]")
        .context("dracut made an initramfs")?;
    root.run("update-initramfs -u")
        .context("with the C driver, the module is not needed")?;
    Ok(())
}

/// The command fails, with one line that has this, while the command line takes the C driver away.
fn refuses_with_word(root: &Root, command: &str, wanted: &str) -> Result<()> {
    let (good, said) = root.attempt(&format!(
        "echo initcall_blacklist=virtio_pci_driver_init >/tmp/cmdline\n\
         mount --bind /tmp/cmdline /proc/cmdline\n\
         {command}"
    ))?;
    let lines = said.lines().filter(|line| line.contains(wanted)).count();
    ensure!(
        !good && lines == 1,
        "{command:?} is good: {good}, and says {said:?}"
    );
    Ok(())
}

fn removal(root: &Root) -> Result<()> {
    root.run("apt-get purge -y virtio-pci-rs-dkms virtio-pci-rs-tools")?;
    let left = root.run(&format!("{} | comm -13 /tmp/before -", list_files()))?;
    ensure!(left.is_empty(), "these files are left: {left}");
    let list = root.run("lsinitramfs /boot/initrd.img-*")?;
    ensure!(
        !list.contains("virtio_pci_rs"),
        "the initramfs still has the module"
    );
    Ok(())
}

fn list_files() -> String {
    let prune: Vec<_> = MAY_CHANGE
        .split_whitespace()
        .map(|path| format!("-path {path}"))
        .collect();
    format!(
        "find / \\( {} \\) -prune -o -print | LC_ALL=C sort",
        prune.join(" -o ")
    )
}
