// SPDX-License-Identifier: GPL-2.0

//! What the cases have in common: the handshake, and a device that does everything right.

#![allow(dead_code, unused_imports, reason = "no case needs all of it")]

#[path = "../../../../../legacy/core/mod.rs"]
mod legacy;

use std::cell::Cell;

use legacy::handshake::Registers;
use legacy::status::Status;

pub(crate) use legacy::handshake::{
    Acknowledged, DriverFound, FeaturesAccepted, Handshake, QueuesRestored, Reset,
};

pub(crate) struct Fake(Cell<Status>);

impl Fake {
    pub(crate) fn new() -> Self {
        Self(Cell::new(Status::RESET))
    }

    pub(crate) fn status(&self) -> u8 {
        self.0.get().raw()
    }
}

impl Registers for Fake {
    fn read_status(&self) -> Status {
        self.0.get()
    }

    fn write_status(&self, status: Status) {
        self.0.set(status);
    }

    fn written_status(&self) -> Status {
        self.0.get()
    }

    fn offered_features(&self) -> u32 {
        0
    }

    fn accept_features(&self, _features: u32) {}

    fn wait_for_reset(&self, _attempt: u32) -> bool {
        false
    }
}

pub(crate) fn restore() -> Result<(), ()> {
    Ok(())
}
