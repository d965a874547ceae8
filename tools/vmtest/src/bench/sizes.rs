// SPDX-License-Identifier: GPL-2.0

//! How big the modules are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use results::{Count, Measurements};

use vm::driver::Driver;
use vm::failure::{Failure, Outcome};
use vm::setup::Setup;

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
             by size -A. The notification is all of the code between the virtio core and the port \
             write, counted in the disassembly; with MSI-X, the interrupt handler of a virtqueue is \
             the virtio core's own with both drivers. C: {} (with the modern interface, which the Rust driver has not). Rust: {}.",
            names(Driver::C),
            names(Driver::Rust)
        ),
        counts: vec![
            count("text", c.text, rust.text),
            count("data, read-only data and tables", c.data, rust.data),
            Count {
                quantity: "notification".to_owned(),
                case: "vp_notify, notify_callback".to_owned(),
                unit: "instructions".to_owned(),
                c: instructions(setup, Driver::C, "vp_notify")?,
                rust: instructions(setup, Driver::Rust, "notify_callback")?,
                ..Count::default()
            },
        ],
        ..Measurements::default()
    })
}

/// What a program of binutils says of a module.
fn said(setup: &Setup, program: &str, arguments: &[&str], module: &Path) -> Outcome<String> {
    let environment = setup.machine.make_env.iter();
    let output = Command::new(program)
        .args(arguments)
        .arg(module)
        .envs(environment.map(|(name, value)| (name, value)))
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(text),
        false => Err(Failure::Failed(format!(
            "{program} {}: {text}",
            module.display()
        ))),
    }
}

/// Adds up the sections of a module.
fn size(setup: &Setup, module: &Path) -> Outcome<Size> {
    Ok(add_up(&said(setup, "size", &["-A"], module)?))
}

/// How many instructions a function has, whose name is a part of the symbol's.
fn instructions(setup: &Setup, driver: Driver, name: &str) -> Outcome<f64> {
    for module in setup.modules(driver) {
        let symbols = said(setup, "nm", &[], &module)?;
        let mut symbols = symbols
            .lines()
            .filter_map(|line| line.split_whitespace().last());
        if let Some(symbol) = symbols.find(|symbol| symbol.contains(name)) {
            let one = format!("--disassemble={symbol}");
            let text = said(
                setup,
                "objdump",
                &["-d", "--no-show-raw-insn", &one],
                &module,
            )?;
            return Ok(count_instructions(&text) as f64);
        }
    }
    Err(Failure::Failed(format!(
        "no function {name} in the modules of driver {driver}"
    )))
}

/// The lines of a disassembly that have an instruction, but for what fills up behind the last.
fn count_instructions(text: &str) -> usize {
    let lines: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(":\t")?.1.split_whitespace().next())
        .collect();
    let fills = lines
        .iter()
        .rev()
        .take_while(|word| word.starts_with("nop") || **word == "int3");
    lines.len() - fills.count()
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
    fn instructions_are_counted_without_what_fills_up() {
        let text = "0000 <f>:\n   0:\tendbr64\n   4:\tnop\n   5:\tret\n   6:\tint3\n   7:\tnopl   (%rax)\n";
        assert_eq!(count_instructions(text), 3);
    }

    #[test]
    fn what_stays_is_added_up() {
        let text = "a.ko  :\nsection   size   addr\n.text      100      0\n.text.unlikely 10 0\n\
                    .init.text 1000 0\n.rodata 7 0\n__bug_table 5 0\n.comment 90 0\nTotal 1212\n";
        let size = add_up(text);
        assert_eq!((size.text, size.data), (110.0, 12.0));
    }
}
