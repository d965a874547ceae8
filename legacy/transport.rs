// SPDX-License-Identifier: GPL-2.0

//! The transport of one device: its registers, and what is known of its state.

use kernel::{
    cpumask::Cpumask,
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Full,
            Relaxed, //
        },
        new_mutex,
        Arc,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use super::{
    counters::Counters,
    handshake::{
        self,
        Handshake,
        ResetError, //
    },
    journal::{
        self,
        Entry,
        Event,
        Journal, //
    },
    lint::Lint,
    queues::Queues,
    regs::{
        self,
        Register, //
    },
    status::{
        self,
        Status, //
    },
    vectors::Policy,
    wiring::Kept, //
};
use crate::{
    abstractions::{
        clock,
        compat::{
            protocol_error,
            Parameter, //
        },
        io::{
            Bar,
            Value, //
        },
        irq::{
            Affinity,
            Vector, //
        },
        pci,
        virtio::{
            self,
            Device,
            Verdict,
            Wanted, //
        },
    },
    module_parameters, //
};

/// As many bytes of the device configuration are remembered; no device type has more.
const CONFIG_REMEMBERED: usize = 4096;

/// A legacy virtio PCI device.
///
/// Lock order: [`Transport::queues`], then [`Transport::kept`], then [`Transport::known`], then
/// [`Transport::journal`]. None is held while a virtio driver is called.
#[pin_data]
pub(super) struct Transport {
    pub(super) pci: Arc<pci::Device>,
    pub(super) bar: Arc<Bar>,
    /// Whether MSI-X is enabled, which moves the device configuration.
    pub(super) msix_enabled: AtomicFlag,
    /// Whether registers are accessed. If not, the device could not be restored, and all that its
    /// virtio driver does comes to nothing.
    connected: AtomicFlag,
    /// Whether the virtio driver is being restored, and gets virtqueues whatever the device does.
    pub(super) restoring: AtomicFlag,
    /// Whether the virtio driver was frozen and not restored since: until then, it can neither be
    /// frozen again nor removed.
    pub(super) is_frozen: AtomicFlag,
    /// Whether an access outside of the device configuration was reported.
    pub(super) range_reported: AtomicFlag,
    /// Whether a device configuration that does not stand still was reported.
    pub(super) unstable_reported: AtomicFlag,
    /// Whether requests that are lost were reported.
    pub(super) loss_reported: AtomicFlag,
    /// The device configuration as it was read last.
    #[pin]
    pub(super) last_config: Mutex<KVec<u8>>,
    /// What was written to the device, and what came of it.
    #[pin]
    pub(super) known: Mutex<Known>,
    /// The virtqueues of the virtio driver.
    #[pin]
    pub(super) queues: Mutex<Option<Queues>>,
    /// The wiring of the virtqueues that were deleted last, if it is kept.
    #[pin]
    pub(super) kept: Mutex<Kept>,
    /// What happened.
    #[pin]
    pub(super) journal: Mutex<Journal<KVec<Option<Entry>>>>,
    /// How often what happened.
    pub(super) counters: Counters,
    /// Breaches of the specification by the virtio driver.
    pub(super) lint: Lint,
}

/// The error code for a reset that was not seen complete.
pub(super) fn reset_errno(error: ResetError) -> Error {
    match error {
        ResetError::Gone => ENODEV,
        ResetError::Incomplete(_) => EIO,
    }
}

/// What is known of the device.
pub(super) struct Known {
    /// The status that was written last.
    status: Status,
    /// The features that were accepted since the last reset.
    features: Option<u32>,
    /// Whether the device was shown a virtqueue since the last reset.
    pub(super) has_rings: bool,
    /// Why the last reset was not seen complete.
    pub(super) reset_error: Option<ResetError>,
    /// The interrupt policy that was used last.
    pub(super) policy: Option<Policy>,
    /// The sizes in entries of the virtqueues that the virtio driver had when it was frozen.
    pub(super) sizes: KVec<u16>,
    /// Why the device was disconnected while its virtio driver was probed or restored.
    pub(super) lost: Option<Error>,
    /// Whether the PCI core resets the device, which may read as anything meanwhile.
    pub(super) resetting: bool,
    /// Whether it was reported that the device is not content, since the last reset.
    pub(super) complained: bool,
}

