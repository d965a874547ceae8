// SPDX-License-Identifier: GPL-2.0

//! The result of the driver's restore is checked.
//!
//! The lines that rustc shows have two digits: its versions align one digit differently.

#[path = "common/mod.rs"]
mod common;

use common::{restore, Fake, FeaturesAccepted, Handshake};

#[deny(unused_must_use)]
fn wrong(features_accepted: Handshake<'_, Fake, FeaturesAccepted>) {
    features_accepted.restore_queues(restore);
}

fn main() {}
