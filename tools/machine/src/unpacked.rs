// SPDX-License-Identifier: GPL-2.0

//! Packages of any suite, unpacked beside: firmware, and kernels of other series.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context as _, Result};

use crate::apt::{Apt, Candidate};
use crate::context::Context;
use crate::version::{upstream, Version};

/// A package that is unpacked.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// Where its files are.
    pub tree: PathBuf,
    /// Its version.
    pub version: String,
}

/// Makes sure that a package is unpacked, in the version that a suite has.
pub(crate) fn package(cx: &mut Context<'_>, package: &str, suite: &str) -> Result<Unpacked> {
    let all = cx.cache.join("unpacked").join(suite).join(package);
    let _lock = cx.lock("unpacked")?;
    if let (false, Some(unpacked)) = (cx.update, newest_in(&all)) {
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
        cx.fill(&tree, |cx, partial| {
            apt.unpack(cx, package, &version, partial)
        })?;
    }
    Ok(Unpacked { tree, version })
}

/// Makes sure that Debian's kernel of a series for cloud providers is unpacked, with its modules.
pub(crate) fn kernel(cx: &mut Context<'_>, series: &str) -> Result<PathBuf> {
    let all = cx.cache.join("unpacked/kernels").join(series);
    let _lock = cx.lock("unpacked")?;
    if let (false, Some(unpacked)) = (cx.update, newest_in(&all)) {
        return Ok(unpacked.tree);
    }
    let apt = Apt::open(cx)?;
    let mut names = Vec::new();
    for prefix in ["linux-image-", "linux-binary-"] {
        names.extend(apt.names(&format!("{prefix}{series}."))?);
    }
    let names = best(&names).with_context(|| format!("Debian's mirror has no kernel {series}"))?;
    let release = names[0]
        .splitn(3, '-')
        .last()
        .unwrap_or_default()
        .to_owned();
    let tree = all.join(&release);
    cx.say(format!("fetching Debian's kernel {release}"));
    cx.fill(&tree, |cx, partial| {
        apt.unpack_all(cx, "the kernel", &names, partial)
    })?;
    Ok(tree)
}

/// The packages of the newest kernel for cloud providers among these.
///
/// Up to 6.18 an image has its modules with it; later they are packages of their own.
fn best(names: &[String]) -> Option<Vec<String>> {
    let release = |name: &String| {
        let rest = name
            .strip_prefix("linux-image-")
            .or(name.strip_prefix("linux-binary-"))?;
        let own = rest.ends_with("-cloud-amd64") && !rest.starts_with("unsigned-");
        own.then(|| rest.to_owned())
    };
    let version = |release: &String| {
        let number = release.split(['-', '+']).next()?;
        let abi = release
            .split('-')
            .nth(1)
            .and_then(|abi| abi.parse::<u32>().ok());
        Some((number.parse::<Version>().ok()?, abi))
    };
    let releases = names.iter().filter_map(release);
    let newest = releases.max_by_key(version)?;
    let apart = format!("linux-binary-{newest}");
    Some(match names.contains(&apart) {
        true => vec![apart, format!("linux-modules-{newest}")],
        false => vec![format!("linux-image-{newest}")],
    })
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

    fn names(names: &[&str]) -> Option<Vec<String>> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        best(&names)
    }

    #[test]
    fn the_newest_kernel_is_taken_with_its_modules() {
        let old = names(&[
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64-unsigned",
            "linux-image-6.1.0-57-amd64",
        ]);
        assert_eq!(old.unwrap(), ["linux-image-6.1.0-56-cloud-amd64"]);
        let new = names(&[
            "linux-image-7.2.9+deb13-cloud-amd64",
            "linux-binary-7.2.9+deb13-cloud-amd64",
            "linux-image-7.2.12+deb13-cloud-amd64",
            "linux-binary-7.2.12+deb13-cloud-amd64",
            "linux-binary-unsigned-7.2.13+deb14-cloud-amd64",
        ]);
        let expected = [
            "linux-binary-7.2.12+deb13-cloud-amd64",
            "linux-modules-7.2.12+deb13-cloud-amd64",
        ];
        assert_eq!(new.unwrap(), expected);
        for other in [
            "linux-image-7.2.9+deb13-amd64",
            "linux-binary-unsigned-7.3-cloud-amd64",
        ] {
            assert_eq!(names(&[other]), None, "{other}");
        }
    }
}
