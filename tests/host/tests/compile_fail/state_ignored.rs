// SPDX-License-Identifier: GPL-2.0

//! A state that is dropped would set FAILED.
//!
//! The lines that rustc shows have two digits: its versions align one digit differently.

#[path = "common/mod.rs"]
mod common;

use common::{Fake, Handshake, Reset};

#[deny(unused_must_use)]
fn wrong(reset: Handshake<'_, Fake, Reset>) {
    reset.acknowledge(false);
}

fn main() {}
