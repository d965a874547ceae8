// SPDX-License-Identifier: GPL-2.0

//! The libraries that a program of unpacked packages needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::command::{command, output};
use crate::Arch;

/// Finds the files below a directory, by their names; the targets of links under the links' names.
fn find(directory: &Path, files: &mut BTreeMap<String, PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_file() {
            files.insert(entry.file_name().to_string_lossy().into_owned(), path);
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&path, files);
        }
    }
}

/// The libraries below a folder of unpacked packages, by their names.
pub(crate) fn all(tree: &Path) -> BTreeMap<String, PathBuf> {
    let mut files = BTreeMap::new();
    for directory in ["lib", "usr/lib"] {
        find(&tree.join(directory), &mut files);
    }
    files
}

/// The libraries that a program or a library needs, and that they need, the dynamic linker among
/// them.
pub(crate) fn needed(
    program: &Path,
    arch: Arch,
    files: &BTreeMap<String, PathBuf>,
) -> Result<Vec<PathBuf>> {
    closure(program, arch.linker(), files, &mut |path| {
        Ok(parse_needed(&output(
            command("readelf").arg("-dW").arg(path),
        )?))
    })
}

/// The libraries that a program needs, and that they need, among `files`; `needs` reads the needs
/// of one.
fn closure(
    program: &Path,
    linker: &str,
    files: &BTreeMap<String, PathBuf>,
    needs: &mut dyn FnMut(&Path) -> Result<Vec<String>>,
) -> Result<Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    let mut wanted = needs(program)?;
    wanted.push(linker.to_owned());
    while let Some(name) = wanted.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let path = files.get(&name);
        let path =
            path.with_context(|| format!("{} lacks the library {name}", program.display()))?;
        wanted.extend(needs(path)?);
        found.insert(name, path.clone());
    }
    Ok(found.into_values().collect())
}

/// The libraries that `readelf -d` lists.
fn parse_needed(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.contains("(NEEDED)"));
    lines
        .filter_map(|line| line.split_once('[')?.1.split_once(']'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const READELF: &str = "Dynamic section at offset 0x1 contains 2 entries:\n \
                           0x0000000000000001 (NEEDED)   Shared library: [libaio.so.1]\n \
                           0x000000000000000e (SONAME)   Library soname: [fio]\n";

    #[test]
    fn libraries_of_libraries_are_taken_too() {
        let needs = |name: &str| match name {
            "fio" => parse_needed(READELF),
            "libaio.so.1" => vec!["libc.so.6".to_owned()],
            "libc.so.6" => vec!["ld.so.1".to_owned()],
            _ => Vec::new(),
        };
        let closure = |names: &[&str]| {
            let files = names
                .iter()
                .map(|name| ((*name).to_owned(), PathBuf::from(name)));
            closure(Path::new("fio"), "ld.so.1", &files.collect(), &mut |path| {
                Ok(needs(&path.to_string_lossy()))
            })
        };
        let all = ["ld.so.1", "libaio.so.1", "libc.so.6"];
        assert_eq!(closure(&all).unwrap(), all.map(PathBuf::from));
        let error = closure(&["ld.so.1", "libaio.so.1"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("libc.so.6"), "{error}");
    }
}
