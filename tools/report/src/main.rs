// SPDX-License-Identifier: GPL-2.0

//! Draws traced handshakes and writes the report.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::println;
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use report::{docs, facts, write};
use virtio_check::ground::Ground;

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
        /// The colours.
        #[arg(long, value_enum, default_value_t = Ground::Light)]
        ground: Ground,
        /// The file for the picture.
        output: PathBuf,
    },
    /// Writes the pages in docs/ that are made from data.
    Docs,
}

fn main() -> ExitCode {
    let done = match Options::parse().command {
        Command::Write { results, output } => write_report(&results, &output),
        Command::Picture {
            results,
            interrupts,
            device,
            phase,
            ground,
            output,
        } => draw(&results, &interrupts, &device, &phase, ground)
            .and_then(|file| save(&output, &file)),
        Command::Docs => write_docs(),
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

/// The picture of one phase.
fn draw(
    results: &Path,
    interrupts: &str,
    device: &str,
    phase: &str,
    ground: Ground,
) -> Result<String> {
    let facts = facts::gather(Path::new(ROOT), results)?;
    Ok(facts.handshake(interrupts, device, phase)?.file(ground))
}

fn save(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes the pages and prints their names.
fn write_docs() -> Result<()> {
    for path in docs::write(Path::new(ROOT))? {
        println!("{}", path.display());
    }
    Ok(())
}
