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

#[pin_data]
struct VirtioPciModule {
    #[pin]
    _driver: Registration<abstractions::pci::Adapter<legacy::Legacy>>,
}

impl InPlaceModule for VirtioPciModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
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
            default: 1000,
            description: "Longest wait for a device to complete a reset, in ms (default: 1000)",
        },
        byte_config: bool {
            default: false,
            description: "Access the device configuration byte by byte, for hypervisors that need it (default: false)",
        },
    },
}
