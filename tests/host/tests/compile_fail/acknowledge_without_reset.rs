// SPDX-License-Identifier: GPL-2.0

#[path = "common/mod.rs"]
mod common;

use common::{Fake, Handshake};

fn wrong(device: &Fake) {
    let _ = Handshake::acknowledge(device, false);
}

fn main() {}
