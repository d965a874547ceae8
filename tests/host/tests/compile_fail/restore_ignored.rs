// SPDX-License-Identifier: GPL-2.0

#[path = "common/mod.rs"]
mod common;

use common::{restore, Fake, FeaturesAccepted, Handshake};

fn wrong(features_accepted: Handshake<'_, Fake, FeaturesAccepted>) {
    features_accepted.restore_queues(restore).live();
}

fn main() {}
