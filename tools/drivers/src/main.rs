// SPDX-License-Identifier: GPL-2.0

//! Runs the legacy virtio drivers that packages bring, and shows what they do.

use anstream::println;
use anyhow::{bail, Context, Result};
use clap::{Parser, Subcommand};
use drivers::catalogue::Catalogue;
use drivers::guest::guests;
use drivers::run::{run, Places, Trace};
use drivers::{foreign, page, picture, Matrix};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use virtio_check::{output, Lane, Measure};

/// What the legacy virtio drivers that packages bring do, against the specification.
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs drivers on QEMU, cuts their traces and judges them.
    Run {
        /// Folder for the cut traces; tools/drivers/fixtures renews the fixtures.
        #[arg(long, value_name = "DIR", default_value = "target/drivers")]
        output: PathBuf,
        /// Folder with an unpacked kernel package for each series (6.1, 6.12, ...); fetched
        /// without.
        #[arg(long, value_name = "DIR")]
        kernels: Option<PathBuf>,
        /// Drivers whose names begin with one of these, see `list`; all without.
        names: Vec<String>,
    },
    /// Judges the fixtures in tools/drivers/fixtures and writes drivers.md, .json and .svg.
    Write {
        /// Folder for the three files.
        #[arg(long, value_name = "DIR", default_value = "docs")]
        output: PathBuf,
    },
    /// Boots any disk image, kernel or firmware on legacy devices and judges its drivers.
    Guest(foreign::Wish),
    /// Lists the drivers that run knows, each with the package that brings it.
    List,
}

fn main() -> ExitCode {
    match start(Options::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("drivers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> Result<bool> {
    match command {
        Command::Run {
            output,
            kernels,
            names,
        } => run_all(&output, &Places { kernels }, &names),
        Command::Write { output } => write(&output).map(|()| true),
        Command::Guest(wish) => foreign::run(&wish).map(|()| true),
        Command::List => {
            for guest in guests() {
                println!("{:20} {}", guest.full_name(), guest.package);
            }
            Ok(true)
        }
    }
}

/// Runs drivers one after the other; whether all ran.
fn run_all(folder: &Path, places: &Places, names: &[String]) -> Result<bool> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| name.starts_with(n));
    let (mut lanes, mut failed) = (Vec::new(), 0);
    for guest in guests() {
        let name = guest.full_name();
        if !wanted(&name) {
            continue;
        }
        match run(&guest, places) {
            Ok(trace) => {
                let path = folder.join(format!("{name}.txt"));
                fs::write(&path, headed(&trace)).with_context(|| path.display().to_string())?;
                lanes.push(Lane::of(&name, trace.text.as_bytes(), &[])?);
                let (kept, accesses) = (trace.text.lines().count(), trace.accesses);
                println!(
                    "{name}: {accesses} accesses, {kept} kept; {}",
                    trace.version
                );
            }
            Err(error) => {
                failed += 1;
                println!("{name}: NOT RUN: {error:#}");
            }
        }
    }
    if lanes.is_empty() && failed == 0 {
        bail!("no driver has such a name: see drivers list");
    }
    println!("\n{}", output::text(&lanes, &Measure::default()));
    Ok(failed == 0)
}

/// A fixture: what it is of, and the trace.
fn headed(trace: &Trace) -> String {
    format!(
        "# SPDX-License-Identifier: GPL-2.0\n# {}; QEMU {}\n{}",
        trace.version, trace.qemu, trace.text
    )
}

fn write(folder: &Path) -> Result<()> {
    let catalogue = Catalogue::load()?;
    let matrix = Matrix::of_fixtures(&catalogue)?;
    let json = serde_json::to_string_pretty(&matrix.json())?;
    for (name, text) in [
        ("drivers.md", page::markdown(&catalogue, &matrix)),
        ("drivers.json", format!("{json}\n")),
        ("drivers.svg", picture::svg(&matrix)),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}
