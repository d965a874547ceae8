// SPDX-License-Identifier: GPL-2.0

//! Legacy virtio PCI transport (virtio 0.9.5 and transitional devices).

use kernel::{
    driver::Registration,
    prelude::*,
    InPlaceModule, //
};

mod abstractions;
mod bindings;
mod legacy;

#[cfg(CONFIG_KUNIT = "y")]
#[path = "tests/kunit/journal.rs"]
mod journal_tests;

use abstractions::{
    compat::module,
    debugfs::Dir,
    virtio::Devices, //
};

/// The state of the module. Fields are dropped in order: the driver goes first.
#[pin_data]
struct VirtioPciModule {
    #[pin]
    _driver: Registration<abstractions::pci::Adapter<legacy::Legacy>>,
    _devices: Devices,
    _debugfs: Dir,
}

impl InPlaceModule for VirtioPciModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _debugfs: Dir::new(<Self as kernel::ModuleMetadata>::NAME),
            _devices: Devices,
            _driver <- Registration::new(<Self as kernel::ModuleMetadata>::NAME, module),
        })
    }
}

module! {
    type: VirtioPciModule,
    name: "virtio_pci_rs",
    authors: ["The virtio_pci_rs authors"],
    description: "Legacy virtio PCI transport in Rust",
    license: "GPL",
    params: {
        transitional: bool {
            default: true,
            description: "Drive devices that have the modern interface too (default: true)",
        },
        reset_timeout_ms: u32 {
            default: 30000,
            description: "Longest wait for a device to complete a reset, in ms (default: 30000)",
        },
        watchdog_s: u32 {
            default: 10,
            description: "Interval between checks of a live device, in s; 0 is never (default: 10)",
        },
        refuse_freeze: bool {
            default: false,
            description: "Refuse to sleep while a driver without freeze is bound (default: false)",
        },
        lint: bool {
            default: false,
            description: "Report breaches of the specification by virtio drivers (default: false)",
        },
        byte_config: bool {
            default: false,
            description: "Access the device configuration byte by byte (default: false)",
        },
    },
}
