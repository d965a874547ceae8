// SPDX-License-Identifier: GPL-2.0

//! The transport driver under test, and how its guest is run.

use std::fmt;

/// The transport driver under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Driver {
    /// virtio_pci_rs, this repository's module.
    Rust,
    /// virtio_pci, the kernel's own.
    C,
}

impl Driver {
    /// Both, the one that is there first.
    pub const BOTH: [Self; 2] = [Self::C, Self::Rust];

    /// Its name on the command line and in the guest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// How QEMU runs the guest's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Accel {
    /// By translation: works everywhere.
    Tcg,
    /// By the host's kernel.
    Kvm,
}

impl Accel {
    /// QEMU's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
        }
    }
}
