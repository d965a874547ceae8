// SPDX-License-Identifier: GPL-2.0

//! The tools disk: an ext4 image with programs for the guest and every library that they need.
//!
//! The guest mounts it anywhere and runs `bin/fio` and its like, a script that starts the real program
//! by the dynamic linker of the disk: nothing of it has to be at a fixed place.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{bail, Context as _, Result};

use crate::command::{command, find_program, output, size};
use crate::context::{create_dir, digest, write, Context};

/// The name of the dynamic linker, as `ldd` lists it and as the disk has it.
const LINKER: &str = "ld-linux-x86-64.so.2";

/// The programs, each of the package of that name.
pub(crate) const PROGRAMS: [&str; 3] = ["ethtool", "fio", "setserial"];

/// The script that starts a program.
const WRAPPER: &str = "\
#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Starts a program of this disk by the dynamic linker and on the libraries of this disk.
disk=${0%/*}/..
exec \"$disk/lib/ld-linux-x86-64.so.2\" --library-path \"$disk/lib\" \"$disk/bin/${0##*/}.real\" \"$@\"
";

/// Makes the image if there is none for these programs and their libraries.
pub(crate) fn ensure(cx: &mut Context<'_>) -> Result<PathBuf> {
    let mut programs = Vec::new();
    let mut libraries = BTreeSet::new();
    for name in PROGRAMS {
        let program = find_program(name)
            .with_context(|| format!("there is no {name} although its package is installed"))?;
        libraries.extend(parse_ldd(name, &output(command("ldd").arg(&program))?)?);
        programs.push(program);
    }
    let libraries = Vec::from_iter(libraries);
    let root = cx.cache.join("guest-tools");
    let root = root.join(key(&programs, &libraries)?);
    let image = root.join("tools.ext4");
    if image.exists() {
        return Ok(image);
    }
    let _lock = cx.lock("tools")?;
    if image.exists() {
        return Ok(image);
    }
    cx.say("making the tools disk: fio and others with their libraries (a few seconds)");
    cx.fill(&root, |_, partial| {
        let stage = partial.join("stage");
        fill(&stage, &programs, &libraries)?;
        let name = image.file_name().unwrap_or_default();
        make_image(&stage, &partial.join(name))?;
        crate::context::remove_dir(&stage)
    })?;
    Ok(image)
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
    if !libraries.iter().any(|path| path.ends_with(LINKER)) {
        bail!("ldd lists no {LINKER} for {program}");
    }
    Ok(libraries)
}

/// What tells one disk from another: size and time of each file that goes on it.
fn key(programs: &[PathBuf], libraries: &[PathBuf]) -> Result<String> {
    let mut text = WRAPPER.to_owned();
    for path in programs.iter().chain(libraries) {
        let data = fs::metadata(path).with_context(|| format!("no {}", path.display()))?;
        let time = data.modified()?.duration_since(UNIX_EPOCH)?.as_secs();
        text += &format!("{}|{}|{time}\n", path.display(), data.len());
    }
    Ok(digest(&text))
}

fn fill(stage: &Path, programs: &[PathBuf], libraries: &[PathBuf]) -> Result<()> {
    let (bin, lib) = (stage.join("bin"), stage.join("lib"));
    create_dir(&bin)?;
    create_dir(&lib)?;
    for library in libraries {
        copy(library, &lib.join(library.file_name().unwrap_or_default()))?;
    }
    for (name, program) in PROGRAMS.iter().zip(programs) {
        copy(program, &bin.join(format!("{name}.real")))?;
        let wrapper = bin.join(name);
        write(&wrapper, WRAPPER)?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
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
        let root = std::env::temp_dir().join(format!("machine-tools-{}", std::process::id()));
        create_dir(&root).unwrap();
        let (fio, library) = (root.join("fio"), root.join("library"));
        write(&fio, "fio").unwrap();
        write(&library, "1").unwrap();
        let (programs, libraries) = ([fio], [library.clone()]);
        let before = key(&programs, &libraries).unwrap();
        assert_eq!(before, key(&programs, &libraries).unwrap());
        write(&library, "12").unwrap();
        assert_ne!(before, key(&programs, &libraries).unwrap());
        fs::remove_dir_all(root).unwrap();
    }
}
