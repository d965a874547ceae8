// SPDX-License-Identifier: GPL-2.0

//! The virtio devices on the PCI bus, and what hangs on them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context as _, Result};

use crate::special::Special;
use crate::Kernel;

const VENDOR: u32 = 0x1af4;

/// Device ids of legacy and transitional devices.
const LEGACY: std::ops::RangeInclusive<u32> = 0x1000..=0x103f;

/// Device ids of devices without a legacy interface.
const MODERN: std::ops::RangeInclusive<u32> = 0x1040..=0x107f;

/// A virtio device on the PCI bus.
#[derive(Debug)]
pub(crate) struct Device {
    /// Domain, bus, device and function.
    pub(crate) address: String,
    /// Whether its PCI ids are those of devices with a legacy interface.
    pub(crate) legacy: bool,
    /// The name of its driver on the PCI bus.
    pub(crate) driver: Option<String>,
    /// What the virtio drivers made of it.
    pub(crate) nodes: Vec<Node>,
    /// Whether it has an interface that is not among the nodes.
    pub(crate) hides_interface: bool,
    /// The name by which 9p mounts it.
    pub(crate) mount_tag: Option<String>,
}

/// A disk, a partition, an interface, a port and so on.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its directory in sysfs.
    pub(crate) path: PathBuf,
    /// The subsystem, for example `block`.
    pub(crate) subsystem: String,
    pub(crate) name: String,
    /// Its file in `/dev`.
    pub(crate) file: Option<String>,
    /// Major and minor number.
    pub(crate) number: Option<String>,
}

impl fmt::Display for Device {
    /// The address, with the names by which people know the device.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        let known = |node: &&Node| {
            matches!(node.subsystem.as_str(), "block" | "net") && !node.is_partition()
        };
        for node in self.nodes.iter().filter(known) {
            write!(f, " ({})", node.name)?;
        }
        Ok(())
    }
}

impl Device {
    /// The device at an address; the domain may be left out.
    pub(crate) fn find(kernel: &Kernel<'_>, address: &str) -> Result<Self> {
        let whole = if address.matches(':').count() == 1 {
            format!("0000:{address}")
        } else {
            address.to_owned()
        };
        let plain = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
        let path = kernel.path("sys/bus/pci/devices").join(&whole);
        if !whole.chars().all(plain) || !path.exists() {
            bail!("there is no PCI device {address}; lspci -D lists them");
        }
        match Self::read(&path, whole)? {
            Some(device) if device.legacy => Ok(device),
            Some(device) => bail!("{device} has no legacy interface; it stays with virtio-pci"),
            None => bail!("{address} is no virtio device"),
        }
    }

    /// Reads a device; None if it is no virtio device.
    fn read(path: &Path, address: String) -> Result<Option<Self>> {
        let (vendor, id) = (number(path, "vendor")?, number(path, "device")?);
        let legacy = LEGACY.contains(&id);
        if vendor != VENDOR || !(legacy || MODERN.contains(&id)) {
            return Ok(None);
        }
        let mut device = Self {
            address,
            legacy,
            driver: link_name(&path.join("driver")),
            nodes: Vec::new(),
            hides_interface: false,
            mount_tag: None,
        };
        for child in directories(path) {
            // The PCI device itself has nodes of other drivers never.
            if link_name(&child.join("subsystem")).as_deref() == Some("virtio") {
                let tag = fs::read_to_string(child.join("mount_tag")).ok();
                device.mount_tag = tag.map(|tag| tag.trim_matches(['\0', '\n']).to_owned());
                collect(&child, &mut device.nodes);
                // The driver always has an interface. Sysfs shows those of the network namespace
                // that it was mounted in.
                device.hides_interface |= link_name(&child.join("driver")).as_deref()
                    == Some("virtio_net")
                    && !device.nodes.iter().any(|node| node.subsystem == "net");
            }
        }
        Ok(Some(device))
    }
}

impl Node {
    pub(crate) fn is_partition(&self) -> bool {
        self.path.join("partition").exists()
    }

