// SPDX-License-Identifier: GPL-2.0

//! The device configuration, and what it read as last.

use core::ops::Range;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
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
    counters::Count,
    hw::Hw,
    log::Log, //
};
use crate::{
    abstractions::compat::{
        AtomicFlag,
        Parameter, //
    },
    module_parameters, //
};

/// Maximum number of repeated reads of a range that changes while it is read.
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
            last <- new_mutex!(zeros(len.min(CACHED_MAX))?),
            range_reported: AtomicFlag::new(false),
            unstable_reported: AtomicFlag::new(false),
        })
    }

    /// Reads the device configuration from `offset` on.
    ///
    /// A range that takes several accesses is read until two reads agree. What is outside of BAR0
    /// reads as zeros, and a detached device as it did last.
    pub(super) fn read(&self, hw: &Hw, log: &Log, offset: usize, buffer: &mut [u8]) {
        log.counters.add_one(Count::ConfigReads);
        if !hw.is_reachable() {
            return self.load(offset, buffer);
        }
        let Some(plan) = self.plan(hw, log, offset, buffer.len()) else {
            return;
        };
        self.read_stable(hw, log, &plan, offset, buffer);
        if buffer.iter().any(|&byte| byte != u8::MAX) {
            self.store(offset, buffer);
        }
    }

    /// Writes the device configuration from `offset` on; nothing if it is outside of BAR0, or if
    /// the device is detached.
    pub(super) fn write(&self, hw: &Hw, log: &Log, offset: usize, buffer: &[u8]) {
        self.store(offset, buffer);
        if !hw.is_reachable() {
            return;
        }
        let Some(plan) = self.plan(hw, log, offset, buffer.len()) else {
            return;
        };
        let base = hw.config_offset();
        let mut left = buffer;
        for Access { offset, width } in plan {
            let Some((bytes, behind)) = left.split_at_checked(width) else {
                return;
            };
            left = behind;
            let at = base.saturating_add(offset);
            // The C helpers convert from the byte order of the processor to little-endian, so
            // bytes that are taken as little-endian keep their order on the device.
            let _ = match *bytes {
                [a] => hw.bar().write(at, a),
                [a, b] => hw.bar().write(at, u16::from_le_bytes([a, b])),
                [a, b, c, d] => hw.bar().write(at, u32::from_le_bytes([a, b, c, d])),
                _ => None,
            };
        }
    }

    /// Whether the `N` cached bytes from `offset` on have one that is not 0.
    pub(super) fn has_cached<const N: usize>(&self, offset: usize) -> bool {
        let mut bytes = [0; N];
        self.load(offset, &mut bytes);
        bytes != [0; N]
    }

    /// Reads `range` once. Returns whether it differs from what is cached, which stays.
    ///
    /// `range` has 8 bytes at the most.
    pub(super) fn has_changed(&self, hw: &Hw, log: &Log, range: Range<usize>) -> bool {
        let mut bytes = [0; 8];
        let Some(bytes) = bytes.get_mut(..range.len()) else {
            return false;
        };
        self.load(range.start, bytes);
        let differs = self
            .plan(hw, log, range.start, range.len())
            .is_some_and(|plan| read_plan(hw, &plan, bytes));
        // A device that is gone has no news.
        differs && bytes.iter().any(|&byte| byte != u8::MAX)
    }

    /// Copies the cached bytes from `offset` on, if there are as many.
    fn load(&self, offset: usize, bytes: &mut [u8]) {
        let last = self.last.lock();
        if let Some(last) = last.get(offset..offset.saturating_add(bytes.len())) {
            copy(last, bytes);
        }
    }

    /// Caches the bytes from `offset` on, if there is room for all of them.
    fn store(&self, offset: usize, bytes: &[u8]) {
        let mut last = self.last.lock();
        if let Some(last) = last.get_mut(offset..offset.saturating_add(bytes.len())) {
            copy(bytes, last);
        }
    }

    /// Reads what `plan` covers from `offset` on, until two reads agree.
    fn read_stable(&self, hw: &Hw, log: &Log, plan: &Plan, offset: usize, buffer: &mut [u8]) {
        read_plan(hw, plan, buffer);
        if plan.is_atomic() {
            return;
        }
        for _ in 0..RETRIES {
            log.counters.add_one(Count::ConfigRereads);
            if !read_plan(hw, plan, buffer) {
                return;
            }
        }
        if !self.unstable_reported.xchg(true, Full) {
            dev_warn!(
                log.device(),
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
            log.counters.add_one(Count::ConfigOutside);
            if !self.range_reported.xchg(true, Full) {
                dev_warn!(
                    log.device(),
                    "device configuration has {limit} bytes, {len} at {offset:#x} are outside\n"
                );
            }
        }
        plan
    }
}

/// Reads what `plan` covers. Returns whether it differs from what was in `buffer`.
fn read_plan(hw: &Hw, plan: &Plan, buffer: &mut [u8]) -> bool {
    let base = hw.config_offset();
    let mut bytes = buffer.iter_mut();
    let mut differs = false;
    for Access { offset, width } in plan.clone() {
        let at = base.saturating_add(offset);
        let value = match width {
            1 => hw.bar().read::<u8>(at).map(u32::from),
            2 => hw.bar().read::<u16>(at).map(u32::from),
            _ => hw.bar().read::<u32>(at),
        };
        let new = value.unwrap_or(0).to_le_bytes();
        for (new, byte) in new.into_iter().take(width).zip(bytes.by_ref()) {
            differs |= *byte != new;
            *byte = new;
        }
    }
    differs
}

/// Copies as many bytes as both have.
fn copy(from: &[u8], to: &mut [u8]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

/// Makes a list of `len` zeros.
fn zeros(len: usize) -> Result<KVec<u8>> {
    let mut zeros = KVec::with_capacity(len, GFP_KERNEL)?;
    for _ in 0..len {
        let _ = zeros.push_within_capacity(0);
    }
    Ok(zeros)
}
