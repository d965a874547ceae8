// SPDX-License-Identifier: GPL-2.0

//! A root of Debian 13 with its own kernel of backports, for tests of the package on a real system.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context as _, Result};

use crate::apt::{self, Apt};
use crate::command::{command, elapsed, output, run_long};
use crate::context::{digest, read, remove_dir, write, Context, Lock};
use crate::version::upstream;
use crate::{own_qemu, packages, Arch, Qemu};

/// The suites of the root.
const SUITE: &str = "trixie";
const BACKPORTS: &str = "trixie-backports";

/// What makes Debian packages.
pub(crate) const PACKAGERS: [&str; 3] = ["build-essential", "debhelper", "dh-dkms"];

/// What makes and runs the root.
const MAKERS: [&str; 4] = ["e2fsprogs", "mmdebstrap", "qemu-system-x86", "qemu-utils"];

/// What the root has besides the kernel: a small system, and what the module's package depends on.
const CONTENTS: [&str; 27] = [
    "bc",
    "bindgen",
    "bison",
    "dbus",
    "dkms",
    "dracut-core",
    "e2fsprogs",
    "flex",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "less",
    "libelf-dev",
    "libssl-dev",
    "make",
    "openssl",
    "pahole",
    "procps",
    "python3",
    "rust-src",
    "rustc",
    "sqlite3",
    "systemd-sysv",
    "udev",
    "util-linux",
    "xz-utils",
    "zstd",
];

/// Files of packages that the root is without, as Debian's own container images are.
const LEFT_OUT: [&str; 3] = ["doc", "locale", "man"];

/// A root of Debian 13. While it lives, no other run uses the root and what is made of it.
#[derive(Debug)]
pub struct Debian {
    /// The directory in the cache for what is made of the root.
    pub cache: PathBuf,
    /// The root, which is not to be written to.
    pub root: PathBuf,
    /// A name for what the root was made of.
    pub made_of: String,
    /// What `uname -r` says on it.
    pub release: String,
    /// The version of the kernel's packages.
    pub kernel: String,
    /// The distribution's QEMU.
    pub qemu: Qemu,
    _lock: Lock,
}

/// Makes sure that the root is there, and what makes and runs it.
pub(crate) fn ensure(cx: &mut Context<'_>) -> Result<Debian> {
    if output(command("id").arg("-u"))? != "0" {
        bail!("a root of Debian is made with mmdebstrap and chroot; run this as root");
    }
    packages::ensure_named(cx, &[&PACKAGERS[..], &MAKERS].concat())?;
    let lock = cx.lock("system")?;
    let kernel = newest_kernel(cx)?;
    let system = cx.cache.join("system");
    let own = format!("{SUITE}_{kernel}");
    let cache = system.join(&own);
    let base = cache.join("base");
    let root = base.join("root");
    let made_of = digest(&names(&kernel).join(" "));
    let stamp = base.join("made-of");
    if !read(&stamp).is_ok_and(|text| text == made_of) {
        cx.say(format!(
            "making a root of Debian 13 with Linux {kernel} (600 MB to fetch, 2 GB, 5 minutes)"
        ));
        cx.timed("root of Debian 13", |cx| {
            cx.fill(&base, |cx, partial| {
                make(cx, &kernel, &partial.join("root"))?;
                write(&partial.join("made-of"), &made_of)
            })
        })?;
        remove_others(&system, &own)?;
    }
    let release = release_of(&root)?;
    Ok(Debian {
        release,
        cache,
        root,
        made_of,
        kernel,
        qemu: own_qemu(Arch::Amd64)?,
        _lock: lock,
    })
}

/// The version of the newest kernel in backports.
fn newest_kernel(cx: &mut Context<'_>) -> Result<String> {
    let candidates = Apt::open(cx)?.versions("linux-image-amd64")?;
    let mut candidates = candidates.into_iter();
    let found = candidates
        .find(|candidate| candidate.suite == BACKPORTS)
        .with_context(|| format!("Debian's mirror has no linux-image-amd64 in {BACKPORTS}"))?;
    Ok(found.version)
}

