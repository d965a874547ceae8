// SPDX-License-Identifier: GPL-2.0

//! The machines in which the tests run: board, devices, interrupts, processors.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use machine::{Arch, Qemu, Variant};

use crate::scripted_slot::Scripted;

/// The kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Board {
    /// i440FX: conventional PCI, hot-plug by ACPI.
    Pc,
    /// Q35: each device behind a PCIe root port, hot-plug by the port.
    Q35,
    /// QEMU's machine of arm64: like Q35, and I/O ports are mapped as memory. It has no S3.
    Virt,
}

impl Board {
    /// The one on which most tests of an architecture run.
    pub fn usual(arch: Arch) -> Self {
        match arch {
            Arch::Amd64 => Self::Pc,
            Arch::Arm64 => Self::Virt,
        }
    }

    /// The architecture of its processors.
    pub fn arch(self) -> Arch {
        match self {
            Self::Pc | Self::Q35 => Arch::Amd64,
            Self::Virt => Arch::Arm64,
        }
    }

    /// Whether devices are behind PCIe root ports.
    fn has_root_ports(self) -> bool {
        match self {
            Self::Pc => false,
            Self::Q35 | Self::Virt => true,
        }
    }

    /// Whether it can suspend to memory.
    pub fn has_s3(self) -> bool {
        match self {
            Self::Pc | Self::Q35 => true,
            Self::Virt => false,
        }
    }

    /// The serial ports of the kernel log, of commands and of a shell, as the guest names them.
    pub fn serial_ports(self) -> [&'static str; 3] {
        match self {
            Self::Pc | Self::Q35 => ["ttyS0", "ttyS1", "ttyS2"],
            Self::Virt => ["ttyAMA0", "ttyS0", "ttyS1"],
        }
    }
}

impl fmt::Display for Board {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Pc => "pc",
            Self::Q35 => "q35",
            Self::Virt => "virt",
        })
    }
}

/// The interrupts that the devices offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Interrupts {
    /// MSI-X, with enough vectors for each virtqueue to have its own.
    #[value(name = "msix")]
    PerQueue,
    /// MSI-X with two vectors: too few for more than one virtqueue.
    Shared,
    /// No MSI-X.
    Intx,
}

impl fmt::Display for Interrupts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::PerQueue => "msix",
            Self::Shared => "shared",
            Self::Intx => "intx",
        })
    }
}

/// A device of the test VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A disk with one queue.
    Blk,
    /// A disk with four queues.
    Blk4,
    /// A network interface.
    Net,
    /// A serial port.
    Console,
    /// A source of random numbers.
    Rng,
    /// A SCSI controller with a disk.
    Scsi,
    /// A memory balloon.
    Balloon,
    /// A shared folder.
    NineP,
    /// The disk that the hibernation image is written to.
    Swap,
}

impl Kind {
    /// The devices that are tested one by one.
    pub const TESTED: [Self; 8] = [
        Self::Blk,
        Self::Blk4,
        Self::Net,
        Self::Console,
        Self::Rng,
        Self::Scsi,
        Self::Balloon,
        Self::NineP,
    ];

    /// Those of them whose virtio drivers can be frozen: that of 9p cannot.
    pub const FROZEN: [Self; 7] = [
        Self::Blk,
        Self::Blk4,
        Self::Net,
        Self::Console,
        Self::Rng,
        Self::Scsi,
        Self::Balloon,
    ];

