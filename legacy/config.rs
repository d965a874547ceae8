// SPDX-License-Identifier: GPL-2.0

//! The device configuration.

use kernel::{
    prelude::*,
    sync::atomic::Full, //
};

use super::{
    access::{
        Access,
        Plan,
        Widths, //
    },
    regs,
    transport::Transport,
};
use crate::{
    abstractions::compat::Parameter,
    module_parameters, //
};

/// How often a range that changes while it is read is read again.
const RETRIES: usize = 8;

impl Transport {
    /// Reads the device configuration from `offset` on.
    ///
    /// A range that takes several accesses is read until two reads agree. What is outside of BAR0
    /// reads as zeros, and a disconnected device as it did last.
    pub(super) fn get_config(&self, offset: usize, buffer: &mut [u8]) {
        self.counters.config_reads.add_one();
        if !self.is_connected() {
            if let Some(last) = self.last_config.lock().get(offset..offset + buffer.len()) {
                buffer.copy_from_slice(last);
            }
            return;
        }
        let Some(plan) = self.plan_config(offset, buffer.len()) else {
            return;
        };
        self.read_stable(&plan, offset, buffer);
        if buffer.iter().all(|&byte| byte == u8::MAX) {
            // Perhaps nobody has answered.
            return;
        }
        if let Some(last) = self
            .last_config
            .lock()
            .get_mut(offset..offset + buffer.len())
        {
            last.copy_from_slice(buffer);
        }
    }

    /// Reads what `plan` covers from `offset` on, until two reads agree.
    fn read_stable(&self, plan: &Plan, offset: usize, buffer: &mut [u8]) {
        self.read_plan(plan, offset, buffer);
        if plan.is_atomic() {
            return;
        }
        for _ in 0..RETRIES {
            self.counters.config_rereads.add_one();
            if !self.read_plan(plan, offset, buffer) {
                return;
            }
        }
        if !self.unstable_reported.xchg(true, Full) {
            dev_warn!(
                self.pci(),
                "device configuration at {offset:#x} changes with each of {RETRIES} reads\n"
            );
        }
    }

    /// Writes the device configuration from `offset` on; nothing if it is outside of BAR0, or if the
    /// device is disconnected.
    pub(super) fn set_config(&self, offset: usize, buffer: &[u8]) {
        if !self.is_connected() {
            return;
        }
        let Some(plan) = self.plan_config(offset, buffer.len()) else {
            return;
        };
        let base = regs::config_offset(self.has_vector_registers());
        for Access { offset: at, width } in plan {
            let Some(bytes) = buffer.get(at - offset..at - offset + width) else {
                return;
            };
            // The C helpers convert from the byte order of the processor to little-endian, so
            // bytes that are taken as little-endian keep their order on the device.
            let _ = match *bytes {
                [a] => self.bar.write(base + at, a),
                [a, b] => self.bar.write(base + at, u16::from_le_bytes([a, b])),
                [a, b, c, d] => self.bar.write(base + at, u32::from_le_bytes([a, b, c, d])),
                _ => None,
            };
        }
    }

    /// Reads what `plan` covers from `offset` on; whether it differs from what was in `buffer`.
    fn read_plan(&self, plan: &Plan, offset: usize, buffer: &mut [u8]) -> bool {
        let base = regs::config_offset(self.has_vector_registers());
        let mut differs = false;
        for Access { offset: at, width } in plan.clone() {
            let Some(bytes) = buffer.get_mut(at - offset..at - offset + width) else {
                return differs;
            };
            let value = match width {
                1 => self.bar.read::<u8>(base + at).map(u32::from),
                2 => self.bar.read::<u16>(base + at).map(u32::from),
                _ => self.bar.read::<u32>(base + at),
            };
            for (byte, new) in bytes.iter_mut().zip(value.unwrap_or(0).to_le_bytes()) {
                differs |= *byte != new;
                *byte = new;
            }
        }
        differs
    }

    /// Plans the access to a range, and reports the first one that is outside of BAR0.
    fn plan_config(&self, offset: usize, len: usize) -> Option<Plan> {
        let base = regs::config_offset(self.has_vector_registers());
        let limit = self.bar.len().saturating_sub(base);
        let widths = if module_parameters::byte_config.get() {
            Widths::Byte
        } else {
            Widths::Natural
        };
        let plan = Plan::new(offset, len, limit, widths);
        if plan.is_none() {
            self.counters.config_outside.add_one();
            if !self.range_reported.xchg(true, Full) {
                dev_warn!(
                    self.pci(),
                    "device configuration has {limit} bytes, {len} at {offset:#x} are outside\n"
                );
            }
        }
        plan
    }
}
