// SPDX-License-Identifier: GPL-2.0

#[path = "common/mod.rs"]
mod common;

use common::{Acknowledged, Fake, Handshake};

fn wrong(acknowledged: Handshake<'_, Fake, Acknowledged>) {
    acknowledged.stop();
    let _ = acknowledged.driver();
}

fn main() {}