    /// Its QEMU id.
    pub fn id(self) -> String {
        format!("dev-{}", self.name())
    }

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blk => "blk",
            Self::Blk4 => "blk4",
            Self::Net => "net",
            Self::Console => "console",
            Self::Rng => "rng",
            Self::Scsi => "scsi",
            Self::Balloon => "balloon",
            Self::NineP => "9p",
            Self::Swap => "swap",
        }
    }

    /// Its PCI slot, or that of the root port before it, as the guest writes it.
    pub const fn slot(self) -> &'static str {
        match self {
            Self::Blk => "03",
            Self::Blk4 => "04",
            Self::Net => "05",
            Self::Console => "06",
            Self::Rng => "07",
            Self::Scsi => "08",
            Self::Balloon => "09",
            Self::NineP => "0a",
            Self::Swap => "0b",
        }
    }

    /// Its virtio driver, as the kernel names it.
    pub fn virtio_driver(self) -> &'static str {
        match self {
            Self::Blk | Self::Blk4 | Self::Swap => "virtio_blk",
            Self::Net => "virtio_net",
            Self::Console => "virtio_console",
            Self::Rng => "virtio_rng",
            Self::Scsi => "virtio_scsi",
            Self::Balloon => "virtio_balloon",
            Self::NineP => "9pnet_virtio",
        }
    }

    /// QEMU's device, and the properties that make it this one.
    fn model(self) -> &'static str {
        match self {
            Self::Blk => "virtio-blk-pci,drive=disk-blk,num-queues=1",
            Self::Blk4 => "virtio-blk-pci,drive=disk-blk4,num-queues=4",
            Self::Net => "virtio-net-pci,netdev=net0,mac=52:54:00:12:34:56,romfile=",
            Self::Console => "virtio-serial-pci,max_ports=2",
            Self::Rng => "virtio-rng-pci,rng=random",
            Self::Scsi => "virtio-scsi-pci,num_queues=1",
            Self::Balloon => "virtio-balloon-pci",
            Self::NineP => "virtio-9p-pci,fsdev=share,mount_tag=share",
            Self::Swap => "virtio-blk-pci,drive=disk-swap,num-queues=1",
        }
    }

    /// Devices on the bus that this one provides.
    pub fn children(self) -> &'static [&'static str] {
        match self {
            Self::Console => {
                &["virtserialport,id=port,bus=dev-console.0,nr=1,chardev=port,name=vmtest"]
            }
            Self::Scsi => &["scsi-hd,id=lun,bus=dev-scsi.0,drive=disk-scsi"],
            _ => &[],
        }
    }

    /// Its disk image's name and size in MiB, if it has one.
    pub fn disk(self) -> Option<(&'static str, u64)> {
        match self {
            Self::Blk => Some(("disk-blk", 64)),
            Self::Blk4 => Some(("disk-blk4", 64)),
            Self::Scsi => Some(("disk-scsi", 64)),
            Self::Swap => Some(("disk-swap", 512)),
            _ => None,
        }
    }

    /// How many vectors give the configuration and each virtqueue its own.
    fn wanted_vectors(self, cpus: u8) -> u8 {
        match self {
            Self::Blk | Self::Rng | Self::NineP | Self::Swap => 2,
            Self::Blk4 => 1 + cpus.min(4),
            Self::Net => 3,
            Self::Console => 8,
            Self::Scsi | Self::Balloon => 4,
        }
    }
}

/// A machine with its devices.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The kind of machine.
    pub board: Board,
    /// The interrupts that its devices offer.
    pub interrupts: Interrupts,
    /// How many processors it has.
    pub cpus: u8,
    /// Its devices.
    pub kinds: Vec<Kind>,
    /// Its scripted devices, only on [`Board::Pc`].
    pub scripted: Vec<Scripted>,
    /// Whether QEMU records the accesses to registers.
    pub traced: bool,
    /// More QEMU arguments.
    pub extra: Vec<String>,
    /// The kernel that it runs.
    pub kernel: Variant,
    /// Whether the module's KUnit tests run when it is loaded; needs the debug kernel.
    pub kunit: bool,
    /// More words for the kernel.
    pub words: &'static str,
    /// Whether all of QEMU runs on one processor of the host.
    pub pinned: bool,
    /// Whether QEMU can give MSI-X to balloons, and an ioeventfd.
    balloon_msix: bool,
    /// Whether it has the disk with fio: QEMU cannot save the state of an NVMe controller.
    pub has_tools: bool,
    /// Whether QEMU has a network namespace of its own, with a TAP device of several queues.
    pub has_tap: bool,
    /// How many MiB of memory it has more than usual.
    pub more_memory: u32,
    /// Packages of the workspace whose programs it has, built when it is first booted.
    pub programs: &'static [&'static str],
}

impl Layout {
    /// A machine with every tested device.
    pub fn new(board: Board, interrupts: Interrupts, cpus: u8) -> Self {
        Self {
            board,
            interrupts,
            cpus,
            kinds: Kind::TESTED.to_vec(),
            scripted: Vec::new(),
            traced: false,
            extra: Vec::new(),
            kernel: Variant::Standard,
            kunit: false,
            words: "",
            pinned: false,
            balloon_msix: true,
            has_tools: true,
            has_tap: false,
            more_memory: 0,
            programs: &[],
        }
    }

    /// The same with other devices.
    pub fn with_kinds(mut self, kinds: &[Kind]) -> Self {
        self.kinds = kinds.to_vec();
        self
    }

    /// The same with a disk for hibernation.
    pub fn with_swap(mut self) -> Self {
        self.kinds.push(Kind::Swap);
        self
    }

