// SPDX-License-Identifier: GPL-2.0

//! A step is made once.
//!
//! The lines that rustc shows have two digits: its versions align one digit differently.

#[path = "common/mod.rs"]
mod common;

use common::{Acknowledged, Fake, Handshake};

fn wrong(acknowledged: Handshake<'_, Fake, Acknowledged>) {
    let _ = acknowledged.driver();
    let _ = acknowledged.driver();
}

fn main() {}
