// SPDX-License-Identifier: GPL-2.0

//! Debian's own kernel of any series, as far as it takes to boot it: the image and its modules.
//!
//! Nothing can be built for it, so neither its headers nor its source nor its compilers are
//! fetched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::apt::{Apt, Candidate};
use crate::command::find_program;
use crate::context::Context;
use crate::guest_modules::{self, Modules};
use crate::stock::Wanted;
use crate::version::{compare, newest};
use crate::Series;

/// The packages of a kernel that comes in parts, as far as it takes to boot it.
const PARTS: [&str; 3] = ["base", "binary", "modules"];

/// A kernel to boot.
pub(crate) struct Image {
    pub(crate) bzimage: PathBuf,
    /// What `uname -r` says.
    pub(crate) release: String,
    pub(crate) modules: Modules,
}

/// The packages of a kernel that the mirror has.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Packages {
    release: String,
    version: String,
    /// Those with the image, the modules and the lists of modules; one has all of them up to Linux
    /// 7.2.
    names: Vec<String>,
}

/// Makes sure that the packages of the newest kernel of those that are wanted are unpacked in the
/// cache; gives its release and its folder.
pub(crate) fn ensure_packages(cx: &mut Context<'_>, wanted: &Wanted) -> Result<(String, PathBuf)> {
    let all = cx.cache.join("images");
    let there = |cx: &Context<'_>| {
        let newest = newest_in(&all, &wanted.series, wanted.flavour);
        newest.filter(|_| !cx.update)
    };
    if let Some(found) = there(cx) {
        return Ok(found);
    }
    let _lock = cx.lock("images")?;
    match there(cx) {
        Some(found) => Ok(found),
        None => fetch(cx, &all, wanted),
    }
}

/// Makes sure that the newest image of those that are wanted and its modules are in the cache.
pub(crate) fn ensure(cx: &mut Context<'_>, wanted: &Wanted) -> Result<Image> {
    let (release, root) = ensure_packages(cx, wanted)?;
    let packages = packages(&root);
    let folder = ["usr/lib/modules", "lib/modules"]
        .map(|folder| packages.join(folder).join(&release))
        .into_iter()
        .find(|folder| folder.exists());
    let folder = folder.with_context(|| format!("{} has no modules", root.display()))?;
    let boot = packages.join(format!("boot/vmlinuz-{release}"));
    let bzimage = [folder.join("vmlinuz"), boot]
        .into_iter()
        .find(|path| path.exists());
    let xz = find_program("xz").context("there is no xz although its package is installed")?;
    Ok(Image {
        bzimage: bzimage.with_context(|| format!("{} has no kernel", root.display()))?,
        modules: guest_modules::unpacked(cx, &folder, &root.join("modules"), &xz)?,
        release,
    })
}

/// Where the packages of the kernel in this folder are unpacked.
pub(crate) fn packages(root: &Path) -> PathBuf {
    root.join("packages")
}

/// Fetches the newest image of the series; gives its release and its folder.
fn fetch(cx: &mut Context<'_>, all: &Path, wanted: &Wanted) -> Result<(String, PathBuf)> {
    let Wanted {
        series, flavour, ..
    } = wanted;
    let apt = Apt::open_for(cx, wanted.arch)?;
    let mut names = BTreeSet::new();
    for what in PARTS.iter().chain(&["image"]) {
        names.extend(apt.names(&format!("linux-{what}-{}", series.prefix()))?);
    }
    let names: Vec<_> = names.into_iter().collect();
    let mut candidates: Vec<_> = match names.is_empty() {
        true => Vec::new(),
        false => apt.versions_of(&names)?.into_iter().collect(),
    };
    for (_, versions) in &mut candidates {
        versions.retain(|candidate| series.has(&candidate.version));
    }
    let best = choose(&candidates, flavour);
    let best = best.with_context(|| {
        format!("Debian's mirror has no kernel {flavour} of Linux {series}: give another SERIES=")
    })?;
    let root = all.join(format!("{}_{}", best.release, best.version));
    let of_version = |name| format!("{name}={}", best.version);
    let names: Vec<_> = best.names.iter().map(of_version).collect();
    cx.say(format!(
        "fetching Debian's kernel {} with its modules (about 110 MB)",
        best.release
    ));
    cx.fill(&root, |cx, partial| {
        apt.unpack_all(cx, "the kernel", &names, &packages(partial))
    })?;
    Ok((best.release, root))
}

