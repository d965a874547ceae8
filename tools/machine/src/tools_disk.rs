// SPDX-License-Identifier: GPL-2.0

//! The tools disk: an ext4 image with programs for the guest and every library that they need.
//!
//! The guest mounts it anywhere and runs `bin/fio` and its like, a script that starts the real
//! program by the dynamic linker of the disk: nothing of it has to be at a fixed place.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{bail, Context as _, Result};

use crate::apt::Apt;
use crate::command::{command, find_program, output, size};
use crate::context::{create_dir, digest, write, Context};
use crate::libraries;
use crate::Arch;

/// The programs, each of the package of that name.
const PROGRAMS: [&str; 3] = ["ethtool", "fio", "setserial"];

/// The suite whose programs run on other architectures.
const SUITE: &str = "trixie";

/// The script that starts the program of its own name by a dynamic linker.
fn wrapper(linker: &str) -> String {
    format!(
        "\
#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Starts a program of this disk by the dynamic linker and on the libraries of this disk.
disk=${{0%/*}}/..
exec \"$disk/lib/{linker}\" --library-path \"$disk/lib\" \"$disk/bin/${{0##*/}}.real\" \"$@\"
"
    )
}

/// What goes on a disk.
struct Content {
    arch: Arch,
    /// As in [`PROGRAMS`].
    programs: Vec<PathBuf>,
    /// All that they need, the dynamic linker among them.
    libraries: Vec<PathBuf>,
}

/// Makes the image for an architecture if there is none for these programs and their libraries.
pub(crate) fn ensure(cx: &mut Context<'_>, arch: Arch) -> Result<PathBuf> {
    let content = match arch {
        Arch::Amd64 => of_machine()?,
        Arch::Arm64 => of_packages(cx, arch)?,
    };
    let root = cx.cache.join("guest-tools");
    let root = root.join(format!("{arch}-{}", content.key()?));
    let image = root.join("tools.ext4");
    if image.exists() {
        return Ok(image);
    }
    let _lock = cx.lock("guest-tools")?;
    if image.exists() {
        return Ok(image);
    }
    cx.say("making the tools disk: fio and others with their libraries (a few seconds)");
    cx.fill(&root, |_, partial| {
        let stage = partial.join("stage");
        content.fill(&stage)?;
        let name = image.file_name().unwrap_or_default();
        make_image(&stage, &partial.join(name))?;
        crate::context::remove_dir(&stage)
    })?;
    Ok(image)
}

/// The programs of this machine.
fn of_machine() -> Result<Content> {
    let mut programs = Vec::new();
    let mut libraries = BTreeSet::new();
    for name in PROGRAMS {
        let program = find_program(name)
            .with_context(|| format!("there is no {name} although its package is installed"))?;
        libraries.extend(parse_ldd(name, &output(command("ldd").arg(&program))?)?);
        programs.push(program);
    }
    Ok(Content {
        arch: Arch::Amd64,
        programs,
        libraries: libraries.into_iter().collect(),
    })
}

/// The programs of another architecture, unpacked with all that they depend on.
fn of_packages(cx: &mut Context<'_>, arch: Arch) -> Result<Content> {
    let name = format!("guest-programs-{arch}");
    let tree = cx.cache.join(&name);
    if !tree.exists() {
        let _lock = cx.lock(&name)?;
        if !tree.exists() {
            cx.say(format!(
                "fetching fio and others for {arch} with their libraries (about 40 MB)"
            ));
            let apt = Apt::open_for(cx, arch)?;
            cx.fill(&tree, |cx, partial| {
                let packages = PROGRAMS.map(str::to_owned);
                apt.unpack_closure(cx, "the guest's programs", &packages, SUITE, partial)
            })?;
        }
    }
    let files = libraries::all(&tree);
    let mut programs = Vec::new();
    let mut libraries = BTreeSet::new();
    for name in PROGRAMS {
        let places = ["usr/bin", "usr/sbin", "bin", "sbin"];
        let mut places = places.map(|place| tree.join(place).join(name)).into_iter();
        let program = places
            .find(|path| path.is_file())
            .with_context(|| format!("the package {name} for {arch} has no program {name}"))?;
        let needed = libraries::needed(&program, arch, &files)?;
        libraries.extend(needed);
        programs.push(program);
    }
    Ok(Content {
        arch,
        programs,
        libraries: libraries.into_iter().collect(),
    })
}

