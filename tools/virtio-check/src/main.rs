// SPDX-License-Identifier: GPL-2.0

//! Shows, checks and compares traces of legacy virtio-pci drivers.

use anyhow::{bail, Context, Result};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use virtio_check::pictures::{self, Named};
use virtio_check::{check, compare, intended, pre_2014, Breach, DeviceInfo, Run, INTENDED, RULES};

/// Register accesses of legacy virtio-pci drivers, traced by QEMU.
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints the handshake of each device and phase.
    Show {
        #[command(flatten)]
        devices: Devices,
        /// Each access, not the steps that they make.
        #[arg(long)]
        accesses: bool,
        /// The trace; the later ones of a hibernation behind it, separated by commas.
        file: String,
    },
    /// Checks a trace against the specification.
    Check {
        #[command(flatten)]
        devices: Devices,
        /// The trace; the later ones of a hibernation behind it, separated by commas.
        file: String,
    },
    /// Compares the C driver's trace with the Rust driver's.
    Compare {
        #[command(flatten)]
        devices: Devices,
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// The C driver's trace.
        c: String,
        /// The Rust driver's trace.
        rust: String,
    },
    /// Draws the handshakes, an SVG file a device.
    Picture {
        #[command(flatten)]
        devices: Devices,
        /// Where the pictures go.
        #[arg(long, value_name = "DIR", default_value = "target/trace")]
        output: PathBuf,
        /// Traces, a lane each; NAME=FILE names the lane.
        #[arg(required = true)]
        files: Vec<String>,
    },
    /// Shows that the order of before the 2014 fix is caught.
    #[command(name = "pre-2014")]
    Pre2014 {
        #[command(flatten)]
        devices: Devices,
        /// A trace with a restore phase.
        file: String,
    },
    /// Lists the rules of the checker.
    Rules,
    /// Lists the intended differences, and checks that a README's table has them.
    Intended {
        /// The README.
        #[arg(long)]
        readme: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Devices {
    /// A device: NAME=BASE+LENGTH, with :msix or :intx behind it if that is known.
    #[arg(long = "device", value_name = "DEVICE")]
    devices: Vec<DeviceInfo>,
}

impl Devices {
    fn load(&self, trace: &str) -> Result<Run> {
        let mut runs = trace.split(',');
        let mut load = || -> Option<Result<Run>> {
            let path = runs.next()?;
            Some(Run::load(Path::new(path), &self.devices))
        };
        let mut run = load().context("no trace")??;
        while let Some(later) = load() {
            run = run.join(later?)?;
        }
        Ok(run)
    }
}

fn main() -> Result<ExitCode> {
    let good = match Options::parse().command {
        Command::Show {
            devices,
            accesses,
            file,
        } => {
            print!("{}", devices.load(&file)?.show(accesses));
            true
        }
        Command::Check { devices, file } => {
            let run = devices.load(&file)?;
            if run.devices.is_empty() {
                bail!("no device was traced");
            }
            let breaches = check(&run);
            print_breaches(&breaches);
            let known = breaches.iter().filter(|b| b.known.is_some()).count();
            let count = breaches.len() - known;
            println!(
                "{} devices, {count} breaches, {known} known",
                run.devices.len()
            );
            count == 0
        }
        Command::Compare {
            devices,
            json,
            c,
            rust,
        } => {
            let report = compare(&devices.load(&c)?, &devices.load(&rust)?, INTENDED);
            if json {
                let all = serde_json::json!({ "ok": report.ok(), "report": report });
                println!("{}", serde_json::to_string_pretty(&all)?);
            } else {
                report.print();
            }
            report.ok()
        }
        Command::Picture {
            devices,
            output,
            files,
        } => {
            draw(&devices.devices, &output, &files)?;
            true
        }
        Command::Pre2014 { devices, file } => {
            let run = devices.load(&file)?;
            let before = check(&run).len();
            let breaches = check(&pre_2014(&run));
            print_breaches(&breaches);
            let caught = breaches.len() > before;
            println!("{}", if caught { "caught" } else { "NOT caught" });
            caught
        }
        Command::Rules => {
            for rule in RULES {
                println!("{:30} {} ({})", rule.id, rule.text, rule.section);
            }
            true
        }
        Command::Intended { readme } => list_intended(readme.as_deref())?,
    };
    Ok(match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
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
    let pictures = pictures::pictures(runs)?;
    std::fs::create_dir_all(output).with_context(|| format!("cannot make {}", output.display()))?;
    for (device, picture) in pictures {
        let path = output.join(format!("{device}.svg"));
        std::fs::write(&path, picture.file())
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn print_breaches(breaches: &[Breach]) {
    for breach in breaches {
        println!("{breach}");
    }
}

fn list_intended(readme: Option<&Path>) -> Result<bool> {
    for intended in INTENDED {
        println!("{:24} {}", intended.id, intended.reason);
    }
    let Some(path) = readme else {
        return Ok(true);
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let missing =
        intended::missing_in(&text, INTENDED).with_context(|| path.display().to_string())?;
    for id in &missing {
        println!("{} does not name {id}", path.display());
    }
    Ok(missing.is_empty())
}
