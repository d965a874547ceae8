// SPDX-License-Identifier: GPL-2.0

//! The function: its registers, its virtqueues, and what is known of the driver.

mod lying;
mod serving;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use anyhow::Result;
use virtio_check::access::{Access, Register, DRIVER_OK, NO_VECTOR};
use virtio_check::{Breach, Phase};

use crate::interrupts::Interrupts;
use crate::lie::{Lie, Time};
use crate::log::Log;
use crate::memory::Memory;
use crate::models::{Kind, Model};
use crate::oracle::{Circumstances, Oracle};
use crate::pci::{Bar, ConfigSpace, Power};
use crate::ring::{Layout, Ring};
use virtio_check::rules::table;

/// Feature: a descriptor may stand for a table of descriptors.
const F_INDIRECT: u32 = 1 << 28;
/// Feature: notifications and interrupts are asked for by index.
const F_EVENT_INDEX: u32 = 1 << 29;

/// What a device is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name in reports.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// How its registers are seen.
    pub bar: Bar,
    /// How many MSI-X vectors it has; without any, it has INTx only.
    pub vectors: u16,
    /// The features that it offers, if not its own choice.
    pub features: Option<u32>,
    /// The sizes of its virtqueues, if not its own choice.
    pub queue_sizes: Option<Vec<u16>>,
    /// Whether it has an interrupt pin: without one, there is no INTx.
    pub has_pin: bool,
    /// What it says of D3.
    pub power: Power,
    /// Whether it has the PCI device id that the specification lists for its type, by which
    /// firmware knows it; else it has one that only drivers of all virtio devices take.
    pub listed_id: bool,
    /// Whether each access of the driver is judged.
    pub strict: bool,
    /// Whether a driver that breaks a rule is served all the same.
    pub lenient: bool,
    /// A file that gets a line an access, for `virtio-check trace`.
    pub log: Option<PathBuf>,
}

impl Config {
    /// A device of this kind with I/O ports, judging its driver.
    pub fn new(name: impl Into<String>, kind: Kind, vectors: u16) -> Self {
        Self {
            name: name.into(),
            kind,
            bar: Bar::Ports(64),
            vectors,
            features: None,
            queue_sizes: None,
            has_pin: true,
            power: Power::Unmanaged,
            listed_id: false,
            strict: true,
            lenient: false,
            log: None,
        }
    }
}

/// What the device's own threads have to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Serve a virtqueue.
    Serve(usize),
    /// Send this many interrupts, with this in the ISR.
    Storm(u8, u32),
}

/// The registers of a virtqueue.
struct Virtqueue {
    size: u16,
    /// The size that the driver was told last.
    told: u16,
    pfn: u32,
    vector: u16,
    ring: Option<Ring>,
}

/// The function.
pub(crate) struct Function {
    name: String,
    vectors: u16,
    features: u32,
    device_config: Vec<u8>,
    pub(crate) space: ConfigSpace,
    pub(crate) memory: Memory,
    pub(crate) interrupts: Interrupts,
    model: Box<dyn Model>,
    work: Sender<Work>,

    status: u8,
    accepted: u32,
    selected: u16,
    config_vector: u16,
    isr: u8,
    queues: Vec<Virtqueue>,

    oracle: Option<Oracle>,
    log: Option<Log>,
    lenient: bool,
    /// No rule was broken since the reset.
    compliant: bool,
    /// The available rings at the reset that was written last, until the status is read.
    at_reset: Vec<(u64, Vec<u8>)>,
    accesses: usize,
    /// Whether bus mastering was on when the driver wrote the reset of its last restore.
    mastered_at_restore: Option<bool>,

    time: Time,
    pub(crate) sleeping: bool,
    lies: Vec<Lie>,
    /// After how many reads of the status a reset is complete that has been written.
    reset_in: Option<u32>,
    lied: usize,
    told: BTreeMap<(Time, Register), u32>,
    counter: u64,
    false_id: Option<u32>,
    gone: bool,
}

