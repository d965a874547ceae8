// SPDX-License-Identifier: GPL-2.0

//! The Rust toolchain of the clone, and the library sources that match it.

use std::path::PathBuf;

use anyhow::{bail, Context as _, Result};

use crate::apt::{Apt, Candidate};
use crate::command::{command, find_program, output};
use crate::context::Context;
use crate::version::{find_version, upstream};

/// The rustc that builds the kernel and the module.
pub(crate) struct Rust {
    /// What `rustc --version` prints.
    pub(crate) text: String,
    /// Its version, for example `1.95.0`.
    pub(crate) version: String,
    /// Where it lives; its own programs are called directly, whatever the current directory.
    pub(crate) sysroot: PathBuf,
}

/// Finds the rustc that is meant in the clone.
pub(crate) fn find(cx: &Context<'_>) -> Result<Rust> {
    let ask =
        |argument: &[&str]| output(command("rustc").args(argument).current_dir(&cx.repository));
    let text =
        ask(&["--version"]).context("no rustc: install the toolchain that rust-toolchain names")?;
    let version = find_version(&text)
        .with_context(|| format!("rustc gives no version: {text}"))?
        .to_owned();
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?);
    Ok(Rust {
        text,
        version,
        sysroot,
    })
}

/// Finds or fetches the library sources of exactly this rustc.
pub(crate) fn ensure_sources(cx: &mut Context<'_>, rust: &Rust) -> Result<PathBuf> {
    let own = rust.sysroot.join("lib/rustlib/src/rust/library");
    let tree = cx.cache.join(format!("rust-src-{}", rust.version));
    let unpacked = tree.join(format!("usr/src/rustc-{}/library", rust.version));
    let there = || {
        [&own, &unpacked]
            .into_iter()
            .find(|path| path.join("core/src/lib.rs").exists())
            .cloned()
    };
    if let Some(path) = there() {
        return Ok(path);
    }
    let _lock = cx.lock("rust-src")?;
    if let Some(path) = there() {
        return Ok(path);
    }
    if find_program("rustup").is_some() && rust.sysroot.as_os_str() != "/usr" {
        cx.say(format!("adding rust-src {} with rustup", rust.version));
        let mut rustup = command("rustup");
        rustup.args(["component", "add", "rust-src"]);
        match output(rustup.current_dir(&cx.repository)) {
            Ok(_) if own.join("core/src/lib.rs").exists() => return Ok(own),
            _ => cx.say("rustup cannot add it here; trying the distribution's package"),
        }
    }
    let apt = Apt::open(cx)?;
    let version = choose(&apt.versions("rust-src")?, &rust.version)?;
    cx.say(format!("fetching rust-src {version} (about 45 MB)"));
    cx.fill(&tree, |cx, partial| {
        apt.unpack(cx, "rust-src", &version, partial)
    })?;
    there().with_context(|| format!("rust-src {version} has no {}", unpacked.display()))
}

/// The version of the package that has the sources of rustc `wanted`.
fn choose(candidates: &[Candidate], wanted: &str) -> Result<String> {
    if let Some(found) = candidates
        .iter()
        .find(|found| upstream(&found.version) == wanted)
    {
        return Ok(found.version.clone());
    }
    let mut versions: Vec<_> = candidates
        .iter()
        .map(|found| upstream(&found.version))
        .collect();
    versions.dedup();
    bail!(
        "no rust-src for rustc {wanted}: Debian has {}; \
         `rustup component add rust-src` or one of these versions of rustc would do",
        versions.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_version_of_rustc_will_do() {
        let candidate = |version: &str| Candidate {
            version: version.to_owned(),
            suite: "sid".to_owned(),
        };
        let all = [
            candidate("1.97.1+dfsg1-1"),
            candidate("1.95.0+dfsg1-2~bpo13+1"),
            candidate("1.85.1+dfsg1-1+deb13u1"),
        ];
        assert_eq!(choose(&all, "1.95.0").unwrap(), "1.95.0+dfsg1-2~bpo13+1");
        let error = choose(&all, "1.95.1").unwrap_err().to_string();
        assert!(error.contains("1.97.1, 1.95.0, 1.85.1"), "{error}");
    }
}