/// Removes the roots of other kernels, with what was made of them.
fn remove_others(system: &Path, own: &str) -> Result<()> {
    let entries = std::fs::read_dir(system)
        .with_context(|| format!("cannot read {}", system.display()))?
        .flatten();
    let is_root = |name: &str| name.starts_with(&format!("{SUITE}_"));
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != own && is_root(&name) {
            remove_dir(&entry.path())?;
        }
    }
    Ok(())
}

fn make(cx: &mut Context<'_>, kernel: &str, target: &Path) -> Result<()> {
    let sources = cx.cache.join("system/debian.sources");
    write(&sources, apt::sources(&format!("{SUITE} {BACKPORTS}"))?)?;
    let log = cx.log("system")?;
    let mut mmdebstrap = command("mmdebstrap");
    mmdebstrap.args(["--variant=minbase", "--mode=root", "--format=directory"]);
    for place in LEFT_OUT {
        mmdebstrap.arg(format!("--dpkgopt=path-exclude=/usr/share/{place}/*"));
    }
    mmdebstrap.arg(format!("--include={}", names(kernel).join(",")));
    mmdebstrap.arg(SUITE).arg(target).arg(&sources);
    run_long(cx, &mut mmdebstrap, &log, elapsed("making the root"))
}

/// The packages of the root. Those of the kernel have its version: the mirror may have another one
/// by now, and then there is no root.
fn names(kernel: &str) -> Vec<String> {
    let mut names: Vec<String> = CONTENTS.map(str::to_owned).into();
    let source = format!("linux-source-{}", series(kernel));
    for package in ["linux-image-amd64", "linux-headers-amd64", &source] {
        names.push(format!("{package}={kernel}"));
    }
    // They depend on one that is newer than the release's.
    names.push(format!("linux-base/{BACKPORTS}"));
    names
}

/// The series of a version, as `7.3` of `7.3.4-1~bpo13+1`.
fn series(version: &str) -> String {
    let numbers: Vec<_> = upstream(version).split('.').take(2).collect();
    numbers.join(".")
}

/// The release of the one kernel in a root.
fn release_of(root: &Path) -> Result<String> {
    let modules = root.join("usr/lib/modules");
    let entries = std::fs::read_dir(&modules)
        .with_context(|| format!("cannot read {}", modules.display()))?;
    let mut names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(name),
        (first, second) => bail!(
            "{} has not one kernel: {first:?}, {second:?}",
            modules.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_is_that_of_the_source_package() {
        assert_eq!(series("7.3.4-1~bpo13+1"), "7.3");
        assert_eq!(series("7.3-1~bpo13+1"), "7.3");
    }

    #[test]
    fn the_kernel_of_a_root_is_of_one_version() {
        let names = names("7.3.4-1~bpo13+1");
        for package in [
            "linux-image-amd64",
            "linux-headers-amd64",
            "linux-source-7.3",
        ] {
            assert!(
                names.contains(&format!("{package}=7.3.4-1~bpo13+1")),
                "{names:?}"
            );
        }
    }

    #[test]
    fn roots_of_other_kernels_go() {
        let folder = tempfile::tempdir().unwrap();
        let system = folder.path().join("roots");
        for name in [
            "trixie_7.3.4-1/base/root",
            "trixie_7.3.5-1/base/root",
            "other",
        ] {
            std::fs::create_dir_all(system.join(name)).unwrap();
        }
        remove_others(&system, "trixie_7.3.5-1").unwrap();
        assert!(!system.join("trixie_7.3.4-1").exists());
        assert!(system.join("trixie_7.3.5-1/base/root").exists());
        assert!(system.join("other").exists());
    }

    #[test]
    fn a_root_has_one_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("debian");
        let modules = root.join("usr/lib/modules");
        std::fs::create_dir_all(modules.join("7.3.4+deb13-amd64")).unwrap();
        assert_eq!(release_of(&root).unwrap(), "7.3.4+deb13-amd64");
        std::fs::create_dir_all(modules.join("6.12.117+deb13-amd64")).unwrap();
        assert!(release_of(&root).is_err());
    }
}
