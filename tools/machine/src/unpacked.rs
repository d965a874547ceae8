// SPDX-License-Identifier: GPL-2.0

//! Packages of any suite, unpacked beside: firmware.

use std::path::{Path, PathBuf};

use anyhow::{bail, Result};

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
