// SPDX-License-Identifier: GPL-2.0

#[path = "common/mod.rs"]
mod common;

use common::{Acknowledged, Fake, Handshake};

fn wrong(acknowledged: Handshake<'_, Fake, Acknowledged>) {
    let _ = acknowledged.accept_features(0);
}

fn main() {}
