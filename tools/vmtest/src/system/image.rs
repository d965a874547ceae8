// SPDX-License-Identifier: GPL-2.0

//! The disk image of the system: Debian, the packages, and what the test needs in it.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use machine::Debian;

use super::deb::{digest, Packages};
use super::root::Root;

/// The size of the root disk; most of it is never written to.
const SIZE: &str = "6G";

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
    let installed = install(debian, packages)?;
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
    let stamp = folder.join("made-of");
    let made_of = format!("{} {}", digest(&files)?, read(&installed.stamp)?);
    if read(&stamp).is_ok_and(|text| text == made_of) {
        return Ok(image);
    }
    eprintln!("making the disk image ({SIZE}, 3 GB of it used)");
    let root = Root::fresh(&[&installed.layer, &debian.root], &folder)?;
    for (name, file) in SCRIPTS.iter().zip(&files) {
        root.put(file, &format!("/usr/lib/system-test/{name}"))?;
    }
    root.run("/usr/lib/system-test/customize")?;
    let initrd = format!("/boot/initrd.img-{}", debian.release);
    let make = format!(
        "cp $LAYER/root{initrd} $LAYER/initrd\n\
         mv $LAYER/root/boot/initrd.dracut $LAYER/\n\
         rm -f $LAYER/root.raw\n\
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
    write(&stamp, &made_of)?;
    Ok(image)
}

/// The layer of the root with the packages installed.
struct Installed {
    layer: PathBuf,
    stamp: PathBuf,
}

/// Installs the packages, unless that is done.
fn install(debian: &Debian, packages: &Packages) -> Result<Installed> {
    let folder = debian.cache.join("installed");
    let installed = Installed {
        layer: folder.join("upper"),
        stamp: folder.join("made-of"),
    };
    let files = [packages.dkms.clone(), packages.tools.clone()];
    let made_of = digest(&files)?;
    if read(&installed.stamp).is_ok_and(|text| text == made_of) {
        return Ok(installed);
    }
    eprintln!("installing the packages, which builds the module (3 minutes)");
    let root = Root::fresh(&[&debian.root], &folder)?;
    for (file, name) in files.iter().zip(["dkms", "tools"]) {
        root.put(file, &format!("/tmp/{name}.deb"))?;
    }
    root.run("apt-get install -y /tmp/dkms.deb /tmp/tools.deb && rm /tmp/*.deb")?;
    write(&installed.stamp, &made_of)?;
    Ok(installed)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
