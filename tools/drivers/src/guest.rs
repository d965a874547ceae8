// SPDX-License-Identifier: GPL-2.0

//! The machines that the drivers run on: what QEMU is started with for each.

use machine::Program;
use std::path::{Path, PathBuf};

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A disk.
    Blk,
    /// A SCSI controller with a disk.
    Scsi,
    /// A network.
    Net,
    /// A source of random numbers.
    Rng,
}

impl Kind {
    /// The part of a driver's name that tells it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Blk => "blk",
            Kind::Scsi => "scsi",
            Kind::Net => "net",
            Kind::Rng => "rng",
        }
    }

    /// The device, through its legacy interface alone, each access visible.
    fn arguments(self, disk: &Path, option_rom: bool) -> Vec<String> {
        let legacy = "disable-modern=on,disable-legacy=off";
        let disk = format!(
            "file={},if=none,id=d,format=raw,snapshot=on",
            disk.display()
        );
        let words: Vec<String> = match self {
            Kind::Blk => vec![
                "-drive".into(),
                disk,
                "-device".into(),
                format!("virtio-blk-pci,drive=d,ioeventfd=off,{legacy}"),
            ],
            Kind::Scsi => vec![
                "-drive".into(),
                disk,
                "-device".into(),
                format!("virtio-scsi-pci,id=s,ioeventfd=off,{legacy}"),
                "-device".into(),
                "scsi-hd,drive=d,bus=s.0".into(),
            ],
            Kind::Net => vec![
                "-netdev".into(),
                "user,id=n".into(),
                "-device".into(),
                // Without its option ROM, which is another driver.
                match option_rom {
                    true => format!("virtio-net-pci,netdev=n,ioeventfd=off,{legacy}"),
                    false => format!("virtio-net-pci,netdev=n,romfile=,ioeventfd=off,{legacy}"),
                },
            ],
            Kind::Rng => vec![
                "-device".into(),
                format!("virtio-rng-pci,ioeventfd=off,{legacy}"),
            ],
        };
        words
    }
}

/// What runs in a machine.
#[derive(Clone, Debug)]
pub enum Software {
    /// Firmware of QEMU's own machine `pc`, or the option ROM of the network.
    BuiltIn,
    /// Firmware in a file, given with `-bios`.
    Bios(&'static str),
    /// Firmware in flash: the code and an empty store of variables.
    Flash(&'static str, &'static str),
    /// A kernel of this series, of a package.
    Kernel(&'static str),
    /// A driver in a program, on a kernel of this series whose own driver leaves the device alone.
    Program(&'static Program, &'static str),
}

/// A driver of one kind of device, and where it runs.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The name of the driver, without the kind.
    pub name: &'static str,
    /// The kind of device.
    pub kind: Kind,
    /// The architecture in QEMU's name.
    pub architecture: &'static str,
    /// More arguments of QEMU.
    machine: &'static [&'static str],
    /// What runs in it.
    pub software: Software,
    /// The package that brings the driver.
    pub package: &'static str,
    /// The suite that has it, if it is not the machine's own.
    pub suite: Option<&'static str>,
}

impl Guest {
    /// The name of the driver.
    pub fn full_name(&self) -> String {
        format!("{}-{}", self.name, self.kind.name())
    }

    /// The file that must be there, with the package unpacked in this folder or installed.
    pub fn firmware(&self, tree: &Path) -> Option<PathBuf> {
        match self.software {
            Software::BuiltIn if self.suite.is_some() => {
                let name = match self.kind {
                    Kind::Net => "efi-virtio.rom",
                    _ => "bios-256k.bin",
                };
                let files = DATA.map(|folder| inside(tree, folder).join(name));
                let [first, ..] = &files;
                Some(
                    files
                        .iter()
                        .find(|file| file.exists())
                        .unwrap_or(first)
                        .clone(),
                )
            }
            Software::BuiltIn | Software::Kernel(_) | Software::Program(..) => None,
            Software::Bios(file) | Software::Flash(file, _) => Some(inside(tree, file)),
        }
    }

