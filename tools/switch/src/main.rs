// SPDX-License-Identifier: GPL-2.0

//! Hands legacy virtio devices over between the C driver and `virtio_pci_rs`, on a running machine.

mod devices;
#[cfg(test)]
mod fake;
mod handover;
mod special;
mod uses;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::println;
use anyhow::{bail, Result};
use clap::{Parser, ValueEnum};

use devices::Device;
use handover::Done;
use special::Special;

/// Hands legacy virtio devices over between the C driver and virtio_pci_rs.
#[derive(Parser)]
#[command(name = "virtio-pci-rs-switch", version)]
struct Arguments {
    /// PCI addresses of devices, for example 0000:00:04.0 or 00:04.0.
    #[arg(
        value_name = "BDF",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    addresses: Vec<String>,
    /// Every device with a legacy interface that the other driver has.
    #[arg(long)]
    all: bool,
    /// The driver that gets them.
    #[arg(long, value_enum, value_name = "DRIVER", default_value_t = Driver::Rust)]
    to: Driver,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// The drivers of the legacy transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Driver {
    /// `virtio-pci`, which Debian's kernels have built in.
    C,
    /// `virtio_pci_rs`.
    Rust,
}

impl Driver {
    /// Its name on the PCI bus.
    fn name(self) -> &'static str {
        match self {
            Self::C => "virtio-pci",
            Self::Rust => "virtio_pci_rs",
        }
    }
}

/// Where the kernel shows itself; tests have one of their own.
struct Kernel<'a> {
    /// The directory that has `sys`, `proc` and `dev`.
    root: PathBuf,
    /// Whether this program is root, who sees all.
    is_root: bool,
    /// Writes to a file of sysfs.
    write: &'a dyn Fn(&Path, &str) -> io::Result<()>,
    /// Tells which device a file is.
    special: &'a dyn Fn(&Path) -> io::Result<Option<Special>>,
    /// Opens a disk for this program alone.
    claim: &'a dyn Fn(&Path) -> io::Result<File>,
}

impl Kernel<'_> {
    /// A path below the root.
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let kernel = Kernel {
        root: "/".into(),
        is_root: rustix::process::geteuid().is_root(),
        write: &|path, text| std::fs::write(path, text),
        special: &special::of,
        claim: &special::claim,
    };
    match run(&kernel, &arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("virtio-pci-rs-switch: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Hands over what was asked for, with a line for each device; tells whether all went well.
fn run(kernel: &Kernel<'_>, arguments: &Arguments) -> Result<bool> {
    if !kernel.is_root {
        bail!("refused, only root sees all that uses a device; run it as root, --dry-run too");
    }
    let to = arguments.to;
    let devices = if arguments.all {
        let all = devices::all(kernel)?;
        let mut devices: Vec<_> = all.into_iter().filter(|device| device.legacy).collect();
        devices.retain(|device| device.driver.is_some());
        devices
    } else {
        let find = |address: &String| Device::find(kernel, address);
        arguments
            .addresses
            .iter()
            .map(find)
            .collect::<Result<_>>()?
    };
    if !kernel.path("sys/bus/pci/drivers").join(to.name()).is_dir() {
        bail!(
            "the driver {} is not loaded; {}",
            to.name(),
            how_to_load(to)
        );
    }
    let mut good = true;
    for device in &devices {
        match handover::hand_over(kernel, device, to, arguments.dry_run) {
            Ok(Done::Already) => println!("{device}: {} has it", to.name()),
            Ok(Done::Would) => println!("{device}: would be handed over to {}", to.name()),
            Ok(Done::HandedOver) => println!("{device}: handed over to {}", to.name()),
            Err(error) => {
                eprintln!("{device}: {error:#}");
                good = false;
            }
        }
    }
    Ok(good)
}

fn how_to_load(driver: Driver) -> &'static str {
    match driver {
        Driver::C => "boot without initcall_blacklist=virtio_pci_driver_init",
        Driver::Rust => "run modprobe virtio_pci_rs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    fn arguments(words: &[&str]) -> Arguments {
        let words = std::iter::once("virtio-pci-rs-switch").chain(words.iter().copied());
        Arguments::try_parse_from(words).unwrap()
    }

    #[test]
    fn all_takes_what_is_free_and_reports_what_is_not() {
        let fake = Fake::new();
        fake.disk("0000:00:04.0", "vda", "254:0", "virtio-pci");
        fake.disk("0000:00:05.0", "vdb", "254:16", "virtio-pci");
        fake.mount("254:0", "/dev/vda", "/");
        assert!(!run(&fake.kernel(), &arguments(&["--all"])).unwrap());
        assert_eq!(fake.driver("0000:00:04.0"), "virtio-pci");
        assert_eq!(fake.driver("0000:00:05.0"), "virtio_pci_rs");
        assert!(run(&fake.kernel(), &arguments(&["--all", "--to", "c"])).unwrap());
        assert_eq!(fake.driver("0000:00:05.0"), "virtio-pci");
    }

    #[test]
    fn a_dry_run_writes_nothing() {
        let fake = Fake::new();
        fake.disk("0000:00:05.0", "vdb", "254:16", "virtio-pci");
        assert!(run(&fake.kernel(), &arguments(&["--dry-run", "00:05.0"])).unwrap());
        assert_eq!(fake.driver("0000:00:05.0"), "virtio-pci");
        assert_eq!(fake.writes(), [""; 0]);
    }

    #[test]
    fn an_ordinary_user_is_refused() {
        let fake = Fake::new();
        fake.disk("0000:00:05.0", "vdb", "254:16", "virtio-pci");
        let kernel = Kernel {
            is_root: false,
            ..fake.kernel()
        };
        let error = run(&kernel, &arguments(&["--dry-run", "00:05.0"])).unwrap_err();
        assert!(error.to_string().contains("as root"), "{error}");
    }

    #[test]
    fn a_driver_that_is_not_loaded_is_named() {
        let fake = Fake::new();
        fake.disk("0000:00:05.0", "vdb", "254:16", "virtio-pci");
        fake.unload("virtio_pci_rs");
        let error = run(&fake.kernel(), &arguments(&["00:05.0"])).unwrap_err();
        assert!(
            error.to_string().contains("modprobe virtio_pci_rs"),
            "{error}"
        );
    }

    #[test]
    fn a_device_or_all_has_to_be_given() {
        let parse = |words: &[&str]| {
            let words = std::iter::once("virtio-pci-rs-switch").chain(words.iter().copied());
            Arguments::try_parse_from(words).is_ok()
        };
        assert!(!parse(&[]));
        assert!(!parse(&["--all", "00:04.0"]));
        assert!(parse(&["00:04.0", "00:05.0"]));
    }
}
