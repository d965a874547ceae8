// SPDX-License-Identifier: GPL-2.0

//! Packages of any suite, unpacked beside: firmware, and programs for guests.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context as _, Result};

use crate::apt::{Apt, Candidate};
use crate::context::{create_dir, remove_dir, Context};
use crate::version::{upstream, Version};
use crate::{libraries, Arch};

/// A package that is unpacked.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// Where its files are.
    pub tree: PathBuf,
    /// Its version.
    pub version: String,
}

/// A program of a package, for a guest.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The package.
    pub package: &'static str,
    /// Where the package has it.
    pub path: &'static str,
    /// The libraries that it loads itself, without their versions.
    pub loads: &'static [&'static str],
}

/// Makes sure that a package is unpacked, in the version that a suite has.
pub(crate) fn package(cx: &mut Context<'_>, package: &str, suite: &str) -> Result<Unpacked> {
    let all = cx.cache.join("unpacked").join(suite).join(package);
    ensure(cx, package, suite, &all, &|cx, apt, version, target| {
        apt.unpack(cx, package, version, target)
    })
}

/// Makes sure that a program is unpacked as `bin/`, and the libraries that it needs in `lib/`.
pub(crate) fn program(cx: &mut Context<'_>, program: &Program, suite: &str) -> Result<Unpacked> {
    let package = program.package;
    let all = cx.cache.join("programs").join(suite).join(package);
    ensure(cx, package, suite, &all, &|cx, apt, version, target| {
        let packages = target.join("packages");
        let wanted = [format!("{package}={version}")];
        apt.unpack_closure(cx, package, &wanted, suite, &packages)?;
        take(program, &packages, target)?;
        remove_dir(&packages)
    })
}

/// Takes a program and its libraries out of unpacked packages.
fn take(program: &Program, packages: &Path, target: &Path) -> Result<()> {
    let files = libraries::all(packages);
    let path = packages.join(program.path.trim_start_matches('/'));
    let mut libraries = libraries::needed(&path, Arch::Amd64, &files)?;
    for name in program.loads {
        let versions = format!("{name}.");
        let mut all = files.iter().filter(|(file, _)| file.starts_with(&versions));
        let found = all.next();
        let (_, path) =
            found.with_context(|| format!("{} needs {name}, which is not there", program.path))?;
        libraries.extend(libraries::needed(path, Arch::Amd64, &files)?);
        libraries.push(path.clone());
    }
    for (folder, paths) in [("bin", vec![path]), ("lib", libraries)] {
        let folder = target.join(folder);
        create_dir(&folder)?;
        for path in paths {
            std::fs::copy(&path, folder.join(path.file_name().unwrap_or_default()))
                .with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// Unpacks a package as it is told, unless that was done.
fn ensure(
    cx: &mut Context<'_>,
    package: &str,
    suite: &str,
    all: &Path,
    unpack: &dyn Fn(&mut Context<'_>, &Apt, &str, &Path) -> Result<()>,
) -> Result<Unpacked> {
    let _lock = cx.lock("unpacked")?;
    if let (false, Some(unpacked)) = (cx.update, newest_in(all)) {
        return Ok(unpacked);
    }
    let apt = Apt::open(cx)?;
    let candidates = apt.versions(package)?;
    let found = candidates
        .into_iter()
        .find(|candidate| candidate.suite == suite);
    let Some(Candidate { version, .. }) = found else {
        bail!("Debian's mirror has no {package} in {suite}");
    };
    let tree = all.join(&version);
    if !tree.exists() {
        cx.say(format!("fetching {package} {version} of {suite}"));
        cx.fill(&tree, |cx, partial| unpack(cx, &apt, &version, partial))?;
    }
    Ok(Unpacked { tree, version })
}

/// The newest version that is unpacked in a folder.
fn newest_in(all: &Path) -> Option<Unpacked> {
    let entries = std::fs::read_dir(all).ok()?.flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let names = names.filter(|name| !name.ends_with(".partial"));
    let version =
        names.max_by_key(|name| (upstream(name).parse::<Version>().ok(), name.clone()))?;
    Some(Unpacked {
        tree: all.join(&version),
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_taken_with_what_it_needs_and_loads() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("unpacked");
        let (packages, target) = (root.join("packages"), root.join("target"));
        let (bin, lib) = (packages.join("usr/bin"), packages.join("usr/lib"));
        for folder in [&bin, &lib] {
            create_dir(folder).unwrap();
        }
        std::fs::copy("/usr/bin/true", bin.join("true")).unwrap();
        for name in ["libc.so.6", "ld-linux-x86-64.so.2", "libm.so.6"] {
            let host = Path::new("/lib/x86_64-linux-gnu").join(name);
            std::fs::copy(host, lib.join(name)).unwrap();
        }
        let program = |loads| Program {
            package: "coreutils",
            path: "/usr/bin/true",
            loads,
        };
        take(&program(&["libm.so"]), &packages, &target).unwrap();
        for file in [
            "bin/true",
            "lib/libc.so.6",
            "lib/ld-linux-x86-64.so.2",
            "lib/libm.so.6",
        ] {
            assert!(target.join(file).is_file(), "{file}");
        }
        let error = take(&program(&["libnone.so"]), &packages, &target).unwrap_err();
        assert!(error.to_string().contains("libnone.so"), "{error}");
        remove_dir(&root).unwrap();
    }
}
