// SPDX-License-Identifier: GPL-2.0

//! The shell functions of the guest, which all are in one shell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A function of the guest.
struct Function {
    name: String,
    /// The variables that it sets for its caller: its comment says "Sets $name".
    results: BTreeSet<String>,
    body: String,
    file: PathBuf,
}

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scripts(folder: &str) -> Vec<PathBuf> {
    let folder = crate_folder().join("../../tests/guest").join(folder);
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn functions() -> Vec<Function> {
    let function = Regex::new(r"(?m)((?:^#.*\n)*)^(\w+)\(\) \{\n((?:[^}\n].*\n|\n)*)\}").unwrap();
    let result = Regex::new(r"\$([a-z_]+)").unwrap();
    let mut functions = Vec::new();
    for file in [scripts("lib"), scripts("cases")].concat() {
        let text = fs::read_to_string(&file).unwrap();
        for found in function.captures_iter(&text) {
            let sets = found[1].split_once("Sets ").map_or("", |(_, sets)| sets);
            let results = result.captures_iter(sets).map(|name| name[1].to_owned());
            functions.push(Function {
                name: found[2].to_owned(),
                results: results.collect(),
                body: found[3].to_owned(),
                file: file.clone(),
            });
        }
    }
    assert!(functions.len() > 100);
    functions
}

#[test]
fn each_function_is_defined_once() {
    let mut files = BTreeMap::new();
    for function in functions() {
        if let Some(other) = files.insert(function.name.clone(), function.file.clone()) {
            panic!("{} is in {other:?} and {:?}", function.name, function.file);
        }
    }
}

#[test]
fn each_variable_is_local() {
    let local = Regex::new(r"(?m)^\s*local (.*)$").unwrap();
    let assigned = Regex::new(
        r"(?m)(?:^\s*|&& |\|\| |then |do |^\s*\w+=\S* )([a-z_]+)=|^\s*for ([a-z_]+)|\bread -r ([a-z_ ]+)",
    )
    .unwrap();
    for function in functions() {
        let mut known = function.results;
        for line in local.captures_iter(&function.body) {
            let names = line[1].split_whitespace();
            known.extend(names.map(|name| name.split('=').next().unwrap().to_owned()));
        }
        for found in assigned.captures_iter(&function.body) {
            let names = found.iter().skip(1).flatten();
            for name in names.flat_map(|names| names.as_str().split_whitespace()) {
                let is_local = name == "_" || known.contains(name);
                assert!(is_local, "{}: {name} in {:?}", function.name, function.file);
            }
        }
    }
}

#[test]
fn a_file_of_cases_is_named_after_their_test() {
    for file in scripts("cases") {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let source = crate_folder().join("src");
        let is_there = [
            format!("tests/{name}.rs"),
            format!("cells/{name}.rs"),
            format!("{name}.rs"),
            format!("{name}/mod.rs"),
        ]
        .map(|path| source.join(path).exists());
        assert!(is_there.contains(&true), "{file:?}");
    }
}
