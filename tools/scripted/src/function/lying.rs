// SPDX-License-Identifier: GPL-2.0

//! What the function does instead of what it should.

use std::collections::BTreeMap;

use virtio_check::access::Register;

use super::{Function, Work};
use crate::lie::{Deed, Lie, Time};

impl Function {
    /// Lies in this way from now on, and in no other.
    pub(crate) fn lie(&mut self, lies: &[Lie]) {
        self.lies = lies.to_vec();
        self.lied = 0;
        self.gone = false;
        self.false_id = None;
    }

    /// Which reads have been answered with a lie, at which time, and how often.
    pub(crate) fn told(&self) -> BTreeMap<(Time, Register), u32> {
        self.told.clone()
    }

    /// What this device answers.
    pub(super) fn answer(&mut self, register: Register, honest: u64) -> u64 {
        let mut value = honest;
        for at in self.lies_for(false, register) {
            let before = value;
            match self.lies[at].deed {
                Deed::Value(other) => value = other,
                Deed::Set(bits) => value |= bits,
                Deed::Clear(bits) => value &= !bits,
                Deed::Counts => {
                    self.counter += 1;
                    value = self.counter.wrapping_mul(0x0101_0101);
                }
                deed => {
                    self.do_deed(deed);
                }
            }
            if value != before || self.gone {
                *self.told.entry((self.time, register)).or_default() += 1;
            }
        }
        if self.gone {
            value = u64::MAX;
        }
        if register == Register::QueueNum {
            if let Some(queue) = self.queues.get_mut(usize::from(self.selected)) {
                queue.told = value as u16;
            }
        }
        value
    }

    /// Does what the lies ask for at a write; whether it has its effect.
    pub(super) fn twist(&mut self, register: Register) -> bool {
        let mut effective = !self.gone;
        for at in self.lies_for(true, register) {
            effective &= self.do_deed(self.lies[at].deed);
        }
        effective
    }

    /// The lies for an access, which have been told once more.
    fn lies_for(&mut self, write: bool, register: Register) -> Vec<usize> {
        let (time, status) = (self.time, self.status);
        let mut found = Vec::new();
        for (at, lie) in self.lies.iter_mut().enumerate() {
            if lie.is_for(time, write, register, status) {
                lie.times = lie.times.map(|left| left - 1);
                found.push(at);
            }
        }
        self.lied += found.len();
        found
    }

    /// How many lies were told since [`Function::lie`].
    pub(crate) fn lied(&self) -> usize {
        self.lied
    }

    /// Does a deed; whether an access that it goes with still has its effect.
    fn do_deed(&mut self, deed: Deed) -> bool {
        match deed {
            Deed::Gone => self.gone = true,
            Deed::Reset => self.reset(),
            Deed::Interrupt(isr) => self.interrupt_all(isr),
            // Without its threads, a device does no work.
            Deed::Storm(isr, count) => drop(self.work.send(Work::Storm(isr, count))),
            Deed::UsedId(id) => self.false_id = Some(id),
            Deed::Late(reads) => self.reset_in = Some(reads),
            _ => {}
        }
        !matches!(
            deed,
            Deed::Gone | Deed::Reset | Deed::Dropped | Deed::Late(_)
        )
    }

    /// Goes on with a reset that takes its time, when the status is read.
    pub(super) fn go_on_with_reset(&mut self) {
        match self.reset_in {
            Some(0) => self.reset(),
            Some(reads) => {
                self.reset_in = Some(reads - 1);
                (0..self.queues.len()).for_each(|queue| self.serve(queue));
            }
            None => {}
        }
    }
}
