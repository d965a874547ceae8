// SPDX-License-Identifier: GPL-2.0

//! Devices that this driver leaves to others, and transitional ones.

use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// A device without a legacy interface.
const MODERN: &str = "virtio-rng-pci,rng=random,addr=0x0c,disable-legacy=on,disable-modern=off";
const MODERN_SLOT: &str = "0c";

/// A device with both interfaces.
const TRANSITIONAL: &str =
    "virtio-rng-pci,rng=random,addr=0x0d,disable-legacy=off,disable-modern=off";
const TRANSITIONAL_SLOT: &str = "0d";

fn cells() -> Vec<Cell> {
    vec![
        Cell::new("a device without a legacy interface", |vm| {
            vm.ok("ensure_unloaded && load_driver")?;
            let why = "device id 0x1044 has no legacy interface";
            vm.ok(&format!("check_left_alone {MODERN_SLOT} '{why}'"))
                .map(drop)
        }),
        Cell::new("a transitional device, by its legacy interface", |vm| {
            vm.ok("ensure_loaded")?;
            vm.ok(&format!("check_interface {TRANSITIONAL_SLOT}"))
                .map(drop)
        }),
        Cell::new("a transitional device, with transitional=0", |vm| {
            vm.ok("ensure_unloaded && load_driver_with transitional=0")?;
            vm.ok(&format!("await 10 is_live {}", Kind::Rng.slot()))?;
            let why = "transitional device, and transitional=0";
            vm.ok(&format!("check_left_alone {TRANSITIONAL_SLOT} '{why}'"))?;
            vm.ok("unload_driver && load_driver").map(drop)
        }),
        Cell::new("a device whose I/O ports are in use", |vm| {
            let slot = Kind::Rng.slot();
            vm.ok(&format!("ensure_unloaded && occupy_ports {slot}"))?;
            vm.ok("load_driver")?;
            vm.ok(&format!("check_busy {slot}"))?;
            vm.ok(&format!("free_ports && offer_device {slot}"))?;
            vm.ok(&format!("await 10 is_live {slot}")).map(drop)
        }),
    ]
}

/// The tests of which devices are driven.
pub(crate) fn all() -> Vec<Test> {
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 1).with_kinds(&[Kind::Rng]);
    for device in [MODERN, TRANSITIONAL] {
        layout
            .extra
            .extend(["-device".to_owned(), device.to_owned()]);
    }
    vec![Test::new(
        "refusals",
        "devices that are left to other drivers, and transitional ones",
        layout,
        cells(),
    )
    .in_check()]
}