    /// The same on this QEMU.
    pub fn on(&self, qemu: &Qemu) -> Self {
        Self {
            balloon_msix: qemu.balloon_msix,
            ..self.clone()
        }
    }

    /// The same with more QEMU arguments, an option and its value each.
    pub fn with(mut self, arguments: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        for (option, value) in arguments {
            self.extra.extend([option.to_owned(), value]);
        }
        self
    }

    /// The same with these scripted devices.
    pub fn with_scripted(mut self, devices: &[Scripted]) -> Self {
        self.scripted = devices.to_vec();
        self
    }

    /// The same with a disk that has no file and whose writes can be part of a snapshot: its drive.
    pub fn with_drive(self, name: &str, mebibytes: u64) -> Self {
        let size = mebibytes << 20;
        let drive = format!(
            "if=none,id={name},snapshot=on,file.driver=null-co,file.size={size},file.read-zeroes=on"
        );
        self.with([("-drive", drive)])
    }

    /// Whether its kernel is one that finds faults, which takes time and memory.
    fn finds_faults(&self) -> bool {
        match self.kernel {
            Variant::Standard | Variant::NoMsi | Variant::NoSmp => false,
            Variant::Debug | Variant::DelayedRelease | Variant::Kcsan => true,
        }
    }

    /// How many times longer than on the standard kernel everything may take.
    pub fn slowness(&self) -> u32 {
        match self.finds_faults() {
            false => 1,
            true => 8,
        }
    }

    /// A time limit, for the kernel that it runs.
    pub fn limit(&self, limit: Duration) -> Duration {
        limit * self.slowness()
    }

    /// Its memory in MiB; KASAN's shadow takes an eighth of it.
    fn memory(&self) -> u32 {
        let usual = match self.finds_faults() {
            false => 512,
            true => 768,
        };
        usual + self.more_memory
    }

