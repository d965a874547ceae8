// SPDX-License-Identifier: GPL-2.0

//! What is told of a device: the journal, the counters and lines in the kernel log.

use kernel::{
    prelude::*,
    sync::{
        new_mutex,
        Arc,
        Mutex, //
    }, //
};

use super::{
    core::journal::{
        self,
        Entry,
        Event,
        Journal, //
    },
    counters::Counters,
};
use crate::abstractions::{
    clock,
    pci, //
};

/// Tells what happens to a device. Its lock is the last one in any order.
#[pin_data]
pub(super) struct Log {
    pci: Arc<pci::Device>,
    #[pin]
    journal: Mutex<Journal<KVec<Option<Entry>>>>,
    /// How often what happened.
    pub(super) counters: Counters,
}

impl Log {
    /// Starts with an empty journal.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(pci: Arc<pci::Device>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            pci,
            journal <- new_mutex!(Journal::new(
                KVec::from_elem(None, journal::CAPACITY, GFP_KERNEL)?
            )),
            counters: Counters::default(),
        })
    }

    /// The PCI device, which messages are about.
    pub(super) fn pci(&self) -> &pci::Device {
        &self.pci
    }

    /// Records what happened.
    pub(super) fn record(&self, event: Event) {
        self.journal.lock().record(event, clock::monotonic_ns);
    }

    /// Records what happened, and tells it in the kernel log.
    pub(super) fn inform(&self, event: Event) {
        self.record(event);
        dev_info!(self.pci(), "{event}\n");
    }

    /// Records what should not happen, and tells it in the kernel log.
    pub(super) fn warn(&self, event: Event) {
        self.record(event);
        dev_warn!(self.pci(), "{event}\n");
    }

    /// Records a failure, and tells it in the kernel log.
    pub(super) fn report(&self, event: Event) {
        self.record(event);
        dev_err!(self.pci(), "{event}\n");
    }

    /// Calls `f` with the journal.
    pub(super) fn with_journal<R>(&self, f: impl FnOnce(&Journal<KVec<Option<Entry>>>) -> R) -> R {
        f(&self.journal.lock())
    }
}
