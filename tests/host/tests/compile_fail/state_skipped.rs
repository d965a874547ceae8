// SPDX-License-Identifier: GPL-2.0

#[path = "common/mod.rs"]
mod common;

use common::{Acknowledged, Fake, FeaturesAccepted, Handshake};

fn wrong(acknowledged: Handshake<'_, Fake, Acknowledged>) {
    acknowledged.into_state::<FeaturesAccepted>().hand_over();
}

fn main() {}
