// SPDX-License-Identifier: GPL-2.0

//! The disk image of the system: Debian, the packages, and what the test needs in it.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use machine::Debian;

use super::deb::{digest, Packages};
use super::root::{keep, Root};

/// The size of the root disk; most of it is never written to.
const SIZE: &str = "6G";

/// Installs the packages; why a module could not be built is in the log of DKMS only.
pub(super) const INSTALL: &str = "apt-get install -y /tmp/dkms.deb /tmp/tools.deb || {
    cat /var/lib/dkms/virtio-pci-rs/*/build/make.log
    exit 1
}";

/// The scripts in `tests/system` that the system has.
const SCRIPTS: [&str; 8] = [
    "agent",
    "check",
    "customize",
    "database",
    "load",
    "slept",
    "stream",
    "switch",
];

/// An image, and what boots it.
pub(crate) struct Image {
    pub(crate) disk: PathBuf,
    pub(crate) kernel: PathBuf,
    /// The initramfs of initramfs-tools.
    pub(crate) initrd: PathBuf,
    /// That of dracut.
    pub(crate) dracut: PathBuf,
}

/// Makes sure that the image of these packages is there.
pub(crate) fn ensure(repository: &Path, debian: &Debian, packages: &Packages) -> Result<Image> {
    let (installed, of_installed) = install(debian, packages)?;
    let scripts = repository.join("tests/system");
    let files: Vec<_> = SCRIPTS.iter().map(|name| scripts.join(name)).collect();
    let folder = debian.cache.join("image");
    let image = Image {
        disk: folder.join("root.raw"),
        kernel: debian
            .root
            .join("boot")
            .join(format!("vmlinuz-{}", debian.release)),
        initrd: folder.join("initrd"),
        dracut: folder.join("initrd.dracut"),
    };
    let made_of = format!("{} {of_installed}", digest(&scripts, &files)?);
    keep(&folder, &made_of, |partial| {
        eprintln!("making the disk image ({SIZE}, 3 GB of it used)");
        let root = Root::fresh(&[&installed, &debian.root], partial)?;
        make(&root, &debian.release, &files)
    })?;
    Ok(image)
}

/// Makes a system of the root, and the disk of it in the root's layer.
fn make(root: &Root, release: &str, files: &[PathBuf]) -> Result<()> {
    for (name, file) in SCRIPTS.iter().zip(files) {
        root.put(file, &format!("/usr/lib/system-test/{name}"))?;
    }
    root.run("/usr/lib/system-test/customize")?;
    let initrd = format!("/boot/initrd.img-{release}");
    let make = format!(
        "cp $LAYER/root{initrd} $LAYER/initrd\n\
         mv $LAYER/root/boot/initrd.dracut $LAYER/\n\
         mke2fs -q -t ext4 -L root -d $LAYER/root $LAYER/root.raw {SIZE}"
    );
    let output = root
        .outside(&["sh", "-ec", &make])
        .output()
        .context("cannot run unshare")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("the disk image could not be made: {}", said.trim());
    }
    Ok(())
}

/// Installs the packages, unless that is done; gives the layer and what it is made of.
fn install(debian: &Debian, packages: &Packages) -> Result<(PathBuf, String)> {
    let folder = debian.cache.join("installed");
    let files = [packages.dkms.clone(), packages.tools.clone()];
    let made = packages
        .dkms
        .parent()
        .context("a package without a folder")?;
    let made_of = format!("{} {}", digest(made, &files)?, debian.made_of);
    keep(&folder, &made_of, |partial| {
        eprintln!("installing the packages, which builds the module (3 minutes)");
        let root = Root::fresh(&[&debian.root], partial)?;
        for (file, name) in files.iter().zip(["dkms", "tools"]) {
            root.put(file, &format!("/tmp/{name}.deb"))?;
        }
        root.run(&format!("{INSTALL}\nrm /tmp/*.deb"))?;
        Ok(())
    })?;
    Ok((folder.join("upper"), made_of))
}
