// SPDX-License-Identifier: GPL-2.0

//! Raw monotonic time, which [`kernel::time::Instant`] does not expose.
//!
//! Upstream: `rust/kernel/time.rs`, `Instant<Monotonic>::as_nanos()`.

/// Milliseconds since the machine was booted, without the time that it slept, modulo 2^32: for
/// differences of up to seven weeks.
pub(crate) fn monotonic_ms() -> u32 {
    // The remainder fits.
    u32::try_from(monotonic_ns() / 1_000_000 % (1 << 32)).unwrap_or(0)
}

/// Nanoseconds since the machine was booted, without the time that it slept.
pub(crate) fn monotonic_ns() -> u64 {
    // SAFETY: May be called in any context but an NMI.
    let time = unsafe { kernel::bindings::ktime_get() };
    time.unsigned_abs()
}
