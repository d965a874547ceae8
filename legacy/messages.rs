// SPDX-License-Identifier: GPL-2.0

//! Lets messages of the kernel contain what depends on `core` alone.

use kernel::fmt;

use super::core::{
    identity,
    journal::{
        Entry,
        Event, //
    },
    life::IllegalEvent,
    status::Status,
    vectors::Policy, //
};

/// Implements the kernel's `Display` by that of `core`.
macro_rules! impl_display {
    ($($ty:ty),* $(,)?) => {$(
        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                core::fmt::Display::fmt(self, f)
            }
        }
    )*};
}

impl_display!(
    Entry,
    Event,
    IllegalEvent,
    Policy,
    Status,
    identity::Refusal,
);