impl Function {
    /// Makes a function that hands its work to this channel.
    pub(crate) fn new(config: &Config, work: Sender<Work>) -> Result<Self> {
        let model = config.kind.model()?;
        let sizes = config.queue_sizes.clone();
        let sizes = sizes.unwrap_or_else(|| model.queue_sizes());
        let queues = sizes.into_iter().map(|size| Virtqueue {
            size,
            told: size,
            pfn: 0,
            vector: NO_VECTOR,
            ring: None,
        });
        let own = model.features() | F_INDIRECT | F_EVENT_INDEX;
        Ok(Self {
            name: config.name.clone(),
            vectors: config.vectors,
            features: config.features.unwrap_or(own),
            device_config: model.config(),
            space: ConfigSpace::new(config),
            memory: Memory::default(),
            interrupts: Interrupts::default(),
            queues: queues.collect(),
            model,
            work,
            status: 0,
            accepted: 0,
            selected: 0,
            config_vector: NO_VECTOR,
            isr: 0,
            oracle: config.strict.then(|| Oracle::new(&config.name)),
            log: config.log.as_deref().map(Log::create).transpose()?,
            lenient: config.lenient,
            compliant: true,
            at_reset: Vec::new(),
            accesses: 0,
            mastered_at_restore: None,
            time: Time::Probe,
            sleeping: false,
            lies: Vec::new(),
            reset_in: None,
            lied: 0,
            told: BTreeMap::new(),
            counter: 0,
            false_id: None,
            gone: false,
        })
    }

    /// The device's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The power came on, or the bus was reset.
    pub(crate) fn power_on(&mut self) {
        self.reset();
        self.space.reset();
        self.at_reset.clear();
        self.compliant = true;
        if let Some(oracle) = &mut self.oracle {
            oracle.power_on();
        }
    }

    /// Reads BAR0.
    pub(crate) fn read(&mut self, offset: u64, size: u8) -> u64 {
        let register = self.register(offset);
        if register == Register::Status {
            self.go_on_with_reset();
            self.check_available();
        }
        let honest = self.honest(register, size);
        let value = mask(self.answer(register, honest), size);
        self.note(register, offset, false, size, value);
        value
    }

    /// Writes BAR0.
    pub(crate) fn write(&mut self, offset: u64, size: u8, value: u64) {
        let register = self.register(offset);
        if register == Register::Status && value == 0 {
            self.enter_reset();
        }
        self.note(register, offset, true, size, value);
        if self.twist(register) {
            self.set(register, value);
        }
    }

    fn register(&self, offset: u64) -> Register {
        Register::at(offset, self.space.has_msix_enabled())
    }

    /// What an honest device answers to a read.
    fn honest(&mut self, register: Register, size: u8) -> u64 {
        let selected = usize::from(self.selected);
        let queue = self.queues.get_mut(selected);
        match register {
            Register::HostFeatures => self.features.into(),
            Register::GuestFeatures => self.accepted.into(),
            Register::QueuePfn => queue.map_or(0, |queue| queue.pfn.into()),
            Register::QueueNum => queue.map_or(0, |queue| queue.size.into()),
            Register::QueueSel => self.selected.into(),
            Register::Status => self.status.into(),
            Register::Isr => std::mem::take(&mut self.isr).into(),
            Register::ConfigVector => self.config_vector.into(),
            Register::QueueVector => queue.map_or(NO_VECTOR, |queue| queue.vector).into(),
            Register::Config(offset) => {
                let bytes = self.device_config.iter().skip(offset.into());
                let bytes = bytes.take(size.into()).rev();
                bytes.fold(0, |value, &byte| (value << 8) | u64::from(byte))
            }
            Register::QueueNotify | Register::Inside(_) => 0,
        }
    }

    fn set(&mut self, register: Register, value: u64) {
        let selected = usize::from(self.selected);
        match register {
            Register::Status if value == 0 => self.reset(),
            Register::Status => {
                self.status = value as u8;
                if self.status & DRIVER_OK != 0 {
                    self.time = Time::Run;
                }
            }
            Register::GuestFeatures => self.accepted = value as u32 & self.features,
            Register::ConfigVector => self.config_vector = value as u16,
            Register::QueueSel => self.selected = value as u16,
            // As in QEMU.
            Register::QueuePfn if value == 0 => self.reset(),
            Register::QueuePfn => self.give_ring(selected, value as u32),
            Register::QueueVector => {
                if let Some(queue) = self.queues.get_mut(selected) {
                    queue.vector = value as u16;
                }
            }
            Register::QueueNotify => {
                // Without its threads, a device does no work.
                let _ = self.work.send(Work::Serve(value as usize));
            }
            _ => {}
        }
    }

