// SPDX-License-Identifier: GPL-2.0

//! A device behind a port that gives no I/O ports to what is behind it.

use std::time::Duration;

use vm::driver::Driver;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    let told = Cell::new("one line says why", |vm| {
        vm.ok("ensure_loaded")?;
        vm.ok("check_bound 07 per-queue")?;
        if vm.driver() == Driver::Rust {
            vm.ok("log_says_times 10 1 'window'")?;
        }
        Ok(())
    });
    let devices = [
        (
            "-device",
            "pcie-root-port,id=closed,bus=pcie.0,addr=0x10,chassis=1,slot=1,io-reserve=0".to_owned(),
        ),
        (
            "-device",
            "virtio-rng-pci,rng=random,id=shut,bus=closed,disable-legacy=off,disable-modern=on,vectors=2"
                .to_owned(),
        ),
    ];
    vec![Test::new(
        "no-io-window",
        "a device behind a port without a window of I/O ports",
        Layout::new(Board::Q35, Interrupts::PerQueue, 1)
            .with_kinds(&[Kind::Rng])
            .with(devices),
        vec![told],
    )
    .in_check()
    .limit(Duration::from_secs(120))]
}
