// SPDX-License-Identifier: GPL-2.0

//! A static busybox: the machine's own, else Debian's unpacked beside, never in its place.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::apt::Apt;
use crate::command::{command, output};
use crate::context::Context;
use crate::Arch;

/// Where the distribution installs it.
const INSTALLED: [&str; 2] = ["/usr/bin/busybox", "/bin/busybox"];

/// Makes sure that there is one for an architecture.
///
/// The packages busybox and busybox-static exclude each other, and many machines have the first.
pub(crate) fn ensure(cx: &mut Context<'_>, arch: Arch) -> Result<PathBuf> {
    let (name, own) = match arch {
        Arch::Amd64 => ("busybox".to_owned(), &INSTALLED[..]),
        Arch::Arm64 => (format!("busybox-{arch}"), &[][..]),
    };
    let tree = cx.cache.join(&name);
    let unpacked = INSTALLED.map(|path| tree.join(path.trim_start_matches('/')));
    let there = || {
        own.iter()
            .map(PathBuf::from)
            .chain(unpacked.clone())
            .find(|path| is_static(path))
    };
    if let Some(path) = there() {
        return Ok(path);
    }
    let _lock = cx.lock(&name)?;
    if let Some(path) = there() {
        return Ok(path);
    }
    let apt = Apt::open_for(cx, arch)?;
    let package = "busybox-static";
    let candidates = apt.versions(package)?;
    let candidate = candidates
        .iter()
        .find(|candidate| candidate.suite == "trixie")
        .or(candidates.first())
        .with_context(|| format!("Debian's mirror has no {package}"))?;
    cx.say(format!("fetching {package} {} (1 MB)", candidate.version));
    cx.fill(&tree, |cx, partial| {
        apt.unpack(cx, package, &candidate.version, partial)
    })?;
    there().with_context(|| format!("{package} in {} is not static", tree.display()))
}

/// Whether the program at `path`, of any architecture, is there and needs no dynamic linker.
fn is_static(path: &Path) -> bool {
    let headers = output(command("readelf").arg("-lW").arg(path));
    path.is_file() && headers.is_ok_and(|text| text.contains("LOAD") && !text.contains("INTERP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_with_libraries_is_not_static() {
        assert!(!is_static(Path::new("/bin/sh")));
        assert!(!is_static(Path::new("/nowhere/busybox")));
    }
}
