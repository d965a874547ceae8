// SPDX-License-Identifier: GPL-2.0

//! Guests that are not ours: any disk image or kernel, on legacy devices, without its cooperation.
//!
//! The guest is booted three times at most: on QEMU's own devices with tracing, on scripted devices
//! that serve no driver that breaks a rule, and, if one did, on scripted devices that judge and
//! serve. Then, if asked, on scripted devices that lie.

mod board;
mod boot;
mod lies;
mod parts;
mod table;

use crate::matrix::{cells, Column, Matrix};
use crate::run::version_of_qemu;
use ::machine::Qemu;
use anstream::println;
use anyhow::{bail, Context, Result};
use boot::{End, Limits, Run};
use parts::{Part, Parts, Touch};
use scripted::{Config, Device, Kind, Script};
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use virtio_check::access::number;
use virtio_check::{rules, Breach, Lane, Outcome};

/// The length of the disk of a guest without one, on which firmware finds nothing to boot.
const EMPTY: usize = 16 << 20;
/// Lines of a guest's console that tell of a fault.
const SPLATS: [&str; 9] = [
    "Kernel panic",
    "BUG:",
    "Oops",
    "WARNING:",
    "general protection",
    "blocked for more than",
    "KASAN:",
    "X64 Exception",
    "ASSERT",
];

/// What is wanted of a guest.
#[derive(Clone, Debug, clap::Args)]
pub struct Wish {
    /// Disk image to boot, which is not written to; an empty disk without.
    #[arg(long, value_name = "FILE")]
    pub disk: Option<PathBuf>,
    /// Format of the disk image, as QEMU names it, if it is neither raw nor qcow2.
    #[arg(long, value_name = "NAME")]
    pub format: Option<String>,
    /// Kernel to boot instead of the disk.
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Initramfs of the kernel.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub initrd: Option<PathBuf>,
    /// Command line of the kernel.
    #[arg(
        long,
        value_name = "WORDS",
        requires = "kernel",
        allow_hyphen_values = true
    )]
    pub append: Option<String>,
    /// Firmware for flash: a file of code and one of variables, such as OVMF's; SeaBIOS without.
    #[arg(long, value_name = "FILE", num_args = 1..=2)]
    pub firmware: Vec<PathBuf>,
    /// Accelerator of QEMU: kvm or tcg.
    #[arg(long, value_name = "NAME", env = "ACCEL", default_value = "tcg")]
    pub accel: String,
    /// Memory of the guest in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub memory: u32,
    /// End each run after this many seconds at the latest.
    #[arg(long, default_value_t = 180)]
    pub seconds: u64,
    /// End a run after this many seconds without an access to a device.
    #[arg(long, default_value_t = 30)]
    pub quiet: u64,
    /// Boot it on devices that misbehave too: scenarios whose names contain one of these, or all.
    #[arg(long, value_name = "WORD", num_args = 0..)]
    pub lies: Option<Vec<String>>,
    /// File with the scenarios of --lies.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "tests/hostile/scenarios.txt"
    )]
    pub scenarios: PathBuf,
    /// Folder for traces and consoles.
    #[arg(long, value_name = "DIR", default_value = "target/guest")]
    pub output: PathBuf,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            disk: None,
            format: None,
            kernel: None,
            initrd: None,
            append: None,
            firmware: Vec::new(),
            accel: "tcg".to_owned(),
            memory: 1024,
            seconds: 180,
            quiet: 30,
            lies: None,
            scenarios: PathBuf::new(),
            output: PathBuf::new(),
        }
    }
}

/// A guest that is ready to be booted.
struct Guest<'a> {
    wish: &'a Wish,
    disk: PathBuf,
    format: String,
    /// The same disk as a raw image.
    raw: PathBuf,
    limits: Limits,
}

/// A boot on scripted devices.
#[derive(Clone, Copy)]
struct Manner<'a> {
    /// The name of its folder.
    name: &'a str,
    /// Whether a driver that breaks a rule is served.
    lenient: bool,
    /// The device that lies, and how.
    scenario: Option<&'a Script>,
}

/// What a boot on scripted devices left.
struct Seen {
    run: Run,
    devices: Vec<Left>,
}

/// What a scripted device left.
struct Left {
    name: &'static str,
    parts: Vec<Part>,
    /// Breaches of rules that only a device sees.
    unseen: Vec<Breach>,
    /// How often it lied.
    lied: usize,
    status: u8,
}

