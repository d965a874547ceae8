// SPDX-License-Identifier: GPL-2.0

//! A static busybox: the machine's own, else Debian's unpacked beside, never in its place.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::apt::Apt;
use crate::command::command;
use crate::context::Context;

/// Where the distribution installs it.
const INSTALLED: [&str; 2] = ["/usr/bin/busybox", "/bin/busybox"];

/// Makes sure that there is one.
///
/// The packages busybox and busybox-static exclude each other, and many machines have the first.
pub(crate) fn ensure(cx: &mut Context<'_>) -> Result<PathBuf> {
    let tree = cx.cache.join("busybox");
    let unpacked = INSTALLED.map(|path| tree.join(path.trim_start_matches('/')));
    let there = || {
        INSTALLED
            .iter()
            .map(PathBuf::from)
            .chain(unpacked.clone())
            .find(|path| is_static(path))
    };
    if let Some(path) = there() {
        return Ok(path);
    }
    let _lock = cx.lock("busybox")?;
    if let Some(path) = there() {
        return Ok(path);
    }
    let apt = Apt::open(cx)?;
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

/// Whether the program at `path` is there and needs no dynamic linker.
fn is_static(path: &Path) -> bool {
    path.is_file()
        && command("ldd").arg(path).output().is_ok_and(|result| {
            let text = [result.stdout, result.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            text.contains("not a dynamic executable") || text.contains("statically linked")
        })
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
