// SPDX-License-Identifier: GPL-2.0

//! What is told of a device: the journal, the counters and lines in the kernel log.

use ::core::convert::Infallible;

use kernel::{
    device,
    fmt,
    prelude::*,
    sync::{
        aref::ARef,
        new_mutex,
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
    counters::Counters, //
};
use crate::abstractions::{
    clock,
    compat::Core,
    virtio, //
};

/// The memory of a journal.
pub(crate) type Entries = KBox<[Option<Entry>]>;

/// Makes the memory of a journal.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn empty_entries() -> Result<Entries> {
    let none = pin_init::init_array_from_fn::<_, { journal::CAPACITY }, _, Infallible>(|_| None);
    Ok(KBox::init(none, GFP_KERNEL)?)
}

/// A function that prints about a device: [`device::Device::pr_err`] and its like.
type Print = fn(&device::Device, fmt::Arguments<'_>);

/// Tells what happens to a device. Its mutex is the innermost one.
#[pin_data]
pub(super) struct Log {
    device: ARef<device::Device>,
    #[pin]
    journal: Mutex<Journal<Entries>>,
    /// Event counters.
    pub(super) counters: Counters,
}

impl Log {
    /// Starts with an empty journal.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(device: &device::Device) -> impl PinInit<Self, Error> + use<'_> {
        try_pin_init!(Self {
            device: device.into(),
            journal <- new_mutex!(Journal::new(empty_entries()?)),
            counters: Counters::new(),
        })
    }

    /// The device that messages are about.
    pub(super) fn device(&self) -> &device::Device {
        &self.device
    }

    /// Records what happened.
    pub(super) fn record(&self, event: Event) {
        self.journal.lock().record(event, clock::monotonic_ns);
    }

    /// Records what happened, and tells it in the kernel log.
    pub(super) fn inform(&self, event: Event) {
        self.tell(device::Device::pr_info, event);
    }

    /// Records what should not happen, and tells it in the kernel log.
    pub(super) fn warn(&self, event: Event) {
        self.tell(device::Device::pr_warn, event);
    }

    /// Records a failure, and tells it in the kernel log.
    pub(super) fn report(&self, event: Event) {
        self.tell(device::Device::pr_err, event);
    }

    fn tell(&self, print: Print, event: Event) {
        self.record(event);
        print(&self.device, fmt!("{event}\n"));
    }

    /// Tells `what` should not happen with the virtio driver of `vdev`.
    pub(super) fn warn_of_driver(&self, vdev: &virtio::Device<Core<'_>>, what: &str) {
        self.tell_of_driver(device::Device::pr_warn, vdev, what);
    }

    /// Tells `what` has failed with the virtio driver of `vdev`.
    pub(super) fn report_of_driver(&self, vdev: &virtio::Device<Core<'_>>, what: &str) {
        self.tell_of_driver(device::Device::pr_err, vdev, what);
    }

    fn tell_of_driver(&self, print: Print, vdev: &virtio::Device<Core<'_>>, what: &str) {
        let name = vdev.driver_name();
        print(&self.device, fmt!("driver {name} {what}\n"));
    }

    /// Calls `f` with the journal.
    pub(super) fn with_journal<R>(&self, f: impl FnOnce(&Journal<Entries>) -> R) -> R {
        f(&self.journal.lock())
    }
}