impl Known {
    /// The status that was written last.
    pub(super) fn status(&self) -> Status {
        self.status
    }

    /// The features that were accepted since the last reset.
    pub(super) fn features(&self) -> Option<u32> {
        self.features
    }

    /// Whether the device knows that it has a driver.
    pub(super) fn has_driver(&self) -> bool {
        self.status
            .contains(Status::ACKNOWLEDGE.with(Status::DRIVER))
    }
}

/// Proof that virtqueues may be set up: the device has a driver and accepted features.
pub(super) struct Negotiated {
    features: u32,
}

impl Negotiated {
    /// The accepted features.
    pub(super) fn features(&self) -> u32 {
        self.features
    }
}

impl Transport {
    /// Starts with a device of which nothing is known.
    pub(super) fn new(pci: Arc<pci::Device>, bar: Arc<Bar>) -> Result<Arc<Self>> {
        let last_config = KVec::from_elem(0, bar.len().min(CONFIG_REMEMBERED), GFP_KERNEL)?;
        let journal = KVec::from_elem(None, journal::CAPACITY, GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                pci,
                bar,
                msix_enabled: AtomicFlag::new(false),
                connected: AtomicFlag::new(true),
                restoring: AtomicFlag::new(false),
                is_frozen: AtomicFlag::new(false),
                range_reported: AtomicFlag::new(false),
                unstable_reported: AtomicFlag::new(false),
                loss_reported: AtomicFlag::new(false),
                last_config <- new_mutex!(last_config),
                known <- new_mutex!(Known {
                    status: Status::RESET,
                    features: None,
                    has_rings: false,
                    reset_error: None,
                    policy: None,
                    sizes: KVec::new(),
                    lost: None,
                    resetting: false,
                    complained: false,
                }),
                queues <- new_mutex!(None),
                kept <- new_mutex!(Kept::No),
                journal <- new_mutex!(Journal::new(journal)),
                counters: Counters::default(),
                lint: Lint::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Reads a register; `absent` is what it reads as when the device is disconnected.
    ///
    /// Probe has refused devices that lack a register.
    pub(super) fn read<T: Value>(&self, register: &Register<T>, absent: T) -> T {
        self.is_connected()
            .then(|| self.bar.read(register.offset()))
            .flatten()
            .unwrap_or(absent)
    }

    /// Writes a register, unless the device is disconnected.
    pub(super) fn write<T: Value>(&self, register: &Register<T>, value: T) {
        if self.is_connected() {
            // Probe has refused devices that lack a register.
            let _ = self.bar.write(register.offset(), value);
        }
    }

    /// Records what happened.
    pub(super) fn record(&self, event: Event) {
        self.journal.lock().record(event, clock::monotonic_ns);
    }

    /// Records an access to a register, if it was made.
    fn record_access(&self, event: Event) {
        if self.is_connected() {
            self.record(event);
        }
    }

    /// Records a failure and says so in the kernel log.
    pub(super) fn report(&self, event: Event) {
        self.record(event);
        dev_err!(self.pci(), "{event}\n");
    }

    /// Whether registers are accessed.
    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    /// Keeps the device from accessing memory, and stops all accesses to registers.
    ///
    /// A virtio driver that uses `features` finds a device with which it can be restored and
    /// removed.
    pub(super) fn disconnect(&self, features: u32) {
        self.disconnect_known(&mut self.known.lock(), features);
    }

    /// As [`Transport::disconnect`].
    pub(super) fn disconnect_known(&self, known: &mut Known, features: u32) {
        if self.connected.xchg(false, Full) {
            self.pci.clear_master();
            if known.policy == Some(Policy::Intx) {
                // The handler leaves the device alone from here on, whoever interrupts on the line.
                self.pci.mask_intx();
            }
            self.report(Event::Disconnected);
        }
        known.status = Status::ACKNOWLEDGE.with(Status::DRIVER);
        known.features = Some(features);
        known.has_rings = false;
    }

    /// Disconnects a device of whose virtqueues its virtio driver was to be given new ones, and
    /// leaves it FAILED.
    pub(super) fn disconnect_failed(&self, features: u32, error: Error) {
        self.known.lock().lost = Some(error);
        self.add_failed();
        self.disconnect(features);
    }

    /// Takes the rings from a device that could not be brought back, and leaves it FAILED.
    pub(super) fn quiet(&self) {
        if self.is_connected() && self.has_rings() && self.reset_device().is_ok() {
            self.add_failed();
        }
    }

    /// The virtio driver is ready.
    fn go_live(&self, device: &Device) {
        if !self.is_connected() {
            // Requests would be taken, and never be answered.
            device.break_virtqueues();
        }
        self.watch(device);
    }

    fn add_failed(&self) {
        let mut known = self.known.lock();
        let status = known.status.with(Status::FAILED);
        self.write_known_status(&mut known, status);
    }

    /// Whether the handshake has come so far that virtqueues may be set up.
    ///
    /// # Errors
    ///
    /// `EPROTO` if it has not.
    pub(super) fn negotiated(&self) -> Result<Negotiated> {
        let known = self.known.lock();
        match known.features {
            Some(features) if known.has_driver() => Ok(Negotiated { features }),
            _ => Err(protocol_error()),
        }
    }

    /// Resets the device and makes sure that no callback runs any more.
    ///
    /// If the device does not complete the reset, it is kept from accessing memory.
    pub(super) fn reset_device(&self) -> Result<(), ResetError> {
        let result = if self.is_connected() {
            let result = handshake::reset(self);
            self.note_reset(result.err());
            result
        } else {
            handshake::Device::write_status(self, Status::RESET);
            Ok(())
        };
        if let Some(queues) = &mut *self.queues.lock() {
            queues.silence();
        }
        result
    }

    /// Begins a handshake: resets the device.
    ///
    /// # Errors
    ///
    /// `ENODEV` if it is gone, `EIO` if it does not complete the reset.
    pub(super) fn begin_handshake(&self) -> Result<Handshake<'_, Self, handshake::Reset>> {
        let result = Handshake::begin(self);
        self.note_reset(result.as_ref().err().copied());
        result.map_err(reset_errno)
    }

    /// Remembers how a reset went, and reports it if it went wrong. Takes back an INTx interrupt
    /// that the device may have left asserted.
    fn note_reset(&self, error: Option<ResetError>) {
        self.counters.resets.add_one();
        if let Some(error) = error {
            self.report(Event::ResetFailed(error));
            self.pci.clear_master();
        }
        let mut known = self.known.lock();
        if error.is_none() && known.policy == Some(Policy::Intx) {
            let _ = self.read(&regs::ISR, 0);
        }
        known.reset_error = error;
        // What cannot be reset, cannot be told of a ring's end either.
        known.has_rings = false;
    }

    /// Writes the status and remembers it, with what a reset changes.
    fn write_known_status(&self, known: &mut Known, status: Status) {
        self.write(&regs::STATUS, status.raw());
        self.record_access(Event::StatusWritten(status));
        self.lint.note_status(status);
        known.status = status;
        if status == Status::RESET {
            known.features = None;
            known.complained = false;
        }
    }

    /// Whether the device configuration begins behind the vector registers.
    pub(super) fn has_vector_registers(&self) -> bool {
        self.msix_enabled.load(Relaxed)
    }

    /// Whether the device was shown a virtqueue since the last reset.
    pub(super) fn has_rings(&self) -> bool {
        self.known.lock().has_rings
    }

    fn synchronize(&self) {
        if let Some(queues) = &*self.queues.lock() {
            queues.synchronize();
        }
    }

    /// The PCI device, which messages are about.
    pub(super) fn pci(&self) -> &pci::Device {
        &self.pci
    }
}

impl handshake::Device for Transport {
    fn read_status(&self) -> Status {
        let status = Status::from_raw(self.read(&regs::STATUS, Status::GONE.raw()));
        self.record_access(Event::StatusRead(status));
        status
    }