/// The packages of the newest signed kernel of a flavour.
fn choose(candidates: &[(String, Vec<Candidate>)], flavour: &str) -> Option<Packages> {
    let versions = |name: &str| {
        let found = candidates.iter().find(|(package, _)| package == name);
        let versions = found.into_iter().flat_map(|(_, versions)| versions);
        versions.map(|candidate| candidate.version.as_str())
    };
    let kernels = candidates.iter().filter_map(|(package, _)| {
        let release = package.strip_prefix("linux-image-")?;
        (flavour_of(release)? == flavour).then_some(release)
    });
    let all = kernels.flat_map(|release| {
        let image = format!("linux-image-{release}");
        let parts = PARTS.map(|what| format!("linux-{what}-{release}"));
        let found = versions(&image).map(str::to_owned).collect::<Vec<_>>();
        found.into_iter().map(move |version| Packages {
            release: release.to_owned(),
            names: match parts
                .iter()
                .all(|part| versions(part).any(|v| v == version))
            {
                true => parts.to_vec(),
                false => vec![image.clone()],
            },
            version,
        })
    });
    all.max_by(|a, b| compare(&a.version, &b.version))
}

/// The flavour in a release: `amd64` of `6.1.0-47-amd64` and of `7.3.4+deb13-amd64`. None if it is
/// of no flavour, as in the name of a package with debugging information.
fn flavour_of(release: &str) -> Option<&str> {
    let (_, rest) = release.split_once('-')?;
    let numbered = rest.split_once('-');
    let flavour = match numbered {
        Some((number, flavour)) if number.parse::<u32>().is_ok() => flavour,
        _ => rest,
    };
    Some(flavour)
}

