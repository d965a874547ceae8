// SPDX-License-Identifier: GPL-2.0

//! Pictures of traced handshakes, and the report that compares the C with the Rust driver.

pub mod marks;
pub mod picture;
pub mod trace;
