// SPDX-License-Identifier: GPL-2.0

//! The device configuration, and what it read as last.

use core::ops::Range;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Full, //
        },
        new_mutex,
        Mutex, //
    }, //
};

use super::{
    core::access::{
        Access,
        Plan,
        Widths, //
    },
    hw::Hw,
    log::Log, //
};
use crate::{
    abstractions::compat::Parameter,
    module_parameters, //
};

/// How often a range that changes while it is read is read again.
const RETRIES: usize = 8;

/// Upper bound on the bytes of the device configuration that are cached; no device type has more.
const CACHED_MAX: usize = 4096;

/// What the device configuration read as, or was written to, last.
#[pin_data]
pub(super) struct ConfigCache {
    #[pin]
    last: Mutex<KVec<u8>>,
    /// Whether an access outside of the device configuration was reported.
    range_reported: AtomicFlag,
    /// Whether a device configuration that does not stand still was reported.
    unstable_reported: AtomicFlag,
}

impl ConfigCache {
    /// Starts with zeros, for a BAR of `len` bytes.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(len: usize) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            last <- new_mutex!(KVec::from_elem(0, len.min(CACHED_MAX), GFP_KERNEL)?),
            range_reported: AtomicFlag::new(false),
            unstable_reported: AtomicFlag::new(false),
        })
    }

    /// Reads the device configuration from `offset` on.
    ///
    /// A range that takes several accesses is read until two reads agree. What is outside of BAR0
    /// reads as zeros, and a detached device as it did last.
    pub(super) fn read(&self, hw: &Hw, log: &Log, offset: usize, buffer: &mut [u8]) {
        log.counters.config_reads.add_one();
        if !hw.is_reachable() {
            self.with_cached(offset, buffer.len(), |last| buffer.copy_from_slice(last));
            return;
        }
        let Some(plan) = self.plan(hw, log, offset, buffer.len()) else {
            return;
        };
        self.read_stable(hw, log, &plan, offset, buffer);
        if buffer.iter().any(|&byte| byte != u8::MAX) {
            self.with_cached(offset, buffer.len(), |last| last.copy_from_slice(buffer));
        }
    }

    /// Writes the device configuration from `offset` on; nothing if it is outside of BAR0, or if
    /// the device is detached.
    pub(super) fn write(&self, hw: &Hw, log: &Log, offset: usize, buffer: &[u8]) {
        self.with_cached(offset, buffer.len(), |last| last.copy_from_slice(buffer));
        if !hw.is_reachable() {
            return;
        }
        let Some(plan) = self.plan(hw, log, offset, buffer.len()) else {
            return;
        };
        let base = hw.config_offset();
        for Access { offset: at, width } in plan {
            let Some(bytes) = buffer.get(at - offset..at - offset + width) else {
                return;
            };
            // The C helpers convert from the byte order of the processor to little-endian, so
            // bytes that are taken as little-endian keep their order on the device.
            let _ = match *bytes {
                [a] => hw.bar().write(base + at, a),
                [a, b] => hw.bar().write(base + at, u16::from_le_bytes([a, b])),
                [a, b, c, d] => hw.bar().write(base + at, u32::from_le_bytes([a, b, c, d])),
                _ => None,
            };
        }
    }

    /// What `f` says of the cached bytes of `range`; `false` if they are not cached.
    pub(super) fn has_cached(&self, range: Range<usize>, f: impl FnOnce(&[u8]) -> bool) -> bool {
        let mut result = false;
        self.with_cached(range.start, range.len(), |last| result = f(last));
        result
    }

    /// Reads `range` once; whether it differs from what is cached, which stays.
    ///
    /// `range` has 8 bytes at the most.
    pub(super) fn has_changed(&self, hw: &Hw, log: &Log, range: Range<usize>) -> bool {
        let mut bytes = [0; 8];
        let Some(bytes) = bytes.get_mut(..range.len()) else {
            return false;
        };
        self.with_cached(range.start, range.len(), |last| bytes.copy_from_slice(last));
        let differs = self
            .plan(hw, log, range.start, range.len())
            .is_some_and(|plan| read_plan(hw, &plan, range.start, bytes));
        // A device that is gone has no news.
        differs && bytes.iter().any(|&byte| byte != u8::MAX)
    }

    /// Calls `f` with `len` cached bytes from `offset` on, if there are as many.
    fn with_cached(&self, offset: usize, len: usize, f: impl FnOnce(&mut [u8])) {
        let end = offset.saturating_add(len);
        if let Some(last) = self.last.lock().get_mut(offset..end) {
            f(last);
        }
    }

    /// Reads what `plan` covers from `offset` on, until two reads agree.
    fn read_stable(&self, hw: &Hw, log: &Log, plan: &Plan, offset: usize, buffer: &mut [u8]) {
        read_plan(hw, plan, offset, buffer);
        if plan.is_atomic() {
            return;
        }
        for _ in 0..RETRIES {
            log.counters.config_rereads.add_one();
            if !read_plan(hw, plan, offset, buffer) {
                return;
            }
        }
        if !self.unstable_reported.xchg(true, Full) {
            dev_warn!(
                log.pci(),
                "device configuration at {offset:#x} changes with each of {RETRIES} reads\n"
            );
        }
    }

    /// Plans the access to a range, and reports the first one that is outside of BAR0.
    fn plan(&self, hw: &Hw, log: &Log, offset: usize, len: usize) -> Option<Plan> {
        let limit = hw.bar().len().saturating_sub(hw.config_offset());
        let widths = if module_parameters::byte_config.get() {
            Widths::Byte
        } else {
            Widths::Natural
        };
        let plan = Plan::new(offset, len, limit, widths);
        if plan.is_none() {
            log.counters.config_outside.add_one();
            if !self.range_reported.xchg(true, Full) {
                dev_warn!(
                    log.pci(),
                    "device configuration has {limit} bytes, {len} at {offset:#x} are outside\n"
                );
            }
        }
        plan
    }
}

/// Reads what `plan` covers from `offset` on; whether it differs from what was in `buffer`.
fn read_plan(hw: &Hw, plan: &Plan, offset: usize, buffer: &mut [u8]) -> bool {
    let base = hw.config_offset();
    let mut differs = false;
    for Access { offset: at, width } in plan.clone() {
        let Some(bytes) = buffer.get_mut(at - offset..at - offset + width) else {
            return differs;
        };
        let value = match width {
            1 => hw.bar().read::<u8>(base + at).map(u32::from),
            2 => hw.bar().read::<u16>(base + at).map(u32::from),
            _ => hw.bar().read::<u32>(base + at),
        };
        for (byte, new) in bytes.iter_mut().zip(value.unwrap_or(0).to_le_bytes()) {
            differs |= *byte != new;
            *byte = new;
        }
    }
    differs
}