    fn write_status(&self, status: Status) {
        self.write_known_status(&mut self.known.lock(), status);
    }

    fn written_status(&self) -> Status {
        self.known.lock().status
    }

    fn offered_features(&self) -> u32 {
        let features = self.read(&regs::HOST_FEATURES, 0);
        self.record_access(Event::Offered(features));
        features
    }

    fn accept_features(&self, features: u32) {
        self.write(&regs::GUEST_FEATURES, features);
        self.record_access(Event::Accepted(features));
        self.known.lock().features = Some(features);
    }

    fn wait_for_reset(&self, attempt: u32) -> bool {
        let wait = attempt < module_parameters::reset_timeout_ms.get();
        if wait {
            fsleep(Delta::from_millis(1));
        }
        wait
    }
}

impl virtio::Transport for Transport {
    fn read_config(&self, offset: usize, buffer: &mut [u8]) {
        self.get_config(offset, buffer);
    }

    fn write_config(&self, device: &Device, offset: usize, buffer: &[u8]) {
        self.lint_config_write(device, offset);
        self.set_config(offset, buffer);
    }

    fn check(&self) -> Verdict {
        self.look()
    }

    fn driver_stays(&self, device: &Device) -> bool {
        self.keeps_driver(device)
    }

    fn before_notify(&self, device: &Device, index: u32) {
        self.lint_notification(device, index);
    }

