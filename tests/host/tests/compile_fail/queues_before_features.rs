// SPDX-License-Identifier: GPL-2.0

#[path = "common/mod.rs"]
mod common;

use common::{restore, DriverFound, Fake, Handshake};

fn wrong(driver_found: Handshake<'_, Fake, DriverFound>) {
    let _ = driver_found.restore_queues(restore);
}

fn main() {}
