// SPDX-License-Identifier: GPL-2.0

//! Runs a driver on QEMU and cuts what it traced.

use crate::guest::{Guest, Software};
use crate::initramfs::{self, Content};
use crate::matrix::cells;
use anstream::println;
use anyhow::{bail, Context, Result};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use virtio_check::{cut, Lane};

/// A driver that polls makes more accesses than anyone needs.
const ENOUGH: usize = 30_000;

/// A driver is stopped after this time.
const LIMIT: Duration = Duration::from_secs(180);

/// A driver that has done nothing for this long does nothing more.
const QUIET: Duration = Duration::from_secs(25);

/// Where things are that are not installed.
#[derive(Clone, Debug)]
pub struct Places {
    /// A folder with an unpacked kernel package for each series, instead of those that are fetched.
    pub kernels: Option<PathBuf>,
}

/// What a run left.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The cut trace.
    pub text: String,
    /// How many accesses there were.
    pub accesses: usize,
    /// The version of the package, or the release of the kernel.
    pub version: String,
    /// The version of QEMU.
    pub qemu: String,
}

/// Runs a driver and cuts its trace.
///
/// # Errors
///
/// Its package is missing, QEMU does not start, the driver does nothing, or the cut trace does not
/// give the verdict of the whole one.
pub fn run(guest: &Guest, places: &Places) -> Result<Trace> {
    let program = format!("qemu-system-{}", guest.architecture);
    let qemu = version_of_qemu(&program)?;
    let unpacked = guest.suite.map(|suite| {
        let options = machine::Options::new(Path::new("."))?;
        match guest.software {
            Software::Program(program, _) => {
                machine::ensure_program(&options, program, suite, &say)
            }
            _ => machine::ensure_unpacked(&options, guest.package, suite, &say),
        }
    });
    let unpacked = unpacked.transpose()?;
    let tree = unpacked.as_ref().map_or(Path::new("/"), |u| &u.tree);
    if let Some(file) = guest.firmware(tree).filter(|file| !file.exists()) {
        bail!("{} is missing: install {}", file.display(), guest.package);
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let disk = folder.path().join("disk");
    fs::write(&disk, boot_sector()).context("cannot write a disk")?;
    let events = folder.path().join("events");
    fs::write(&events, "memory_region_ops_read\nmemory_region_ops_write\n")?;
    let version = unpacked
        .as_ref()
        .map(|unpacked| format!("{} {}", guest.package, unpacked.version));
    let (version, kernel) = match guest.software {
        Software::Kernel(series) => {
            let (release, files) = kernel(series, Content::DEVICES, places, folder.path())?;
            (release, Some(files))
        }
        Software::Program(_, series) => {
            let content = Content::testpmd(tree);
            let (release, files) = kernel(series, content, places, folder.path())?;
            let version = version.context("no suite is told")?;
            (format!("{version} on Linux {release}"), Some(files))
        }
        _ => match version {
            Some(version) => (version, None),
            None => (version_of_package(guest.package)?, None),
        },
    };
    let mut command = Command::new(&program);
    command.args(guest.arguments(&disk, tree, kernel.as_ref()));
    command
        .arg("-trace")
        .arg(format!("events={}", events.display()));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let whole = listen(&mut child, LIMIT)?;
    let accesses = whole.lines().count();
    let name = guest.full_name();
    let judged = Lane::of(&name, whole.as_bytes(), &[])?;
    let text = cut(&whole)?;
    if cells_without_counts(&Lane::of(&name, text.as_bytes(), &[])?)
        != cells_without_counts(&judged)
    {
        bail!("the cut trace gives another verdict");
    }
    Ok(Trace {
        text,
        accesses,
        version,
        qemu,
    })
}

fn say(line: &str) {
    println!("{line}");
}

fn cells_without_counts(lane: &Lane) -> Vec<(&'static str, virtio_check::Outcome)> {
    cells(lane)
        .into_iter()
        .map(|cell| (cell.rule, cell.outcome))
        .collect()
}

/// Gathers the accesses to the device until QEMU ends, the time is over or there are enough.
fn listen(child: &mut Child, time: Duration) -> Result<String> {
    let output = child.stderr.take().context("QEMU has no output")?;
    let (send, receive) = channel();
    let reader = thread::spawn(move || {
        let mut others = Vec::new();
        let mut lines = BufReader::new(output).split(b'\n');
        while let Some(Ok(line)) = lines.next() {
            let line = String::from_utf8_lossy(&line).into_owned();
            if line.ends_with("name 'virtio-pci'") {
                if send.send(line).is_err() {
                    break;
                }
            } else if !line.contains("memory_region_ops_") {
                others.push(line);
            }
        }
        others
    });
    let begin = Instant::now();
    let end = begin + time;
    let mut text = String::new();
    let mut count = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let quiet = if count == 0 { left } else { QUIET };
        match receive.recv_timeout(left.min(quiet)) {
            Ok(line) => {
                text.push_str(&line);
                text.push('\n');
                count += 1;
                if count == ENOUGH {
                    break;
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(receive);
    child.kill().context("cannot stop QEMU")?;
    child.wait().context("cannot wait for QEMU")?;
    let said = reader.join().unwrap_or_default();
    if count == 0 {
        let said: String = said.join(" ").chars().take(300).collect();
        bail!(
            "no access to the device in {} s; QEMU said: {said}",
            begin.elapsed().as_secs()
        );
    }
    Ok(text)
}

/// A disk that firmware takes for bootable, and whose code stops the processor.
fn boot_sector() -> Vec<u8> {
    let mut disk = vec![0; 16 << 20];
    disk[..3].copy_from_slice(&[0xf4, 0xeb, 0xfd]);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

fn kernel(
    series: &str,
    content: Content<'_>,
    places: &Places,
    folder: &Path,
) -> Result<(String, (PathBuf, PathBuf))> {
    let options = machine::Options::new(Path::new("."))?;
    let package = match &places.kernels {
        Some(kernels) => kernels.join(series),
        None => machine::ensure_series(&options, series, &say)?,
    };
    let busybox = machine::ensure_busybox(&options, &say)?;
    let initramfs = folder.join("initramfs");
    fs::write(&initramfs, initramfs::build(&package, &busybox, content)?)?;
    let image = initramfs::image(&package)?;
    Ok((initramfs::release(&package)?, (image, initramfs)))
}

pub(crate) fn version_of_qemu(program: &str) -> Result<String> {
    let text = output(Command::new(program).arg("--version"))?;
    let version = text
        .split_whitespace()
        .nth(3)
        .context("QEMU does not tell its version")?;
    Ok(version.to_owned())
}

fn version_of_package(package: &str) -> Result<String> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${Version}", package]);
    let version = output(&mut query).with_context(|| format!("install {package}"))?;
    Ok(format!("{package} {version}"))
}

fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !done.status.success() {
        bail!(
            "{program} failed: {}",
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
