// SPDX-License-Identifier: GPL-2.0

//! The packages, made from what git tracks.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, ensure, Context, Result};

/// What the packages are made of.
const SOURCES: [&str; 16] = [
    "Kbuild",
    "LICENSE",
    "Makefile",
    "abstractions",
    "bindings",
    "docs/differences.toml",
    "legacy",
    "packaging",
    "rust-toolchain",
    "scripts",
    "tests/kunit",
    "tools/Cargo.lock",
    "tools/Cargo.toml",
    "tools/switch",
    "tools/virtio-check",
    "virtio_pci_rs.rs",
];

/// The packages that are made.
pub(crate) struct Packages {
    pub(crate) dkms: PathBuf,
    pub(crate) tools: PathBuf,
}

/// Makes the packages in `target/deb`.
pub(crate) fn make(root: &Path) -> Result<Packages> {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = read(&root.join("packaging/debian/changelog"))?;
    let own = changelog.lines().next().unwrap_or_default();
    ensure!(
        own.starts_with(&format!("virtio-pci-rs ({version}) ")),
        "packaging/debian/changelog begins with {own:?}; the version of the workspace is {version}"
    );
    let all = root.join("target/deb");
    let made = |name: &str| {
        let path = all.join(name);
        ensure!(
            path.exists(),
            "dpkg-buildpackage made no {}",
            path.display()
        );
        Ok(path)
    };
    let packages = || {
        Ok(Packages {
            dkms: made(&format!("virtio-pci-rs-dkms_{version}_all.deb"))?,
            tools: made(&format!("virtio-pci-rs-tools_{version}_amd64.deb"))?,
        })
    };
    let made_of = digest(root, &tracked(root, &SOURCES)?)?;
    let stamp = all.join("made-of");
    if std::fs::read_to_string(&stamp).is_ok_and(|text| text == made_of) {
        return packages();
    }
    if all.exists() {
        std::fs::remove_dir_all(&all)
            .with_context(|| format!("cannot remove {}", all.display()))?;
    }
    let tree = all.join(format!("virtio-pci-rs-{version}"));
    copy_tracked(root, &tree)?;
    let debian = tree.join("debian");
    succeed(
        Command::new("cp")
            .arg("-a")
            .arg(tree.join("packaging/debian"))
            .arg(&debian),
    )?;
    let log = all.join("build.log");
    let out =
        std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = Command::new("dpkg-buildpackage")
        .args(["-us", "-uc", "-b"])
        .current_dir(&tree)
        .env("CARGO_TARGET_DIR", target_dir(root))
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .env_remove("MAKELEVEL")
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .status()
        .context("cannot run dpkg-buildpackage")?;
    if !status.success() {
        bail!("dpkg-buildpackage failed ({status}), see {}", log.display());
    }
    let packages = packages()?;
    std::fs::write(&stamp, made_of).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(packages)
}

/// Where cargo builds, so that crates are not compiled twice.
fn target_dir(root: &Path) -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    given.unwrap_or_else(|| root.join("tools/target"))
}

/// The files that git tracks below these paths, or all of them.
fn tracked(root: &Path, paths: &[&str]) -> Result<Vec<PathBuf>> {
    let list = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z", "--"])
        .args(paths)
        .output()
        .context("cannot run git")?;
    ensure!(
        list.status.success(),
        "{} is no clone of git",
        root.display()
    );
    let names = String::from_utf8(list.stdout).context("a name that is not UTF-8")?;
    // One that is deleted and not committed yet is left out.
    let files = names.split('\0').map(|name| root.join(name));
    Ok(files.filter(|file| file.is_file()).collect())
}

/// Copies the files that git tracks.
fn copy_tracked(root: &Path, target: &Path) -> Result<()> {
    for from in tracked(root, &[])? {
        let to = target.join(from.strip_prefix(root).context("a file outside")?);
        let folder = to.parent().context("a file without a folder")?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}

/// A short name for files below a folder: their names, whether they are programs, and contents.
pub(crate) fn digest(folder: &Path, files: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        let read = || {
            anyhow::Ok((
                std::fs::metadata(file)?.permissions().mode(),
                std::fs::read(file)?,
            ))
        };
        let (mode, content) = read().with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(folder).context("a file outside")?;
        (name, mode & 0o111 != 0, content).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed ({status})");
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_other_files_are_others() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("a"), "text").unwrap();
        let of = |name: &str| digest(folder.path(), &[file(name)]).unwrap();
        let first = of("a");
        assert_eq!(of("a"), first);
        let program = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(file("a"), program).unwrap();
        let second = of("a");
        assert_ne!(second, first);
        std::fs::rename(file("a"), file("b")).unwrap();
        let third = of("b");
        assert_ne!(third, second);
        std::fs::write(file("b"), "other").unwrap();
        assert_ne!(of("b"), third);
    }

    #[test]
    fn what_the_tools_are_compiled_with_is_a_source() {
        // virtio-check has the differences compiled in.
        for name in [
            "docs/differences.toml",
            "rust-toolchain",
            "tools/Cargo.lock",
            "tools/Cargo.toml",
        ] {
            assert!(SOURCES.contains(&name), "{name}");
        }
    }
}
