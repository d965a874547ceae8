// SPDX-License-Identifier: GPL-2.0

//! Judges traces of legacy virtio-pci drivers against the specification.

use anyhow::{bail, Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use virtio_check::ground::Ground;
use virtio_check::pictures::{self, Named};
use virtio_check::{
    check, compare, output, pre_2014, rules, DeviceInfo, Lane, Level, Measure, Run, Version,
    Waivers, INTENDED,
};

/// Judges the register accesses of any legacy virtio-pci driver against the specification.
///
/// Exit status: 0 no breach that counts (`--level`), 1 one that counts, 2 unusable input.
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Judges traces, a lane each.
    Trace {
        #[command(flatten)]
        devices: Devices,
        /// What comes out.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// The version of the specification to measure by.
        #[arg(long = "specification", value_enum, default_value_t)]
        version: Specification,
        /// The weakest level whose breaches count.
        #[arg(long, value_enum, default_value_t)]
        level: Weakest,
        /// A file of breaches that do not count, with reasons.
        #[arg(long, value_name = "FILE")]
        waivers: Option<PathBuf>,
        /// Traces; NAME=FILE names the lane, - is the standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
    },
    /// Explains a rule.
    Explain {
        /// Its name.
        rule: String,
    },
    /// Lists the rules.
    Rules {
        /// As JSON.
        #[arg(long, conflicts_with = "markdown")]
        json: bool,
        /// As docs/rules.md.
        #[arg(long)]
        markdown: bool,
    },
    /// Draws the handshakes, an SVG file a device.
    Picture {
        #[command(flatten)]
        devices: Devices,
        /// Where the pictures go.
        #[arg(long, value_name = "DIR", default_value = "target/trace")]
        output: PathBuf,
        /// The colours.
        #[arg(long, value_enum, default_value_t)]
        ground: Ground,
        /// Traces, a lane each; NAME=FILE names the lane.
        #[arg(required = true)]
        files: Vec<String>,
    },
    /// Compares two traces with marks, that of the C driver and that of the Rust driver.
    Diff {
        #[command(flatten)]
        devices: Devices,
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// The C driver's trace; later ones of a hibernation behind it, separated by commas.
        c: String,
        /// The Rust driver's trace.
        rust: String,
    },
    /// Prints the handshake of each device and phase.
    Show {
        #[command(flatten)]
        devices: Devices,
        /// Each access, not the steps that they make.
        #[arg(long)]
        accesses: bool,
        /// The trace; later ones of a hibernation behind it, separated by commas.
        file: String,
    },
    /// Shows that the order of before the 2014 fix is caught.
    #[command(name = "pre-2014")]
    Pre2014 {
        #[command(flatten)]
        devices: Devices,
        /// A trace with a restore phase.
        file: String,
    },
    /// Lists the differences that diff expects.
    Intended,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    /// To be read.
    #[default]
    Text,
    /// As docs/virtio-check.schema.json says.
    Json,
    /// JUnit XML.
    Junit,
    /// As the kernel's tests report.
    Ktap,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Specification {
    #[value(name = "0.9.5")]
    V0_9_5,
    #[default]
    #[value(name = "1.4")]
    V1_4,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Weakest {
    Must,
    #[default]
    Should,
    Convention,
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

fn main() -> ExitCode {
    match run(Options::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("virtio-check: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<bool> {
    match command {
        Command::Trace {
            devices,
            format,
            version,
            level,
            waivers,
            files,
        } => {
            let measure = Measure {
                version: match version {
                    Specification::V0_9_5 => Version::V0_9_5,
                    Specification::V1_4 => Version::V1_4,
                },
                level: match level {
                    Weakest::Must => Level::Must,
                    Weakest::Should => Level::Should,
                    Weakest::Convention => Level::Convention,
                },
                waivers: waivers
                    .as_deref()
                    .map_or(Ok(Waivers::default()), Waivers::load)?,
            };
            return trace(&devices.devices, format, &measure, &files);
        }
        Command::Explain { rule } => match rules::find(&rule) {
            Some(rule) => print!("{}", rules::explain(rule)),
            None => bail!("there is no rule {rule}: see virtio-check rules"),
        },
        Command::Rules { json: true, .. } => {
            println!("{}", serde_json::to_string_pretty(&rules::json())?);
        }
        Command::Rules { markdown: true, .. } => print!("{}", rules::markdown()),
        Command::Rules { .. } => print!("{}", rules::list()),
        Command::Picture {
            devices,
            output,
            ground,
            files,
        } => draw(&devices.devices, &output, ground, &files)?,
        Command::Diff {
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
            return Ok(report.ok());
        }
        Command::Show {
            devices,
            accesses,
            file,
        } => print!("{}", devices.load(&file)?.show(accesses)),
        Command::Pre2014 { devices, file } => {
            let run = devices.load(&file)?;
            let before = check(&run).len();
            let breaches = check(&pre_2014(&run));
            for breach in &breaches {
                println!("{breach}");
            }
            let caught = breaches.len() > before;
            println!("{}", if caught { "caught" } else { "NOT caught" });
            return Ok(caught);
        }
        Command::Intended => {
            for intended in INTENDED {
                println!("{:24} {}", intended.id, intended.reason());
            }
        }
    }
    Ok(true)
}

fn trace(
    devices: &[DeviceInfo],
    format: Format,
    measure: &Measure,
    files: &[String],
) -> Result<bool> {
    let named = named(files);
    let lanes = named
        .iter()
        .map(|(name, path)| Lane::read(name, path, devices));
    let lanes = lanes.collect::<Result<Vec<_>>>()?;
    match format {
        Format::Text => print!("{}", output::text(&lanes, measure)),
        Format::Json => {
            let json = output::json(&lanes, measure);
            println!("{}", serde_json::to_string_pretty(&json)?);
        }
        Format::Junit => println!("{}", output::junit(&lanes, measure)?),
        Format::Ktap => print!("{}", output::ktap(&lanes, measure)),
    }
    Ok(lanes.iter().all(|lane| measure.is_clean(lane)))
}

/// The lanes: the name that was given or that of the file, with a number if it is not the only one.
fn named(files: &[String]) -> Vec<(String, &Path)> {
    let lane = |file: &'_ String| match file.split_once('=') {
        Some((name, _)) => name.to_owned(),
        None => {
            let path = Path::new(file);
            let stem = path.file_stem().unwrap_or(path.as_os_str());
            stem.to_string_lossy().into_owned()
        }
    };
    let names: Vec<String> = files.iter().map(lane).collect();
    let path = |file: &String| file.find('=').map_or(0, |at| at + 1);
    let paths = files.iter().map(|file| Path::new(&file[path(file)..]));
    let number = |at: usize| {
        let same = |name: &&String| **name == names[at];
        match names.iter().filter(same).count() {
            1 => names[at].clone(),
            _ => format!("{} {}", names[at], names[..=at].iter().filter(same).count()),
        }
    };
    (0..names.len()).map(number).zip(paths).collect()
}

/// Writes the pictures and prints their names.
fn draw(devices: &[DeviceInfo], output: &Path, ground: Ground, files: &[String]) -> Result<()> {
    let load = |(name, path): (String, &Path)| -> Result<Named> {
        let run = Run::load(path, devices)?;
        Ok(Named { name, run })
    };
    let runs = named(files)
        .into_iter()
        .map(load)
        .collect::<Result<Vec<_>>>()?;
    let pictures = pictures::pictures(runs)?;
    std::fs::create_dir_all(output).with_context(|| format!("cannot make {}", output.display()))?;
    for (device, picture) in pictures {
        let path = output.join(format!("{device}.svg"));
        std::fs::write(&path, picture.file(ground))
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}