    /// The interrupt policy that a driver must arrive at for a device.
    pub fn policy(&self, kind: Kind) -> &'static str {
        match self.interrupts {
            _ if kind == Kind::Balloon && !self.balloon_msix => "intx",
            _ if self.kernel == Variant::NoMsi => "intx",
            Interrupts::PerQueue => "per-queue",
            Interrupts::Shared if kind.wanted_vectors(self.cpus) <= 2 => "per-queue",
            Interrupts::Shared => "shared",
            Interrupts::Intx => "intx",
        }
    }

    /// The architecture of the kernel that it runs.
    pub fn arch(&self) -> Arch {
        self.board.arch()
    }

    /// The argument of `-device` or `device_add` for a device.
    pub fn device(&self, kind: Kind) -> String {
        let (bus, address) = match (self.board, kind) {
            (Board::Pc, _) => ("pci.0".to_owned(), kind.slot()),
            // Needs no hot-plug, and the ports' windows leave no room for more I/O space.
            (Board::Q35 | Board::Virt, Kind::Swap) => ("pcie.0".to_owned(), kind.slot()),
            (Board::Q35 | Board::Virt, _) => (format!("port-{}", kind.name()), "00"),
        };
        let vectors = match self.interrupts {
            Interrupts::PerQueue => kind.wanted_vectors(self.cpus),
            Interrupts::Shared => 2,
            Interrupts::Intx => 0,
        };
        let mut device = format!(
            "{},id={},bus={bus},addr=0x{address},disable-legacy=off,disable-modern=on",
            kind.model(),
            kind.id(),
        );
        if kind != Kind::Balloon || self.balloon_msix {
            let ioeventfd = if self.traced { "off" } else { "on" };
            device.push_str(&format!(",vectors={vectors},ioeventfd={ioeventfd}"));
        }
        device
    }

    /// The QEMU arguments for the machine and its devices; files are in this folder.
    pub fn arguments(&self, dir: &Path, tools_disk: &Path) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |option: &str, value: String| {
            arguments.push(option.to_owned());
            arguments.push(value);
        };
        let folder = dir;
        let dir = dir.display();
        match self.board {
            Board::Pc if !self.scripted.is_empty() => {
                // Scripted devices have the guest's memory mapped.
                add("-machine", "pc,memory-backend=memory".to_owned());
                let size = self.memory();
                let memory = format!("memory-backend-memfd,id=memory,size={size}M,share=on");
                add("-object", memory);
            }
            Board::Pc => add("-machine", "pc".to_owned()),
            Board::Q35 => {
                add("-machine", "q35".to_owned());
                let native = "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off";
                add("-global", native.to_owned());
            }
            Board::Virt => {
                add("-machine", "virt".to_owned());
                // The architecture's own pointer authentication is slow to emulate.
                add("-cpu", "max,pauth-impdef=on".to_owned());
            }
        }
        add("-smp", self.cpus.to_string());
        add("-m", self.memory().to_string());
        if self.has_tools {
            let tools = format!(
                "driver=raw,node-name=tools,read-only=on,file.driver=file,file.filename={}",
                tools_disk.display()
            );
            add("-blockdev", tools);
            add(
                "-device",
                "nvme,drive=tools,serial=tools,addr=0x02".to_owned(),
            );
        }
        for &kind in &self.kinds {
            if self.board.has_root_ports() && kind != Kind::Swap {
                let (name, slot) = (kind.name(), kind.slot());
                add(
                    "-device",
                    format!(
                        "pcie-root-port,id=port-{name},bus=pcie.0,addr=0x{slot},\
                         chassis=0x{slot},slot=0x{slot}"
                    ),
                );
            }
            if let Some((disk, _)) = kind.disk() {
                add(
                    "-blockdev",
                    format!(
                        "driver=raw,node-name={disk},cache.no-flush=on,\
                         file.driver=file,file.filename={dir}/{disk}.img"
                    ),
                );
            }
            match kind {
                Kind::Net => add(
                    "-netdev",
                    "user,id=net0,restrict=on,guestfwd=tcp:10.0.2.100:7-cmd:cat".to_owned(),
                ),
                Kind::Console => add(
                    "-chardev",
                    format!("socket,id=port,path={dir}/port.socket,server=on,wait=off"),
                ),
                Kind::Rng => add("-object", "rng-builtin,id=random".to_owned()),
                Kind::NineP => add(
                    "-fsdev",
                    format!("local,id=share,path={dir}/share,security_model=none"),
                ),
                _ => {}
            }
            add("-device", self.device(kind));
            for child in kind.children() {
                add("-device", (*child).to_owned());
            }
        }
        for device in &self.scripted {
            add("-device", device.device(folder));
        }
        if self.traced {
            add("-D", format!("{dir}/trace.log"));
        }
        arguments.extend(self.extra.iter().cloned());
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_is_legacy_and_has_a_place_of_its_own() {
        for board in [Board::Pc, Board::Q35, Board::Virt] {
            let layout = Layout::new(board, Interrupts::PerQueue, 4).with_swap();
            let mut slots: Vec<_> = layout.kinds.iter().map(|kind| kind.slot()).collect();
            slots.sort_unstable();
            slots.dedup();
            assert_eq!(slots.len(), layout.kinds.len());
            for &kind in &layout.kinds {
                let device = layout.device(kind);
                assert!(
                    device.contains("disable-legacy=off,disable-modern=on"),
                    "{device}"
                );
            }
        }
    }

    #[test]
    fn two_vectors_are_too_few_only_for_more_than_one_queue() {
        let layout = Layout::new(Board::Pc, Interrupts::Shared, 1);
        assert_eq!(layout.policy(Kind::Blk), "per-queue");
        assert_eq!(layout.policy(Kind::Blk4), "per-queue");
        assert_eq!(layout.policy(Kind::Net), "shared");
        let layout = Layout::new(Board::Pc, Interrupts::Shared, 4);
        assert_eq!(layout.policy(Kind::Blk4), "shared");
    }

    #[test]
    fn an_old_qemu_gives_no_vectors_to_balloons() {
        let old = Qemu {
            command: Vec::new(),
            version: "7.2.22".to_owned(),
            balloon_msix: false,
            parallel_tcg: false,
        };
        let layout = Layout::new(Board::Pc, Interrupts::PerQueue, 1);
        assert_eq!(layout.policy(Kind::Balloon), "per-queue");
        let layout = layout.on(&old);
        assert_eq!(layout.policy(Kind::Balloon), "intx");
        assert!(!layout.device(Kind::Balloon).contains("vectors"));
        assert_eq!(layout.policy(Kind::Blk), "per-queue");
        assert!(layout.device(Kind::Blk).contains("vectors=2"));
    }

    #[test]
    fn behind_a_port_a_device_has_address_zero() {
        let layout = Layout::new(Board::Q35, Interrupts::Intx, 1);
        let device = layout.device(Kind::Rng);
        assert!(device.contains("bus=port-rng,addr=0x00,"), "{device}");
        assert!(device.contains("vectors=0"), "{device}");
    }
}
