// SPDX-License-Identifier: GPL-2.0

//! Draws traced handshakes and writes the report.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use regtrace::{DeviceInfo, Run};
use report::trace::{self, Named};
use report::{facts, write};

/// The repository, which the Makefile starts the program in.
const ROOT: &str = "";

/// Pictures of traced handshakes, and the report that compares the C with the Rust driver.
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the report of all that the tests and the measurements left.
    Write {
        /// Where they left it.
        #[arg(long, value_name = "DIR", default_value = results::FOLDER)]
        results: PathBuf,
        /// Where the report goes.
        #[arg(long, value_name = "DIR", default_value = "target/report")]
        output: PathBuf,
    },
    /// Draws one phase of one device with both drivers and in the order of before 2014.
    Picture {
        /// Where make compare left what it recorded.
        #[arg(long, value_name = "DIR", default_value = results::FOLDER)]
        results: PathBuf,
        /// The interrupts that the device had.
        #[arg(long, default_value = "msix")]
        interrupts: String,
        /// The device.
        #[arg(long, default_value = "blk")]
        device: String,
        /// The phase.
        #[arg(long, default_value = "restore")]
        phase: String,
        /// The file for the picture.
        output: PathBuf,
    },
    /// Draws the handshakes of QEMU traces, an SVG file a device.
    Trace {
        /// A device: NAME=BASE+LENGTH, with :msix or :intx behind it if that is known.
        #[arg(long = "device", value_name = "DEVICE")]
        devices: Vec<DeviceInfo>,
        /// Where the pictures go.
        #[arg(long, value_name = "DIR", default_value = "target/trace")]
        output: PathBuf,
        /// Traces (memory_region_ops_read and _write), a lane each; NAME=FILE names the lane.
        #[arg(required = true)]
        files: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Options::parse().command {
        Command::Write { results, output } => write_report(&results, &output),
        Command::Picture {
            results,
            interrupts,
            device,
            phase,
            output,
        } => picture(&results, &interrupts, &device, &phase, &output),
        Command::Trace {
            devices,
            output,
            files,
        } => draw(&devices, &output, &files),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("report: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the report and prints where it is.
fn write_report(results: &Path, output: &Path) -> Result<()> {
    let facts = facts::gather(Path::new(ROOT), results)?;
    write::report(&facts, output)?;
    println!("{}", output.join("index.html").display());
    Ok(())
}

/// Writes the picture of one phase.
fn picture(
    results: &Path,
    interrupts: &str,
    device: &str,
    phase: &str,
    output: &Path,
) -> Result<()> {
    let facts = facts::gather(Path::new(ROOT), results)?;
    let drawn = facts.handshake(interrupts, device, phase)?;
    std::fs::write(output, drawn.file())
        .with_context(|| format!("cannot write {}", output.display()))
}

/// Numbers the lanes whose files have the same name.
fn tell_apart(runs: &mut [Named]) {
    let names: Vec<String> = runs.iter().map(|named| named.name.clone()).collect();
    for (at, named) in runs.iter_mut().enumerate() {
        if names.iter().filter(|name| **name == named.name).count() > 1 {
            let before = names[..at].iter().filter(|name| **name == named.name);
            named.name = format!("{} {}", named.name, before.count() + 1);
        }
    }
}

/// Writes the pictures and prints their names.
fn draw(devices: &[DeviceInfo], output: &Path, files: &[String]) -> Result<()> {
    let load = |file: &String| -> Result<Named> {
        let (name, path) = match file.split_once('=') {
            Some((name, path)) => (name.to_owned(), Path::new(path)),
            None => {
                let path = Path::new(file);
                let stem = path.file_stem().unwrap_or(path.as_os_str());
                (stem.to_string_lossy().into_owned(), path)
            }
        };
        let run = Run::load(path, devices)?;
        Ok(Named { name, run })
    };
    let mut runs = files.iter().map(load).collect::<Result<Vec<_>>>()?;
    tell_apart(&mut runs);
    let pictures = trace::pictures(runs)?;
    std::fs::create_dir_all(output).with_context(|| format!("cannot make {}", output.display()))?;
    for (device, picture) in pictures {
        let path = output.join(format!("{device}.svg"));
        std::fs::write(&path, picture.file())
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}
