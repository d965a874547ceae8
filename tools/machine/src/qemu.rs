// SPDX-License-Identifier: GPL-2.0

//! QEMU: the distribution's, and a newer one with its libraries, unpacked beside, for what needs
//! it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context as _, Result};

use crate::apt::{Apt, Candidate};
use crate::command::{command, find_program, output};
use crate::context::Context;
use crate::version::{at_least, find_version, upstream, Version};
use crate::Arch;

/// The oldest QEMU that runs the tests.
const LEAST: &str = "7.2";

/// The oldest QEMU that has devices over vfio-user.
const LEAST_VFIO_USER: &str = "10.1";

/// The oldest QEMU whose TCG is trusted with several processors.
///
/// Before 8.1, a guest dies once in some hundred boots of a breakpoint that the kernel has already
/// removed ("Oops: int3"); with 11.1.3 that was seen once. With 10.0, one of four processors stood
/// still once in some hundred suspends: after S3 its timer did not fire ("rcu: Possible timer
/// handling issue").
const LEAST_PARALLEL_TCG: &str = LEAST_VFIO_USER;

/// The package for the host's architecture and its program.
const PACKAGE: &str = "qemu-system-x86";
const PROGRAM: &str = "qemu-system-x86_64";

/// The suite that is preferred: its packages go with the libraries of a release.
const SUITE: &str = "trixie-backports";

/// A QEMU that runs.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// The program and its leading arguments.
    pub command: Vec<OsString>,
    /// Its version, for example `11.1.3`.
    pub version: String,
    /// Whether its balloons have MSI-X.
    pub balloon_msix: bool,
    /// Whether TCG runs a guest of several processors reliably.
    pub parallel_tcg: bool,
}

/// The package that has the QEMU for an architecture.
pub(crate) fn package(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => PACKAGE,
        Arch::Arm64 => "qemu-system-arm",
    }
}

fn program(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => PROGRAM,
        Arch::Arm64 => "qemu-system-aarch64",
    }
}

/// The machine's own for an architecture, if it is new enough.
pub(crate) fn own(arch: Arch) -> Option<Qemu> {
    own_of(arch, LEAST)
}

fn own_of(arch: Arch, least: &str) -> Option<Qemu> {
    let path = find_program(program(arch))?;
    check(vec![path.into_os_string()], least)
}

/// Makes sure that there is one with devices over vfio-user and a reliable TCG.
pub(crate) fn ensure_newer(cx: &mut Context<'_>) -> Result<Qemu> {
    if let Some(own) = own_of(Arch::Amd64, LEAST_VFIO_USER) {
        return Ok(own);
    }
    let root = cx.cache.join("qemu");
    if !cx.update {
        if let Some(qemu) = newest_in(&root) {
            return Ok(qemu);
        }
    }
    let _lock = cx.lock("qemu")?;
    if let (false, Some(qemu)) = (cx.update, newest_in(&root)) {
        return Ok(qemu);
    }
    let apt = Apt::open(cx)?;
    let candidate = choose(&apt.versions(PACKAGE)?)?;
    let tree = root.join(upstream(&candidate.version));
    if !tree.exists() {
        cx.say(format!(
            "fetching QEMU {} with its libraries (about 70 MB) and unpacking it",
            candidate.version
        ));
        cx.fill(&tree, |cx, partial| {
            let package = format!("{PACKAGE}={}", candidate.version);
            apt.unpack_closure(cx, "QEMU", &[package], &candidate.suite, partial)
        })?;
    }
    check(unpacked(&tree), LEAST_VFIO_USER)
        .with_context(|| format!("QEMU in {} does not run here", tree.display()))
}

/// The version to fetch: of the preferred suite if that is new enough, else the newest.
fn choose(candidates: &[Candidate]) -> Result<Candidate> {
    let fits = |candidate: &&Candidate| at_least(upstream(&candidate.version), LEAST_VFIO_USER);
    let preferred = candidates
        .iter()
        .filter(fits)
        .find(|candidate| candidate.suite == SUITE);
    match preferred.or_else(|| candidates.iter().find(fits)) {
        Some(candidate) => Ok(candidate.clone()),
        None => bail!("Debian's mirror has no {PACKAGE} of version {LEAST_VFIO_USER} or newer"),
    }
}

fn newest_in(root: &Path) -> Option<Qemu> {
    let entries = fs::read_dir(root).ok()?.flatten();
    let mut trees: Vec<(Version, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    trees.sort();
    trees
        .iter()
        .rev()
        .find_map(|(_, tree)| check(unpacked(tree), LEAST_VFIO_USER))
}

/// The command for a QEMU unpacked in `tree`: run by its own dynamic linker, on its own libraries.
fn unpacked(tree: &Path) -> Vec<OsString> {
    let usr = tree.join("usr");
    let share = usr.join("share");
    vec![
        usr.join("lib64/ld-linux-x86-64.so.2").into(),
        "--library-path".into(),
        usr.join("lib/x86_64-linux-gnu").into(),
        usr.join("bin").join(PROGRAM).into(),
        "-L".into(),
        share.join("qemu").into(),
        "-L".into(),
        share.join("seabios").into(),
    ]
}

/// Gives the QEMU that `words` start if it runs and is at least this new.
fn check(words: Vec<OsString>, least: &str) -> Option<Qemu> {
    let (program, arguments) = words.split_first()?;
    let says = |question: &[&str]| output(command(program).args(arguments).args(question)).ok();
    let version = find_version(&says(&["--version"])?)?.to_owned();
    if !at_least(&version, least) {
        return None;
    }
    let balloon = says(&["-device", "virtio-balloon-pci,help"])?;
    Some(Qemu {
        command: words,
        parallel_tcg: at_least(&version, LEAST_PARALLEL_TCG),
        version,
        balloon_msix: balloon.contains(" vectors="),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(version: &str, suite: &str) -> Candidate {
        Candidate {
            version: version.to_owned(),
            suite: suite.to_owned(),
        }
    }

    #[test]
    fn backports_are_preferred_while_they_are_new_enough() {
        let sid = candidate("1:11.1.3+ds-1", "sid");
        let backport = candidate("1:11.1.3+ds-1~bpo13+1", SUITE);
        let release = candidate("1:10.0.13+ds-0+deb13u1", "trixie");
        let all = [sid.clone(), backport.clone(), release.clone()];
        assert_eq!(choose(&all).unwrap(), backport);
        let old = candidate("1:10.0.13+ds-1~bpo13+1", SUITE);
        assert_eq!(choose(&[sid.clone(), old, release.clone()]).unwrap(), sid);
        assert!(choose(&[release]).is_err());
    }
}