/// The newest image of a series and a flavour in the cache: its release and its folder.
fn newest_in(all: &Path, series: &Series, flavour: &str) -> Option<(String, PathBuf)> {
    let entries = fs::read_dir(all).ok()?.flatten();
    let found = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let (release, version) = name.split_once('_')?;
        let ours = series.has(version) && flavour_of(release)? == flavour;
        if !ours || version.ends_with(".partial") {
            return None;
        }
        Some((version.to_owned(), (release.to_owned(), entry.path())))
    });
    newest(found).map(|(_, image)| image)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(packages: &[(&str, &str)]) -> Vec<(String, Vec<Candidate>)> {
        let candidate = |(name, version): &(&str, &str)| {
            let candidate = Candidate {
                version: (*version).to_owned(),
                suite: "stable".to_owned(),
            };
            ((*name).to_owned(), vec![candidate])
        };
        packages.iter().map(candidate).collect()
    }

    #[test]
    fn the_newest_signed_image_of_a_flavour_is_taken() {
        let all = candidates(&[
            ("linux-image-6.1.0-47-amd64", "6.1.170-3"),
            ("linux-image-6.1.0-9-amd64", "6.1.27-1"),
            ("linux-image-6.1.0-50-amd64-unsigned", "6.1.176-1"),
            ("linux-image-6.1.0-50-cloud-amd64", "6.1.176-1"),
            ("linux-image-6.1.0-50-amd64-dbg", "6.1.176-1"),
        ]);
        let found = choose(&all, "amd64").unwrap();
        assert_eq!(found.release, "6.1.0-47-amd64");
        assert_eq!(found.names, ["linux-image-6.1.0-47-amd64"]);
        let cloud = choose(&all, "cloud-amd64").unwrap();
        assert_eq!(cloud.version, "6.1.176-1");
        assert_eq!(choose(&all, "rt-amd64"), None);
    }

    #[test]
    fn an_image_in_parts_is_both() {
        let all = candidates(&[
            ("linux-base-7.3.4+deb13-amd64", "7.3.4-1"),
            ("linux-binary-7.3.4+deb13-amd64", "7.3.4-1"),
            ("linux-image-7.3-amd64", "7.3~rc7-1"),
            ("linux-image-7.3.4+deb13-amd64", "7.3.4-1"),
            ("linux-modules-7.3.4+deb13-amd64", "7.3.4-1"),
        ]);
        let found = choose(&all, "amd64").unwrap();
        assert_eq!(
            found.names,
            [
                "linux-base-7.3.4+deb13-amd64",
                "linux-binary-7.3.4+deb13-amd64",
                "linux-modules-7.3.4+deb13-amd64"
            ]
        );
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let old = candidates(&[
            ("linux-image-6.1.0-9-cloud-amd64", "6.1.27-1"),
            ("linux-image-6.1.0-56-cloud-amd64", "6.1.180-1"),
            ("linux-image-6.1.0-56-cloud-amd64-unsigned", "6.1.180-1"),
            ("linux-image-6.1.0-57-amd64", "6.1.181-1"),
        ]);
        let found = choose(&old, "cloud-amd64").unwrap();
        assert_eq!(found.names, ["linux-image-6.1.0-56-cloud-amd64"]);
        let part = |what: &str, release: &str| format!("linux-{what}-{release}-cloud-amd64");
        let new: Vec<_> = [
            ("image", "7.2.9+deb13", "7.2.9-1"),
            ("base", "7.2.9+deb13", "7.2.9-1"),
            ("binary", "7.2.9+deb13", "7.2.9-1"),
            ("modules", "7.2.9+deb13", "7.2.9-1"),
            ("image", "7.2.12+deb13", "7.2.12-1"),
            ("base", "7.2.12+deb13", "7.2.12-1"),
            ("binary", "7.2.12+deb13", "7.2.12-1"),
            ("modules", "7.2.12+deb13", "7.2.12-1"),
            ("binary-unsigned", "7.2.13+deb14", "7.2.13-1"),
        ]
        .map(|(what, release, version)| (part(what, release), version))
        .into();
        let new: Vec<_> = new.iter().map(|(name, v)| (name.as_str(), *v)).collect();
        let found = choose(&candidates(&new), "cloud-amd64").unwrap();
        let expected = PARTS.map(|what| part(what, "7.2.12+deb13"));
        assert_eq!(found.names, expected);
        for other in [
            "linux-image-7.2.9+deb13-amd64",
            "linux-binary-unsigned-7.3-cloud-amd64",
        ] {
            assert_eq!(
                choose(&candidates(&[(other, "7.3-1")]), "cloud-amd64"),
                None
            );
        }
    }

    #[test]
    fn series_and_flavour_tell_images_apart() {
        let folder = tempfile::tempdir().unwrap();
        let all = folder.path().join("images");
        for name in [
            "6.1.0-9-amd64_6.1.27-1",
            "6.1.0-47-amd64_6.1.170-10",
            "6.1.0-47-amd64_6.1.170-9",
            "6.1.0-50-amd64_6.1.176-1.partial",
            "6.12.1+deb13-amd64_6.12.1-1",
            "6.1.0-60-rt-amd64_6.1.200-1",
        ] {
            fs::create_dir_all(all.join(name)).unwrap();
        }
        let newest = |series: &str, flavour| {
            newest_in(&all, &series.parse().unwrap(), flavour).map(|(_, root)| root)
        };
        let root = |name| Some(all.join(name));
        assert_eq!(newest("6.1", "amd64"), root("6.1.0-47-amd64_6.1.170-10"));
        assert_eq!(newest("6.12", "amd64"), root("6.12.1+deb13-amd64_6.12.1-1"));
        assert_eq!(newest("6.1", "cloud-amd64"), None);
    }
}