/// Boots a guest and prints what its drivers do.
///
/// # Errors
///
/// A file or a program is missing, QEMU fails, or no driver touched a device.
pub fn run(wish: &Wish) -> Result<()> {
    let guest = Guest::prepare(wish)?;
    let options = ::machine::Options::new(Path::new("."))?;
    let qemu = ::machine::ensure_newer_qemu(&options, &|line| println!("{line}"))?;
    let (mut columns, mut unseen) = (Vec::new(), Vec::new());

    let traced = guest.traced()?;
    println!("{}", told("QEMU's own devices", &traced.run));
    for (name, parts) in traced.parts {
        guest.judge("qemu", name, &parts, &traced.version, &mut columns)?;
    }

    let mut failures = Vec::from_iter(failure("QEMU's own devices", &traced.run));
    let mut lenient = false;
    loop {
        let name = if lenient { "judged" } else { "strict" };
        let manner = Manner {
            name,
            lenient,
            scenario: None,
        };
        let seen = guest.scripted(&qemu, manner)?;
        let on = format!("scripted devices, {name}");
        failures.extend(failure(&on, &seen.run));
        let before = columns.len();
        println!("{}", told(&on, &seen.run));
        for left in &seen.devices {
            guest.judge(name, left.name, &left.parts, &qemu.version, &mut columns)?;
            let device = format!("{name} {}", left.name);
            unseen.extend(left.unseen.iter().map(|b| (device.clone(), b.clone())));
        }
        let broken = |column: &Column| column.cells.iter().any(|c| c.outcome == Outcome::Breach);
        if lenient || !columns[before..].iter().any(broken) {
            break;
        }
        // Who comes after a driver that is not served is not reached.
        lenient = true;
    }
    if columns.is_empty() {
        let failures = failures.first();
        bail!(failures
            .map_or("no driver has touched a device", String::as_str)
            .to_owned());
    }
    let matrix = Matrix { drivers: columns };
    println!("\n{}\n{}", table::text(&matrix), table::unseen(&unseen));
    let path = wish.output.join("matrix.json");
    let json = serde_json::to_string_pretty(&matrix.json())?;
    fs::write(&path, json + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    println!(
        "traces: {0}/NAME.txt of each name above, for virtio-check trace; \
         consoles: {0}/*/console.log",
        wish.output.display()
    );
    if let Some(words) = &wish.lies {
        failures.extend(guest.lies(&qemu, words)?);
    }
    all_ran(&failures)
}

fn told(devices: &str, run: &Run) -> String {
    format!("on {devices}: {} after {} s", run.end, run.seconds)
}

/// What QEMU failed with, if it did.
fn failure(devices: &str, run: &Run) -> Option<String> {
    let said = run.said.join(" ");
    let failed = run.end == End::Failed;
    failed.then(|| format!("QEMU failed on {devices}: {said}"))
}

/// Fails in one line if QEMU did in any run.
fn all_ran(failures: &[String]) -> Result<()> {
    match failures {
        [] => Ok(()),
        [one] => bail!("{one}"),
        [first, others @ ..] => bail!("{first} (and in {} more runs)", others.len()),
    }
}

/// What the run on QEMU's own devices left.
struct Traced {
    run: Run,
    parts: Vec<(&'static str, Vec<Part>)>,
    version: String,
}

impl<'a> Guest<'a> {
    fn prepare(wish: &'a Wish) -> Result<Self> {
        let output = &wish.output;
        fs::create_dir_all(output).with_context(|| format!("cannot make {}", output.display()))?;
        // QEMU and its devices meet at sockets there.
        let output = output.canonicalize().context("where is the output?")?;
        let (disk, format) = match &wish.disk {
            Some(disk) => (disk.clone(), format_of(wish, disk)?),
            None => {
                let path = output.join("empty.img");
                fs::write(&path, vec![0; EMPTY]).context("cannot write a disk")?;
                (path, "raw".to_owned())
            }
        };
        let raw = match format.as_str() {
            "raw" => disk.clone(),
            format => {
                let raw = output.join("disk.raw");
                convert(&disk, format, &raw)?;
                raw
            }
        };
        Ok(Self {
            wish,
            disk,
            format,
            raw,
            limits: Limits {
                time: Duration::from_secs(wish.seconds),
                quiet: Duration::from_secs(wish.quiet),
            },
        })
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.wish.output.canonicalize()?.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    fn traced(&self) -> Result<Traced> {
        const PROGRAM: &str = "qemu-system-x86_64";
        let version = version_of_qemu(PROGRAM)?;
        let folder = self.folder("qemu")?;
        let mut line = vec![OsString::from(PROGRAM)];
        line.extend(board::traced(self.wish, &self.disk, &self.format, &folder));
        let mut run = boot::run(&line, self.limits, &|| 0)?;
        let mut found = std::mem::take(&mut run.parts);
        let parts = board::DEVICES.iter().filter_map(|(_, name, _)| {
            let parts = found.remove(name)?;
            Some((*name, parts.finish()))
        });
        Ok(Traced {
            parts: parts.collect(),
            run,
            version,
        })
    }

    fn scripted(&self, qemu: &Qemu, manner: Manner<'_>) -> Result<Seen> {
        let folder = self.folder(manner.name)?;
        let kinds = [
            ("disk", Kind::Snapshot(self.raw.clone()), 2),
            ("rng", Kind::Rng, 2),
            ("console", Kind::Console, 3),
        ];
        let path = |name: &str, what: &str| folder.join(format!("{name}.{what}"));
        let mut devices = Vec::new();
        for (name, kind, vectors) in kinds {
            let config = Config {
                listed_id: true,
                lenient: manner.lenient,
                log: Some(path(name, "log")),
                ..Config::new(name, kind, vectors)
            };
            let device = Device::start(&config, &path(name, "socket"))?;
            if let Some(scenario) = manner.scenario.filter(|s| s.device == name) {
                device.lie(&scenario.lies);
            }
            devices.push((name, device));
        }
        let sockets: Vec<_> = devices.iter().map(|(n, _)| path(n, "socket")).collect();
        let sockets: Vec<&Path> = sockets.iter().map(PathBuf::as_path).collect();
        let mut line = qemu.command.clone();
        line.extend(board::scripted(self.wish, &sockets, &folder));
        let accesses = || devices.iter().map(|(_, device)| device.accesses()).sum();
        let run = boot::run(&line, self.limits, &accesses)?;
        let left = |(name, device): &(&'static str, Device)| -> Result<Left> {
            let log = path(name, "log");
            let text = fs::read_to_string(&log)
                .with_context(|| format!("cannot read {}", log.display()))?;
            let mut unseen = device.take_breaches();
            unseen.retain(|breach| breach.rule.seen == rules::Seen::Device);
            Ok(Left {
                name,
                parts: parts_of(&text),
                unseen,
                lied: device.lied(),
                status: device.status(),
            })
        };
        let devices = devices.iter().map(left).collect::<Result<_>>()?;
        Ok(Seen { run, devices })
    }

    /// Judges the parts of a device, and leaves each as a file.
    fn judge(
        &self,
        run: &str,
        device: &str,
        parts: &[Part],
        qemu: &str,
        columns: &mut Vec<Column>,
    ) -> Result<()> {
        for (n, part) in parts.iter().enumerate() {
            let name = match parts.len() {
                1 => format!("{run}-{device}"),
                _ => format!("{run}-{device}-{}", n + 1),
            };
            let path = self.wish.output.join(format!("{name}.txt"));
            fs::write(&path, &part.text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            let lane = Lane::of(&name, part.text.as_bytes(), &[])?;
            let title = match part.is_live() {
                true => "set live",
                false => "not set live",
            };
            println!("  {name}: {}, {title}", part.accesses);
            columns.push(Column {
                cells: cells(&lane),
                name,
                title: title.to_owned(),
                version: String::new(),
                qemu: qemu.to_owned(),
            });
        }
        Ok(())
    }

    /// Has devices lie, a boot each, and prints what comes of it; gives the failures of QEMU.
    fn lies(&self, qemu: &Qemu, words: &[String]) -> Result<Vec<String>> {
        let path = &self.wish.scenarios;
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let scenarios = lies::read(&text, words)?;
        if scenarios.is_empty() {
            bail!("no scenario has such a name: see {}", path.display());
        }
        let (mut rows, mut failures) = (Vec::new(), Vec::new());
        for scenario in &scenarios {
            let name = scenario.name.replace([' ', ','], "-");
            let manner = Manner {
                name: &name,
                lenient: true,
                scenario: Some(scenario),
            };
            let seen = self.scripted(qemu, manner)?;
            failures.extend(failure(
                &format!("the lie \"{}\"", scenario.name),
                &seen.run,
            ));
            let console = self.folder(&name)?.join("console.log");
            let console = fs::read(console).unwrap_or_default();
            let console = String::from_utf8_lossy(&console);
            let left = seen
                .devices
                .iter()
                .find(|left| left.name == scenario.device);
            rows.push(table::Lied {
                scenario: scenario.name.clone(),
                device: scenario.device.clone(),
                told: left.map_or(0, |left| left.lied),
                status: left.map_or(0, |left| left.status),
                end: format!("{} after {} s", seen.run.end, seen.run.seconds),
                says: splat(&console).unwrap_or_default().to_owned(),
            });
        }
        println!("\n{}", table::lies(&rows));
        Ok(failures)
    }
}

/// The first line of a console that tells of a fault.
fn splat(console: &str) -> Option<&str> {
    let mut lines = console.lines();
    lines.find(|line| SPLATS.iter().any(|splat| line.contains(splat)))
}

/// The parts of a scripted device's log.
fn parts_of(log: &str) -> Vec<Part> {
    let mut parts = Parts::default();
    for line in log.lines() {
        if let Some(touch) = touch_of(line) {
            parts.push(touch, line);
        }
    }
    parts.finish()
}

/// Reads a line as `scripted blk: probe msix write 0x12 size 1 value 0x0`.
fn touch_of(line: &str) -> Option<Touch> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, _, _, _, kind, offset, _, _, _, value] = words[..] else {
        return None;
    };
    Some(Touch {
        offset: number(offset).ok()?,
        write: kind == "write",
        value: number(value).ok()?,
    })
}

/// The format of a disk image.
fn format_of(wish: &Wish, disk: &Path) -> Result<String> {
    let mut begin = Vec::new();
    let file = fs::File::open(disk).with_context(|| format!("cannot open {}", disk.display()))?;
    file.take(4).read_to_end(&mut begin)?;
    Ok(match &wish.format {
        Some(format) => format.clone(),
        None if begin == *b"QFI\xfb" => "qcow2".to_owned(),
        None => "raw".to_owned(),
    })
}

fn convert(disk: &Path, format: &str, raw: &Path) -> Result<()> {
    let done = Command::new("qemu-img")
        .args(["convert", "-f", format, "-O", "raw"])
        .args([disk, raw])
        .output()
        .context("cannot run qemu-img: install qemu-utils")?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("qemu-img cannot read {}: {}", disk.display(), said.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qemu_that_fails_while_devices_lie_is_told_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let scenarios = "../../tests/hostile/scenarios.txt";
        let wish = Wish {
            output: folder.path().to_owned(),
            scenarios: Path::new(env!("CARGO_MANIFEST_DIR")).join(scenarios),
            seconds: 10,
            ..Wish::default()
        };
        let guest = Guest::prepare(&wish).unwrap();
        let qemu = |script: &str| Qemu {
            command: ["sh", "-c", script].map(OsString::from).to_vec(),
            version: "0".to_owned(),
            balloon_msix: false,
            parallel_tcg: false,
        };
        let lies = |script: &str| {
            let failures = guest.lies(&qemu(script), &["all registers ones, at".to_owned()]);
            all_ran(&failures.unwrap())
        };
        assert!(lies("exit 0").is_ok());
        let error = lies("echo no such device >&2; exit 1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "QEMU failed on the lie \"all registers ones, at probe\": no such device (and in 1 \
             more runs)"
        );
    }

    #[test]
    fn a_log_of_the_scripted_device_is_cut_into_parts() {
        let line = |kind: &str, value: u8| {
            format!("scripted disk: probe intx {kind} 0x12 size 1 value {value:#x}\n")
        };
        let driver = [line("write", 0), line("read", 0), line("write", 3)].concat();
        let parts = parts_of(&driver.repeat(2));
        let accesses: Vec<_> = parts.iter().map(|part| part.accesses).collect();
        assert_eq!(accesses, [3, 3]);
        assert_eq!(parts[0].text, driver);
    }

    #[test]
    fn the_first_fault_on_a_console_is_told() {
        let console = "[ 1.0] Linux\n[ 2.0] BUG: unable\n[ 2.1] Kernel panic\n";
        assert_eq!(splat(console), Some("[ 2.0] BUG: unable"));
        assert_eq!(splat("login:"), None);
    }
}
