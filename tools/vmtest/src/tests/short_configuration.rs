// SPDX-License-Identifier: GPL-2.0

//! A field of the device configuration outside of BAR0.
//!
//! The ports of the three devices follow each other: firmware places BARs of one size side by side.

use scripted::Bar;

use crate::cells::strict::check_breaches;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::scripted_slot::{Model, Scripted};

/// With MSI-X, 8 bytes of the device configuration are left: the capacity, and not the number of
/// segments.
const LITTLE: Scripted = Scripted {
    bar: Bar::Ports(32),
    ..Scripted::new("s-little", "11", Model::Disk(8), 2)
};
/// What is behind the ports of that disk are the ports of one of these.
const NEIGHBOURS: [Scripted; 2] = [
    Scripted {
        bar: Bar::Ports(32),
        ..Scripted::new("s-below", "10", Model::Rng, 2)
    },
    Scripted {
        bar: Bar::Ports(32),
        ..Scripted::new("s-above", "12", Model::Rng, 2)
    },
];

fn cells() -> Vec<Cell> {
    vec![Cell::new("s-little: no access behind BAR0", |vm| {
        vm.ok("ensure_loaded")?;
        let slot = LITTLE.slot;
        vm.ok(&format!("check_bound {slot} {}", LITTLE.policy()))?;
        vm.ok(&format!("small_io disk {slot}"))?;
        check_breaches(vm)?;
        let says = "device configuration has 8 bytes, 4 at 0xc are outside";
        vm.ok(&format!("log_says {slot} '.*{says}'")).map(drop)
    })]
}

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    let [below, above] = NEIGHBOURS;
    let layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2)
        .with_kinds(&[Kind::Blk])
        .with_scripted(&[below, LITTLE, above]);
    let test = Test::new(
        "short-configuration",
        "a field of the device configuration is outside of BAR0",
        layout,
        cells(),
    );
    vec![test.in_check()]
}