    fn status(&self, device: &Device) -> u8 {
        let written = handshake::Device::written_status(self);
        if written == Status::RESET || !self.is_connected() {
            // Whatever the device says, nothing was set since its reset; and nobody asks one that
            // is disconnected.
            return written.raw();
        }
        let status = handshake::Device::read_status(self);
        if status == Status::GONE {
            device.check_soon();
        }
        status.believable(written).raw()
    }

    fn set_status(&self, device: &Device, status: u8) {
        let wanted = Status::from_raw(status);
        let mut known = self.known.lock();
        match status::next_status(known.status, known.features.is_some(), wanted) {
            Ok(status) => {
                self.write_known_status(&mut known, status);
                if status.contains(Status::DRIVER_OK) {
                    drop(known);
                    self.go_live(device);
                }
            }
            Err(why) => {
                let event = Event::StatusRefused {
                    current: known.status,
                    wanted,
                    why,
                };
                self.counters.status_refused.add_one();
                self.record(event);
                dev_warn!(self.pci(), "{event}\n");
                if wanted.contains(Status::DRIVER_OK) && !known.status.contains(Status::DRIVER_OK) {
                    // The virtio driver takes the device for live from here on.
                    let features = known.features.unwrap_or(0);
                    known.lost = Some(protocol_error());
                    self.disconnect_known(&mut known, features);
                    drop(known);
                    self.go_live(device);
                }
            }
        }
    }

    fn reset(&self) {
        // The virtio core does not ask how it went; `finalize_features` tells.
        let _ = self.reset_device();
    }

    fn find_virtqueues(
        &self,
        device: &Device,
        wanted: &mut Wanted<'_>,
        affinity: Option<Affinity>,
    ) -> Result {
        self.find_queues(device, wanted, affinity)
    }

    fn delete_virtqueues(&self) {
        self.delete_queues();
    }

    fn synchronize_callbacks(&self) {
        self.synchronize();
    }

    fn features(&self) -> u64 {
        handshake::Device::offered_features(self).into()
    }

    fn finalize_features(&self, device: &Device) -> Result {
        self.accept_features_of(device)
    }

    fn bus_name(&self) -> &CStr {
        self.pci.name()
    }

    fn set_affinity(&self, index: usize, mask: Option<&Cpumask>) -> Result {
        match &mut *self.queues.lock() {
            Some(queues) => queues.set_affinity(index, mask),
            None => Err(EINVAL),
        }
    }

    fn vector(&self, index: usize) -> Option<Vector> {
        self.queues.lock().as_ref()?.vector(index)
    }
}
