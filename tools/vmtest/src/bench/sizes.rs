// SPDX-License-Identifier: GPL-2.0

//! How big the modules are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use results::{Count, Measurements};

use crate::failure::{Failure, Outcome};
use crate::setup::{Driver, Setup};

/// Sections in memory, by kind.
#[derive(Default)]
struct Size {
    text: f64,
    data: f64,
}

/// Adds up the sections of all modules of each driver.
pub(super) fn measure(setup: &Setup, _samples: usize) -> Outcome<Measurements> {
    let of = |driver: Driver| {
        let modules = setup.modules(driver);
        modules.iter().try_fold(Size::default(), |sum, module| {
            let size = size(setup, module)?;
            Outcome::Ok(Size {
                text: sum.text + size.text,
                data: sum.data + size.data,
            })
        })
    };
    let (c, rust) = (of(Driver::C)?, of(Driver::Rust)?);
    let count = |quantity: &str, c: f64, rust: f64| Count {
        quantity: quantity.to_owned(),
        case: "in memory".to_owned(),
        unit: "bytes".to_owned(),
        c,
        rust,
        ..Count::default()
    };
    let names = |driver| {
        let names = setup.modules(driver);
        let names = names.iter().filter_map(|path: &PathBuf| path.file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(" + ")
    };
    Ok(Measurements {
        about: format!(
            "Sections of the modules that are loaded and stay (without .init and .exit of text), \
             by size -A. C: {} (with the modern interface, which the Rust driver has not). Rust: {}.",
            names(Driver::C),
            names(Driver::Rust)
        ),
        counts: vec![
            count("text", c.text, rust.text),
            count("data, read-only data and tables", c.data, rust.data),
        ],
        ..Measurements::default()
    })
}

/// Reads what `size -A` says of a module: one line a section, with its size and its address.
fn size(setup: &Setup, module: &Path) -> Outcome<Size> {
    let output = Command::new("size")
        .arg("-A")
        .arg(module)
        .envs(
            setup
                .machine
                .make_env
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .output()
        .context("cannot run size")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(Failure::Failed(format!(
            "size -A {}: {text}",
            module.display()
        )));
    }
    Ok(add_up(&text))
}

/// Sections that are dropped after loading, or never loaded.
const NOT_KEPT: [&str; 10] = [
    ".init",
    ".exit",
    ".modinfo",
    ".comment",
    ".note",
    ".symtab",
    ".strtab",
    ".shstrtab",
    ".rela",
    ".debug",
];

fn add_up(text: &str) -> Size {
    let mut sum = Size::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(size)) = (words.next(), words.next()) else {
            continue;
        };
        let Ok(size) = size.parse::<f64>() else {
            continue;
        };
        if !name.starts_with(['.', '_']) || NOT_KEPT.iter().any(|kind| name.starts_with(kind)) {
            continue;
        }
        match name.starts_with(".text") {
            true => sum.text += size,
            false => sum.data += size,
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_added_up() {
        let text = "a.ko  :\nsection   size   addr\n.text      100      0\n.text.unlikely 10 0\n\
                    .init.text 1000 0\n.rodata 7 0\n__bug_table 5 0\n.comment 90 0\nTotal 1212\n";
        let size = add_up(text);
        assert_eq!((size.text, size.data), (110.0, 12.0));
    }
}
