// SPDX-License-Identifier: GPL-2.0

//! Strict mode: judges each access of the driver.

use std::collections::VecDeque;

use virtio_check::access::{Access, Register, DRIVER_OK, NO_VECTOR};
use virtio_check::rules::table;
use virtio_check::{Breach, Checker, Phase, Rule};

/// How many accesses before and after a breach are shown with it.
const AROUND: usize = 6;

/// What an access is judged by, beside the accesses before it.
pub(crate) struct Circumstances {
    /// Where in a test it is made.
    pub(crate) phase: Phase,
    /// Whether MSI-X is enabled.
    pub(crate) msix: bool,
    /// How many vectors the MSI-X table has.
    pub(crate) vectors: u16,
    /// Whether the function may access memory.
    pub(crate) master: bool,
    /// How many bytes the device configuration has.
    pub(crate) config_len: usize,
}

/// Judges each access of a driver.
pub(crate) struct Oracle {
    device: String,
    checker: Checker,
    recent: VecDeque<Access>,
    breaches: Vec<Breach>,
    /// Each of these breaches is shown with this many more accesses.
    open: Vec<(usize, usize)>,
}

impl Oracle {
    /// Begins with a device of which nothing is known.
    pub(crate) fn new(device: &str) -> Self {
        Self {
            device: device.to_owned(),
            checker: Checker::default(),
            recent: VecDeque::new(),
            breaches: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Begins again after the power was off.
    pub(crate) fn power_on(&mut self) {
        self.checker.power_on();
    }

    /// Judges an access; whether it breaks no rule.
    pub(crate) fn judge(&mut self, access: &Access, now: &Circumstances) -> bool {
        self.show_after(access);
        let mut found = self.checker.judge(access, now.phase, now.msix);
        found.extend(device_rules(access, now));
        let good = found.is_empty();
        for (rule, message) in found {
            self.breach(rule, message, now.phase, access);
        }
        self.recent.push_back(access.clone());
        if self.recent.len() > AROUND {
            self.recent.pop_front();
        }
        good
    }

    /// Notes a breach that was found elsewhere, at the last access.
    pub(crate) fn note(&mut self, rule: &'static Rule, message: String, phase: Phase) {
        if let Some(access) = self.recent.pop_back() {
            self.breach(rule, message, phase, &access);
            self.recent.push_back(access);
        }
    }

    /// The breaches so far, which are then forgotten.
    pub(crate) fn take(&mut self) -> Vec<Breach> {
        self.open.clear();
        std::mem::take(&mut self.breaches)
    }

    fn breach(&mut self, rule: &'static Rule, message: String, phase: Phase, access: &Access) {
        let mut context: Vec<_> = self.recent.iter().map(|a| format!("  {a}")).collect();
        context.push(format!("> {access}"));
        self.open.push((self.breaches.len(), AROUND));
        self.breaches.push(Breach {
            rule,
            device: self.device.clone(),
            phase,
            round: 0,
            line: access.line,
            message,
            context,
            known: None,
        });
    }

    fn show_after(&mut self, access: &Access) {
        for (breach, left) in &mut self.open {
            *left -= 1;
            self.breaches[*breach].context.push(format!("  {access}"));
        }
        self.open.retain(|(_, left)| *left > 0);
    }
}

fn device_rules(access: &Access, now: &Circumstances) -> Vec<(&'static Rule, String)> {
    let mut found = Vec::new();
    let live = access.writes(Register::Status) && access.status() & DRIVER_OK != 0;
    if (live || access.writes(Register::QueueNotify)) && !now.master {
        found.push((table::BUS_MASTER, format!("{access} without bus mastering")));
    }
    if let Register::Config(offset) = access.register {
        let end = usize::from(offset) + usize::from(access.size);
        if end > now.config_len {
            let len = now.config_len;
            found.push((
                table::CONFIG_LENGTH,
                format!("{access}, but the configuration has {len} bytes"),
            ));
        }
    }
    let vector = matches!(
        access.register,
        Register::ConfigVector | Register::QueueVector
    );
    let value = access.value as u16;
    if vector && access.write && value != NO_VECTOR && value >= now.vectors {
        let vectors = now.vectors;
        found.push((
            table::VECTOR_RANGE,
            format!("{access}, but there are {vectors} vectors"),
        ));
    }
    found
}
