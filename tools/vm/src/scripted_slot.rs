// SPDX-License-Identifier: GPL-2.0

//! Scripted devices in the VM: QEMU's `vfio-user-pci`, and the devices that it connects to.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use scripted::{Bar, Config, Device, Kind, Power};

/// What a scripted device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// A source of random numbers.
    Rng,
    /// A disk of this many MiB.
    Disk(u64),
    /// A serial port that sends back what it gets.
    Console,
}

/// A scripted device of the test VM.
#[derive(Clone, Copy, Debug)]
pub struct Scripted {
    /// Its name, and that of its files.
    pub name: &'static str,
    /// Its PCI slot, as the guest writes it.
    pub slot: &'static str,
    /// What it is.
    pub model: Model,
    /// How its registers are seen.
    pub bar: Bar,
    /// How many MSI-X vectors it has; without any, it has INTx only.
    pub vectors: u16,
    /// Whether it has an interrupt pin.
    pub has_pin: bool,
    /// What it says of D3.
    pub power: Power,
    /// Whether each access of the driver is judged.
    pub strict: bool,
}

impl Scripted {
    /// A device with I/O ports that judges its driver.
    pub const fn new(name: &'static str, slot: &'static str, model: Model, vectors: u16) -> Self {
        Self {
            name,
            slot,
            model,
            bar: Bar::Ports(64),
            vectors,
            has_pin: true,
            power: Power::Unmanaged,
            strict: true,
        }
    }

    /// The interrupt policy that a driver must arrive at.
    pub fn policy(&self) -> &'static str {
        let wanted = match self.model {
            Model::Rng | Model::Disk(_) => 2,
            Model::Console => 3,
        };
        match self.vectors {
            0 | 1 => "intx",
            vectors if vectors < wanted => "shared",
            _ => "per-queue",
        }
    }

    fn socket(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.socket", self.name))
    }

    /// Its QEMU device; files are in this folder.
    pub fn device(&self, dir: &Path) -> String {
        let device = serde_json::json!({
            "driver": "vfio-user-pci",
            "id": format!("dev-{}", self.name),
            "bus": "pci.0",
            "addr": format!("0x{}", self.slot),
            // Each write has arrived when the guest goes on.
            "x-no-posted-writes": true,
            "socket": { "type": "unix", "path": self.socket(dir) },
        });
        device.to_string()
    }

    /// Starts it.
    pub fn start(&self, dir: &Path) -> Result<Device> {
        let kind = match self.model {
            Model::Rng => Kind::Rng,
            Model::Console => Kind::Console,
            Model::Disk(mebibytes) => {
                let path = dir.join(format!("{}.img", self.name));
                let file = File::create(&path);
                file.and_then(|file| file.set_len(mebibytes << 20))
                    .with_context(|| format!("cannot make {}", path.display()))?;
                Kind::Disk(path)
            }
        };
        let config = Config {
            bar: self.bar,
            has_pin: self.has_pin,
            power: self.power,
            strict: self.strict,
            ..Config::new(self.name, kind, self.vectors)
        };
        Device::start(&config, &self.socket(dir))
    }
}