    fn give_ring(&mut self, index: usize, pfn: u32) {
        let event_index = self.accepted & F_EVENT_INDEX != 0;
        let Some(queue) = self.queues.get_mut(index) else {
            return;
        };
        queue.pfn = pfn;
        let layout = Layout::new(pfn, queue.told);
        if !self.memory.contains(layout.descriptors, layout.len) {
            let text = format!("the ring of virtqueue {index}, {layout:x?}, is not in memory");
            self.breach(table::RING_MEMORY, text);
            return;
        }
        // A size that no ring has is not served.
        queue.ring = Ring::new(pfn, queue.told, event_index).ok();
    }

    /// Notes the time at which a driver resets the device, and what is in the available rings.
    fn enter_reset(&mut self) {
        let live = self.status & DRIVER_OK != 0;
        self.time = match (self.sleeping, live) {
            (true, true) => Time::Freeze,
            (true, false) => Time::Restore,
            (false, _) => Time::Probe,
        };
        if self.time == Time::Restore {
            self.mastered_at_restore = Some(self.space.is_master());
        }
        self.compliant = true;
        self.at_reset = self.available();
    }

    /// What the driver has made available, without what it writes to keep interrupts away.
    fn available(&self) -> Vec<(u64, Vec<u8>)> {
        let rings = self.queues.iter().filter(|queue| queue.ring.is_some());
        let at = rings.map(|queue| {
            let address = Layout::new(queue.pfn, queue.told).available;
            (address + 2, Layout::available_len(queue.told) - 4)
        });
        at.filter_map(|(address, len)| Some((address, self.memory.read(address, len)?)))
            .collect()
    }

    fn check_available(&mut self) {
        for (address, before) in std::mem::take(&mut self.at_reset) {
            if self.memory.read(address, before.len()).as_ref() != Some(&before) {
                let text = format!("the available ring at {address:#x} changed after the reset");
                self.breach(table::AVAILABLE_AFTER_RESET, text);
            }
        }
    }

    fn reset(&mut self) {
        self.status = 0;
        self.reset_in = None;
        self.accepted = 0;
        self.selected = 0;
        self.config_vector = NO_VECTOR;
        self.isr = 0;
        for queue in &mut self.queues {
            queue.pfn = 0;
            queue.vector = NO_VECTOR;
            queue.ring = None;
        }
        self.model.reset();
    }

    fn phase(&self) -> Phase {
        match self.time {
            Time::Probe => Phase::Probe,
            Time::Run => Phase::Io,
            Time::Freeze => Phase::Freeze,
            Time::Restore => Phase::Restore,
        }
    }

    /// Has an access logged and judged. A driver that breaks a rule is not compliant any more.
    fn note(&mut self, register: Register, offset: u64, write: bool, size: u8, value: u64) {
        self.accesses += 1;
        let now = Circumstances {
            phase: self.phase(),
            msix: self.space.has_msix_enabled(),
            vectors: self.vectors,
            master: self.space.is_master(),
            config_len: self.device_config.len(),
        };
        let access = Access {
            line: self.accesses,
            time: None,
            cpu: 0,
            register,
            write,
            size,
            value,
            times: 1,
        };
        if let Some(log) = &mut self.log {
            log.access(&self.name, &access, offset, &now);
        }
        if let Some(oracle) = &mut self.oracle {
            self.compliant &= oracle.judge(&access, &now);
        }
    }

    fn breach(&mut self, rule: &'static virtio_check::Rule, message: String) {
        let phase = self.phase();
        self.compliant = false;
        if let Some(oracle) = &mut self.oracle {
            oracle.note(rule, message, phase);
        }
    }

    /// The breaches so far, which are then forgotten.
    pub(crate) fn take_breaches(&mut self) -> Vec<Breach> {
        self.oracle.as_mut().map(Oracle::take).unwrap_or_default()
    }

    /// The device status.
    pub(crate) fn status(&self) -> u8 {
        self.status
    }

    /// Whether bus mastering was on when the driver wrote the reset of its last restore.
    pub(crate) fn mastered_at_restore(&self) -> Option<bool> {
        self.mastered_at_restore
    }

    /// How many accesses there were.
    pub(crate) fn accesses(&self) -> usize {
        self.accesses
    }
}

fn mask(value: u64, size: u8) -> u64 {
    match size {
        8.. => value,
        _ => value & ((1 << (8 * u32::from(size))) - 1),
    }
}
