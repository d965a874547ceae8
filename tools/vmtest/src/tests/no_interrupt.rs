// SPDX-License-Identifier: GPL-2.0

//! A device without an interrupt, which is refused.

use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::scripted_slot::{Model, Scripted};

/// There is no interrupt at all.
const NO_PIN: Scripted = Scripted {
    has_pin: false,
    strict: false,
    ..Scripted::new("s-nopin", "14", Model::Rng, 0)
};

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    let refused = Cell::new("refused", |vm| {
        vm.ok("ensure_loaded")?;
        vm.ok(&format!("check_no_interrupt {}", NO_PIN.slot))
            .map(drop)
    });
    let layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2)
        .with_kinds(&[Kind::Blk])
        .with_scripted(&[NO_PIN]);
    vec![Test::new(
        "no-interrupt",
        "a device without an interrupt",
        layout,
        vec![refused],
    )]
}
