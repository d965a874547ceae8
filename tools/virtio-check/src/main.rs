// SPDX-License-Identifier: GPL-2.0

//! Judges traces of legacy virtio-pci drivers against the specification.

use anstream::{print, println};
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
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Judges traces of register accesses, rule by rule.
    Trace {
        #[command(flatten)]
        devices: Devices,
        /// Format of the output.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// Version of the specification to judge by.
        #[arg(long = "specification", value_enum, default_value_t)]
        version: Specification,
        /// Weakest level whose breaches count for the exit status.
        #[arg(long, value_enum, default_value_t)]
        level: Weakest,
        /// TOML file of breaches that do not count, with reasons: see docs/tracing.md.
        #[arg(long, value_name = "FILE")]
        waivers: Option<PathBuf>,
        /// Trace of QEMU, KVM or the scripted device; NAME=FILE names it, - is standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
    },
    /// Explains a rule: what the specification says, why it matters, right and wrong accesses.
    Explain {
        /// Name of the rule, as `rules` lists it.
        rule: String,
    },
    /// Lists all rules with their level in both versions of the specification.
    Rules {
        /// Print them as JSON.
        #[arg(long, conflicts_with = "markdown")]
        json: bool,
        /// Print them as a Markdown page, docs/rules.md.
        #[arg(long)]
        markdown: bool,
    },
    /// Draws what drivers do to each device as an SVG file, traces beside each other.
    Picture {
        #[command(flatten)]
        devices: Devices,
        /// Folder for the pictures.
        #[arg(long, value_name = "DIR", default_value = "target/trace")]
        output: PathBuf,
        /// Colours of the pictures.
        #[arg(long, value_enum, default_value_t)]
        ground: Ground,
        /// Trace, a column of each picture; NAME=FILE names it.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
    },
    /// Compares the traces that this project's tests record of its driver and of Linux's in C.
    Diff {
        #[command(flatten)]
        devices: Devices,
        /// Print the comparison as JSON.
        #[arg(long)]
        json: bool,
        /// Trace of the C driver; FILE,FILE if a hibernation has cut it in two.
        c: String,
        /// Trace of the Rust driver, likewise.
        rust: String,
    },
    /// Prints what the driver does to each device, step by step.
    Show {
        #[command(flatten)]
        devices: Devices,
        /// Print each access, not the steps that accesses make.
        #[arg(long)]
        accesses: bool,
        /// Trace; FILE,FILE if a hibernation has cut it in two.
        file: String,
    },
    /// Puts the restore of a trace into Linux's order of before 2014, and shows the breaches.
    #[command(name = "pre-2014")]
    Pre2014 {
        #[command(flatten)]
        devices: Devices,
        /// Trace of this project's tests with a restore.
        file: String,
    },
    /// Lists the differences between the two drivers that `diff` expects, with reasons.
    Intended,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: docs/virtio-check.schema.json describes it.
    Json,
    /// JUnit XML, for CI systems.
    Junit,
    /// KTAP, for the kernel's test tools.
    Ktap,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Specification {
    /// The draft of 2012 that defined the legacy interface.
    #[value(name = "0.9.5")]
    V0_9_5,
    /// The standard, which holds legacy drivers to more.
    #[default]
    #[value(name = "1.4")]
    V1_4,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Weakest {
    /// Breaches of MUST count.
    Must,
    /// Those of SHOULD count too.
    #[default]
    Should,
    /// What devices expect and the specification does not ask for counts too.
    Convention,
}

#[derive(clap::Args)]
struct Devices {
    /// Device whose legacy BAR is at NAME=BASE+LENGTH, with :msix or :intx behind it if known.
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
        let mut segments = run.devices.iter().flat_map(|device| &device.segments);
        if segments.all(|segment| segment.accesses.is_empty()) {
            bail!(
                "{trace}: no access to a legacy virtio device: docs/tracing.md tells how to trace"
            );
        }
        Ok(run)
    }
}

fn main() -> ExitCode {
    let Some(command) = Options::parse().command else {
        eprintln!(
            "virtio-check: no command: try virtio-check trace FILE, or virtio-check --help for all"
        );
        return ExitCode::from(2);
    };
    match run(command) {
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
