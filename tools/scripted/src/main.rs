// SPDX-License-Identifier: GPL-2.0

//! Provides one device on a socket, for a QEMU that was started by hand.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use anstream::println;
use anyhow::{Context, Result};
use clap::Parser;
use scripted::{Bar, Config, Device, Kind, Lie};

/// A legacy virtio PCI device over vfio-user, for QEMU's device vfio-user-pci.
///
/// Lines on the standard input are lies, as `run read STATUS set 0x40`; `honest` ends them all, and
/// an empty line shows the breaches so far.
#[derive(Parser)]
struct Arguments {
    /// The socket to listen on.
    socket: PathBuf,
    /// The file of a disk; without one, the device is a source of random numbers.
    #[arg(long)]
    disk: Option<PathBuf>,
    /// A serial port that sends back what it gets.
    #[arg(long, conflicts_with = "disk")]
    console: bool,
    /// How many MSI-X vectors it has; without any, it has INTx only.
    #[arg(long, default_value_t = 3)]
    vectors: u16,
    /// A file that gets a line an access, for virtio-check trace.
    #[arg(long)]
    log: Option<PathBuf>,
    /// Its registers are in memory, not in I/O ports.
    #[arg(long)]
    memory: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let kind = match (arguments.disk, arguments.console) {
        (Some(disk), _) => Kind::Disk(disk),
        (None, true) => Kind::Console,
        (None, false) => Kind::Rng,
    };
    let mut config = Config::new("device", kind, arguments.vectors);
    if arguments.memory {
        config.bar = Bar::Memory(4096);
    }
    config.log = arguments.log;
    let device = Device::start(&config, &arguments.socket)?;
    if std::io::stdin().is_terminal() {
        eprintln!("listening on {}", arguments.socket.display());
    }
    let mut lies: Vec<Lie> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.context("cannot read the standard input")?;
        match line.trim() {
            "" => {}
            "honest" => lies.clear(),
            text => match text.parse() {
                Ok(lie) => lies.push(lie),
                Err(error) => eprintln!("{error:#}"),
            },
        }
        device.lie(&lies);
        for breach in device.take_breaches() {
            println!("{breach}");
        }
    }
    Ok(())
}
