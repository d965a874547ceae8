// SPDX-License-Identifier: GPL-2.0

#[path = "common/mod.rs"]
mod common;

use common::{Fake, Handshake, Reset};

#[deny(unused_must_use)]
fn wrong(reset: Handshake<'_, Fake, Reset>) {
    reset.acknowledge(false);
}

fn main() {}
