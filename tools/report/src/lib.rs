// SPDX-License-Identifier: GPL-2.0

//! Pictures of traced handshakes, and the report that compares the C with the Rust driver.

mod charts;
pub mod docs;
pub mod facts;
pub mod html;
pub mod markdown;
pub mod section;
pub mod sections;
pub mod weak_points;
pub mod write;