    pub(crate) fn is_disk(&self) -> bool {
        self.subsystem == "block" && !self.is_partition()
    }

    /// The path of its file.
    pub(crate) fn device_file(&self) -> String {
        format!("/dev/{}", self.file.as_ref().unwrap_or(&self.name))
    }

    /// What its file is.
    pub(crate) fn special(&self) -> Option<Special> {
        Some(Special {
            is_block: self.subsystem == "block",
            number: self.number.clone()?,
        })
    }

    /// Reads what the directory is; None if it belongs to no subsystem.
    fn read(path: &Path) -> Option<Self> {
        let uevent = fs::read_to_string(path.join("uevent")).unwrap_or_default();
        let file = uevent
            .lines()
            .find_map(|line| line.strip_prefix("DEVNAME="));
        let number = fs::read_to_string(path.join("dev")).ok();
        Some(Self {
            subsystem: link_name(&path.join("subsystem"))?,
            name: path.file_name()?.to_string_lossy().into_owned(),
            file: file.map(str::to_owned),
            number: number.map(|number| number.trim().to_owned()),
            path: path.to_owned(),
        })
    }
}

/// The virtio devices on the bus, in the order of their addresses.
pub(crate) fn all(kernel: &Kernel<'_>) -> Result<Vec<Device>> {
    let bus = kernel.path("sys/bus/pci/devices");
    let entries = fs::read_dir(&bus).with_context(|| format!("cannot read {}", bus.display()))?;
    let mut devices = Vec::new();
    for entry in entries {
        let entry = entry?;
        let address = entry.file_name().to_string_lossy().into_owned();
        devices.extend(Device::read(&entry.path(), address)?);
    }
    devices.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(devices)
}

/// Collects the nodes below a directory of sysfs.
fn collect(path: &Path, nodes: &mut Vec<Node>) {
    for child in directories(path) {
        nodes.extend(Node::read(&child));
        collect(&child, nodes);
    }
}

/// The directories in a directory, links left out.
fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut paths: Vec<_> = entries
        .filter(is_directory)
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// The name of what a link points to.
pub(crate) fn link_name(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// A number in a file of sysfs, as `0x1af4`.
fn number(path: &Path, name: &str) -> Result<u32> {
    let path = path.join(name);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let digits = text.trim().trim_start_matches("0x");
    u32::from_str_radix(digits, 16)
        .with_context(|| format!("{} is no number: {text:?}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn a_device_has_its_disk_and_partitions() {
        let fake = Fake::new();
        fake.disk("0000:00:04.0", "vda", "254:0", "virtio-pci");
        fake.partition("0000:00:04.0", "vda", "vda1", "254:1");
        let device = Device::find(&fake.kernel(), "00:04.0").unwrap();
        assert_eq!(device.driver.as_deref(), Some("virtio-pci"));
        let names: Vec<_> = device.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["vda", "vda1"]);
        assert_eq!(device.nodes[1].number.as_deref(), Some("254:1"));
        assert_eq!(device.to_string(), "0000:00:04.0 (vda)");
    }

    #[test]
    fn devices_that_are_not_ours_are_named() {
        let fake = Fake::new();
        fake.pci("0000:00:01.0", "0x8086", "0x1000", "piix");
        fake.pci("0000:00:02.0", "0x1af4", "0x1042", "virtio-pci");
        fake.pci("0000:00:03.0", "0x1af4", "0x1110", "ivshmem");
        let find = |address| {
            Device::find(&fake.kernel(), address)
                .unwrap_err()
                .to_string()
        };
        assert!(find("00:01.0").contains("no virtio device"));
        assert!(find("00:02.0").contains("no legacy interface"));
        assert!(find("00:03.0").contains("no virtio device"));
        assert!(find("00:07.0").contains("no PCI device"));
        assert!(find("../../etc").contains("no PCI device"));
        assert_eq!(all(&fake.kernel()).unwrap().len(), 1);
    }
}