/// The libraries that `ldd` lists for a program, the dynamic linker among them.
fn parse_ldd(program: &str, text: &str) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for line in text.lines().map(str::trim) {
        let (name, path) = line.split_once(" => ").unwrap_or((line, line));
        if path.starts_with("not found") {
            bail!("{program} lacks the library {name}");
        }
        let path = path.split_whitespace().next().unwrap_or_default();
        if path.starts_with('/') {
            libraries.push(PathBuf::from(path));
        }
    }
    let linker = Arch::Amd64.linker();
    if !libraries.iter().any(|path| path.ends_with(linker)) {
        bail!("ldd lists no {linker} for {program}");
    }
    Ok(libraries)
}

impl Content {
    /// What tells one disk from another: size and time of each file that goes on it.
    fn key(&self) -> Result<String> {
        let mut text = wrapper(self.arch.linker());
        for path in self.programs.iter().chain(&self.libraries) {
            let data = fs::metadata(path).with_context(|| format!("no {}", path.display()))?;
            let time = data.modified()?.duration_since(UNIX_EPOCH)?.as_secs();
            text += &format!("{}|{}|{time}\n", path.display(), data.len());
        }
        Ok(digest(&text))
    }

    fn fill(&self, stage: &Path) -> Result<()> {
        let (bin, lib) = (stage.join("bin"), stage.join("lib"));
        create_dir(&bin)?;
        create_dir(&lib)?;
        for library in &self.libraries {
            copy(library, &lib.join(library.file_name().unwrap_or_default()))?;
        }
        for (name, program) in PROGRAMS.iter().zip(&self.programs) {
            copy(program, &bin.join(format!("{name}.real")))?;
            let script = bin.join(name);
            write(&script, wrapper(self.arch.linker()))?;
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

fn make_image(stage: &Path, image: &Path) -> Result<()> {
    let mke2fs = find_program("mke2fs").unwrap_or_else(|| "/sbin/mke2fs".into());
    let megabytes = size(stage) / 1_000_000 * 11 / 10 + 8;
    output(
        command(mke2fs)
            .args([
                "-q",
                "-t",
                "ext4",
                "-L",
                "tools",
                "-O",
                "^has_journal",
                "-m",
                "0",
            ])
            .args(["-E", "root_owner=0:0", "-d"])
            .arg(stage)
            .arg(image)
            .arg(format!("{megabytes}M")),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LDD: &str = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                       \tlibaio.so.1 => /lib/x86_64-linux-gnu/libaio.so.1 (0x00007f)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";

    #[test]
    fn libraries_of_ldd() {
        let libraries = parse_ldd("fio", LDD).unwrap();
        assert_eq!(
            libraries,
            [
                PathBuf::from("/lib/x86_64-linux-gnu/libaio.so.1"),
                PathBuf::from("/lib64/ld-linux-x86-64.so.2")
            ]
        );
    }

    #[test]
    fn a_missing_library_is_an_error() {
        let broken = format!("{LDD}\tlibrbd.so.1 => not found\n");
        let error = parse_ldd("fio", &broken).unwrap_err().to_string();
        assert!(error.contains("librbd.so.1"), "{error}");
        assert!(parse_ldd("fio", "\tstatically linked\n").is_err());
    }

    #[test]
    fn the_disk_is_made_anew_when_a_file_changed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("tools");
        create_dir(&root).unwrap();
        let (fio, library) = (root.join("fio"), root.join("library"));
        write(&fio, "fio").unwrap();
        write(&library, "1").unwrap();
        let content = Content {
            arch: Arch::Amd64,
            programs: vec![fio],
            libraries: vec![library.clone()],
        };
        let before = content.key().unwrap();
        assert_eq!(before, content.key().unwrap());
        write(&library, "12").unwrap();
        assert_ne!(before, content.key().unwrap());
    }
}