    /// The arguments of QEMU, without those of the trace.
    pub fn arguments(
        &self,
        disk: &Path,
        tree: &Path,
        kernel: Option<&(PathBuf, PathBuf)>,
    ) -> Vec<String> {
        let common = [
            "-nodefaults",
            "-no-reboot",
            "-display",
            "none",
            "-serial",
            "null",
        ];
        let mut words: Vec<String> = common
            .into_iter()
            .chain(self.machine.iter().copied())
            .map(str::to_owned)
            .collect();
        let text = |file: &str| inside(tree, file).display().to_string();
        let flash = |file: &str| format!("if=pflash,format=raw,snapshot=on,file={}", text(file));
        match self.software {
            Software::BuiltIn if self.suite.is_some() => {
                // QEMU looks there before it looks where its own is.
                for folder in DATA {
                    words.extend(["-L".into(), text(folder)]);
                }
            }
            Software::BuiltIn => {}
            Software::Bios(file) => words.extend(["-bios".into(), text(file)]),
            Software::Flash(code, variables) => {
                for file in [code, variables] {
                    words.extend(["-drive".into(), flash(file)]);
                }
            }
            Software::Kernel(_) | Software::Program(..) => {}
        }
        if let Some((image, initramfs)) = kernel {
            for (option, file) in [("-kernel", image), ("-initrd", initramfs)] {
                words.extend([option.into(), file.display().to_string()]);
            }
            let mut line = "console=ttyS0 panic=-1 quiet".to_owned();
            if let Software::Program(..) = self.software {
                line.push_str(" initcall_blacklist=virtio_pci_driver_init");
            }
            words.extend(["-append".into(), line]);
            // SeaBIOS leaves devices alone that it is not to boot from.
            words.extend(["-boot".into(), "strict=on".into()]);
        }
        let option_rom = matches!(self.software, Software::BuiltIn);
        words.extend(self.kind.arguments(disk, option_rom));
        words
    }
}

/// Where packages have firmware that QEMU finds by its name.
const DATA: [&str; 3] = [
    "/usr/share/seabios",
    "/usr/share/qemu",
    "/usr/lib/ipxe/qemu",
];

/// A file of a package that is unpacked in this folder; `/` is where it is installed.
fn inside(tree: &Path, file: &str) -> PathBuf {
    tree.join(file.trim_start_matches('/'))
}

const PC: &[&str] = &["-machine", "pc", "-m", "512"];
const PC_NETWORK: &[&str] = &["-machine", "pc", "-m", "256", "-boot", "n"];
/// EDK II has no network without a source of random numbers, which this processor is.
const Q35: &[&str] = &["-machine", "q35", "-m", "256", "-cpu", "max"];
const VIRT: &[&str] = &["-machine", "virt", "-cpu", "cortex-a57", "-m", "512"];
const PSERIES: &[&str] = &["-machine", "pseries", "-m", "512"];
const KERNEL: &[&str] = &["-machine", "pc", "-m", "512"];
/// DPDK is built for processors of x86-64-v2.
const DPDK: &[&str] = &["-machine", "pc", "-m", "768", "-cpu", "max"];

const OVMF: Software = Software::Flash(
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_VARS_4M.fd",
);
const AAVMF: Software = Software::Flash(
    "/usr/share/AAVMF/AAVMF_CODE.fd",
    "/usr/share/AAVMF/AAVMF_VARS.fd",
);
const UBOOT_X86: Software = Software::Bios("/usr/lib/u-boot/qemu-x86_64/u-boot.rom");
const UBOOT_ARM64: Software = Software::Bios("/usr/lib/u-boot/qemu_arm64/u-boot.bin");
const SLOF: Software = Software::Bios("/usr/share/qemu/slof.bin");

const TESTPMD: Program = Program {
    package: "dpdk-dev",
    path: "/usr/bin/dpdk-testpmd",
    loads: &[
        "libgcc_s.so",
        "librte_net_virtio.so",
        "librte_mempool_ring.so",
    ],
};

/// Firmware of a newer suite, on the machine of its base.
struct Newer {
    base: &'static str,
    name: &'static str,
    kinds: &'static [Kind],
    package: &'static str,
}

