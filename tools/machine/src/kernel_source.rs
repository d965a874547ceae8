// SPDX-License-Identifier: GPL-2.0

//! The kernel's source: the distribution's newest package of the series, unpacked in the cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context as _, Result};

use crate::apt::{Apt, Candidate};
use crate::command::{command, elapsed, output, run_long};
use crate::context::{remove_dir, Context};
use crate::version::{compare, newest};
use crate::Series;

/// A kernel source tree.
pub(crate) struct Source {
    pub(crate) tree: PathBuf,
    /// What tells this source from others; a tree of the user's is told by its path too.
    pub(crate) identity: String,
    /// Whether the tree may change between two builds.
    pub(crate) may_change: bool,
}

/// Finds the source that the user gave.
pub(crate) fn given(tree: &Path, series: &Series) -> Result<Source> {
    let tree = fs::canonicalize(tree)
        .with_context(|| format!("KERNEL_SRC={} is not there", tree.display()))?;
    if !tree.join("scripts/kconfig/merge_config.sh").exists() {
        bail!("KERNEL_SRC={} is no kernel source tree", tree.display());
    }
    let version = output(
        command("make")
            .arg("-s")
            .arg("-C")
            .arg(&tree)
            .arg("kernelversion"),
    )?;
    if *series != Series::Next && !series.has(&version) {
        bail!(
            "KERNEL_SRC={} is Linux {version}, and SERIES is {series}",
            tree.display()
        );
    }
    Ok(Source {
        identity: format!("{version} {}", tree.display()),
        tree,
        may_change: true,
    })
}

/// Makes sure that the distribution's source is in the cache.
pub(crate) fn ensure(cx: &mut Context<'_>, series: &Series) -> Result<Source> {
    let root = cx.cache.join("source");
    if !cx.update {
        if let Some(source) = newest_in(&root, series) {
            return Ok(source);
        }
    }
    let _lock = cx.lock("source")?;
    if let (false, Some(source)) = (cx.update, newest_in(&root, series)) {
        return Ok(source);
    }
    let apt = Apt::open(cx)?;
    let package = format!("linux-source-{series}");
    let version = choose(&apt.versions(&package)?, series)?;
    let tree = root.join(format!("linux-{version}"));
    if !tree.exists() {
        cx.say(format!(
            "fetching {package} {version} (about 170 MB) and unpacking it (about 1.7 GB, 2 minutes)"
        ));
        cx.fill(&tree, |cx, partial| {
            unpack(cx, &apt, &package, &version, partial)
        })?;
        cx.say(format!("kernel source: {}", tree.display()));
    }
    newest_in(&root, series).context("the kernel source vanished from the cache")
}

fn unpack(
    cx: &mut Context<'_>,
    apt: &Apt,
    package: &str,
    version: &str,
    target: &Path,
) -> Result<()> {
    let files = target.join("package");
    apt.unpack(cx, package, version, &files)?;
    let archive = files.join(format!("usr/src/{package}.tar.xz"));
    let log = cx.log("source")?;
    let mut tar = command("tar");
    tar.arg("-C").arg(target);
    tar.args(["--strip-components=1", "-xf"]).arg(archive);
    run_long(cx, &mut tar, &log, elapsed("unpacking the kernel source"))?;
    remove_dir(&files)
}

/// The newest release among the versions of the package; release candidates do not count.
fn choose(candidates: &[Candidate], series: &Series) -> Result<String> {
    let newest = candidates
        .iter()
        .filter(|candidate| series.has(&candidate.version))
        .max_by(|a, b| compare(&a.version, &b.version));
    match newest {
        Some(candidate) => Ok(candidate.version.clone()),
        None => bail!(
            "Debian has no release of Linux {series} now ({} pre-releases); give one by KERNEL_SRC=",
            candidates.len()
        ),
    }
}

/// The newest complete source of a series in the cache.
fn newest_in(root: &Path, series: &Series) -> Option<Source> {
    let entries = fs::read_dir(root).ok()?.flatten();
    let found = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let debian = name.strip_prefix("linux-")?;
        let ours = series.has(debian);
        (ours && !debian.ends_with(".partial")).then(|| (debian.to_owned(), entry.path()))
    });
    newest(found).map(|(identity, tree)| Source {
        tree,
        identity,
        may_change: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(versions: &[&str]) -> Vec<Candidate> {
        let candidate = |version: &&str| Candidate {
            version: (*version).to_owned(),
            suite: "sid".to_owned(),
        };
        versions.iter().map(candidate).collect()
    }

    #[test]
    fn the_newest_release_is_taken() {
        let versions = ["7.3.10-1", "7.3.9-1~bpo13+1", "7.3~rc7-1~exp1"];
        assert_eq!(
            choose(&candidates(&versions), &Series::default()).unwrap(),
            "7.3.10-1"
        );
        let versions = ["7.3.4-9", "7.3.4-10", "7.3.4-1~bpo13+1"];
        assert_eq!(
            choose(&candidates(&versions), &Series::default()).unwrap(),
            "7.3.4-10"
        );
    }

    #[test]
    fn a_release_candidate_is_no_release() {
        let error = choose(&candidates(&["7.3~rc7-1~exp1"]), &Series::default()).unwrap_err();
        assert!(error.to_string().contains("KERNEL_SRC="), "{error}");
    }

    #[test]
    fn unfinished_sources_and_other_series_in_the_cache_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("source");
        for name in [
            "linux-7.3.4-1",
            "linux-7.3.10-1~bpo13+1",
            "linux-7.3.12-1.partial",
            "linux-7.2.13-1",
            "x",
        ] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let source = |series: &str| newest_in(&root, &series.parse().unwrap());
        assert_eq!(source("7.3").unwrap().identity, "7.3.10-1~bpo13+1");
        assert_eq!(source("7.2").unwrap().identity, "7.2.13-1");
        fs::remove_dir_all(&root).unwrap();
        assert!(source("7.3").is_none());
    }
}
