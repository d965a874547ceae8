// SPDX-License-Identifier: GPL-2.0

#[path = "common/mod.rs"]
mod common;

use common::{Fake, Handshake, Reset};

fn wrong(reset: Handshake<'_, Fake, Reset>) {
    let _ = reset.driver();
}

fn main() {}