const NEWER: [Newer; 7] = [
    Newer {
        base: "seabios",
        name: "seabios-sid",
        kinds: &[Kind::Blk, Kind::Scsi],
        package: "seabios",
    },
    Newer {
        base: "ipxe",
        name: "ipxe-sid",
        kinds: &[Kind::Net],
        package: "ipxe-qemu",
    },
    Newer {
        base: "ovmf",
        name: "ovmf-sid",
        kinds: &[Kind::Blk, Kind::Net],
        package: "ovmf-generic",
    },
    Newer {
        base: "aavmf",
        name: "aavmf-sid",
        kinds: &[Kind::Blk],
        package: "qemu-efi-aarch64",
    },
    Newer {
        base: "uboot-arm64",
        name: "uboot-arm64-sid",
        kinds: &[Kind::Blk, Kind::Net],
        package: "u-boot-qemu",
    },
    Newer {
        base: "uboot-x86",
        name: "uboot-x86-sid",
        kinds: &[Kind::Blk, Kind::Net],
        package: "u-boot-qemu",
    },
    Newer {
        base: "slof",
        name: "slof-sid",
        kinds: &[Kind::Blk, Kind::Net],
        package: "qemu-system-data",
    },
];

/// All machines.
pub fn guests() -> Vec<Guest> {
    use Kind::{Blk, Net, Rng, Scsi};
    type Row = (
        &'static str,
        &'static [Kind],
        &'static str,
        &'static [&'static str],
        Software,
        &'static str,
    );
    let rows: [Row; 11] = [
        (
            "seabios",
            &[Blk, Scsi],
            "x86_64",
            PC,
            Software::BuiltIn,
            "seabios",
        ),
        (
            "ipxe",
            &[Net],
            "x86_64",
            PC_NETWORK,
            Software::BuiltIn,
            "ipxe-qemu",
        ),
        ("ovmf", &[Blk, Net, Scsi, Rng], "x86_64", Q35, OVMF, "ovmf"),
        (
            "aavmf",
            &[Blk, Net, Scsi, Rng],
            "aarch64",
            VIRT,
            AAVMF,
            "qemu-efi-aarch64",
        ),
        (
            "uboot-x86",
            &[Blk, Net],
            "x86_64",
            PC,
            UBOOT_X86,
            "u-boot-qemu",
        ),
        (
            "uboot-arm64",
            &[Blk, Net, Rng],
            "aarch64",
            VIRT,
            UBOOT_ARM64,
            "u-boot-qemu",
        ),
        (
            "slof",
            &[Blk, Net, Scsi],
            "ppc64",
            PSERIES,
            SLOF,
            "qemu-system-data",
        ),
        (
            "linux-6.1",
            &[Blk, Net, Scsi, Rng],
            "x86_64",
            KERNEL,
            Software::Kernel("6.1"),
            "linux-image",
        ),
        (
            "linux-6.12",
            &[Blk, Net, Scsi, Rng],
            "x86_64",
            KERNEL,
            Software::Kernel("6.12"),
            "linux-image",
        ),
        (
            "linux-7.2",
            &[Blk, Net, Scsi, Rng],
            "x86_64",
            KERNEL,
            Software::Kernel("7.2"),
            "linux-image",
        ),
        (
            "linux-7.3",
            &[Blk, Net, Scsi, Rng],
            "x86_64",
            KERNEL,
            Software::Kernel("7.3"),
            "linux-image",
        ),
    ];
    let mut guests = Vec::new();
    for (base, kinds, architecture, machine, software, package) in rows {
        let suites = NEWER.iter().filter(|newer| newer.base == base);
        let newer = suites.map(|newer| (newer.name, newer.kinds, newer.package, Some("sid")));
        for (name, kinds, package, suite) in [(base, kinds, package, None)].into_iter().chain(newer)
        {
            guests.extend(kinds.iter().map(|kind| Guest {
                name,
                kind: *kind,
                architecture,
                machine,
                software: software.clone(),
                package,
                suite,
            }));
        }
    }
    for (name, suite) in [("dpdk", "trixie"), ("dpdk-sid", "sid")] {
        guests.push(Guest {
            name,
            kind: Net,
            architecture: "x86_64",
            machine: DPDK,
            software: Software::Program(&TESTPMD, "6.12"),
            package: TESTPMD.package,
            suite: Some(suite),
        });
    }
    guests
}
