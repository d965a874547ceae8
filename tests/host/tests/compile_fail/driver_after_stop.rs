// SPDX-License-Identifier: GPL-2.0

//! A handshake that stopped at ACKNOWLEDGE has no DRIVER.
//!
//! The lines that rustc shows have two digits: its versions align one digit differently.

#[path = "common/mod.rs"]
mod common;

use common::{Acknowledged, Fake, Handshake};

fn wrong(acknowledged: Handshake<'_, Fake, Acknowledged>) {
    acknowledged.stop();
    let _ = acknowledged.driver();
}

fn main() {}
