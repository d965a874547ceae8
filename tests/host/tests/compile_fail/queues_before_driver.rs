// SPDX-License-Identifier: GPL-2.0

#[path = "common/mod.rs"]
mod common;

use common::{restore, Acknowledged, Fake, Handshake};

fn wrong(acknowledged: Handshake<'_, Fake, Acknowledged>) {
    let _ = acknowledged.restore_queues(restore);
}

fn main() {}
