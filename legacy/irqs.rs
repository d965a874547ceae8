// SPDX-License-Identifier: GPL-2.0

//! The vectors of a device, their registers, and the handlers that are not those of a single
//! virtqueue.
//!
//! A virtio driver deletes its virtqueues when it is frozen and asks for the same again when it is
//! restored. IRQs that are not tied to one virtqueue survive a suspend; C frees and requests them
//! again. They do not survive a hibernation: the kernel that loads an image would leave the device
//! to that with MSI-X enabled, whatever the image knows of it.
//!
//! C: `vp_request_msix_vectors()`, `vp_find_vqs_intx()`, `vp_del_vqs()`, `vp_config_changed()`,
//! `vp_vring_interrupt()` and `vp_interrupt()` in drivers/virtio/virtio_pci_common.c.

use kernel::{
    cpumask::Cpumask,
    fmt,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            AtomicFlag,
            Relaxed, //
        },
        new_mutex,
        Arc,
        Mutex, //
    }, //
};

use super::{
    core::{
        journal::Event,
        regs,
        vectors::{
            Policy,
            CONFIG_VECTOR,
            NO_VECTOR,
            SHARED_VECTOR, //
        }, //
    },
    hw::Hw,
    log::Log, //
};
use crate::abstractions::{
    io::Reader,
    irq::{
        Affinity,
        Handler,
        Handling,
        Irq,
        IrqReturn,
        Line,
        Name,
        Spread,
        Vector,
        Vectors, //
    },
    pci,
    virtio::{
        Callbacks,
        Device, //
    }, //
};

/// What an interrupt policy needs beside the virtqueues and their own interrupts.
pub(super) struct IrqSetup {
    irqs: Irqs,
    key: Option<IrqKey>,
}

enum Irqs {
    Msix {
        config: Irq<Handling<ConfigChange>>,
        shared: Option<Irq<Handling<SharedVirtqueues>>>,
        vectors: Arc<Vectors>,
    },
    Intx(Irq<Handling<Intx>>),
}

/// What is asked for.
pub(super) struct Plan {
    pub(super) policy: Policy,
    /// Number of MSI-X vectors; 0 is INTx.
    pub(super) vectors: u16,
    /// How they are to be spread.
    pub(super) affinity: Option<Affinity>,
}

/// What was asked for, by which it is known whether an [`IrqSetup`] does for a [`Plan`].
#[derive(PartialEq)]
struct IrqKey {
    policy: Policy,
    vectors: u16,
    spread: Option<Spread>,
}

impl Plan {
    /// `None` if it cannot be told whether the next one is the same.
    fn key(&self) -> Option<IrqKey> {
        let spread = match &self.affinity {
            Some(affinity) => Some(affinity.spread()?),
            None => None,
        };
        Some(IrqKey {
            policy: self.policy,
            vectors: self.vectors,
            spread,
        })
    }
}

impl IrqSetup {
    fn does_for(&self, plan: &Plan) -> bool {
        self.key.is_some() && self.key == plan.key()
    }

    /// The policy that it is for.
    fn policy(&self) -> Policy {
        match &self.irqs {
            Irqs::Msix { shared: None, .. } => Policy::PerQueue,
            Irqs::Msix {
                shared: Some(_), ..
            } => Policy::Shared,
            Irqs::Intx(_) => Policy::Intx,
        }
    }

    /// The vectors, if it is not INTx.
    pub(super) fn vectors(&self) -> Option<&Arc<Vectors>> {
        match &self.irqs {
            Irqs::Msix { vectors, .. } => Some(vectors),
            Irqs::Intx(_) => None,
        }
    }

    /// Virtqueues sharing an IRQ, if they do; the handler ignores them until
    /// [`IrqSetup::publish`].
    pub(super) fn callbacks(&mut self) -> Option<&mut Callbacks> {
        match &mut self.irqs {
            Irqs::Msix { shared, .. } => shared.as_mut().map(Irq::shared),
            Irqs::Intx(irq) => Some(irq.shared()),
        }
    }

    /// Has the handler find the virtqueues that share its IRQ.
    pub(super) fn publish(&mut self) {
        match &mut self.irqs {
            Irqs::Msix { shared, .. } => {
                if let Some(irq) = shared {
                    irq.publish();
                }
            }
            Irqs::Intx(irq) => irq.publish(),
        }
    }

    /// Waits until no handler runs any more.
    pub(super) fn synchronize(&self) {
        match &self.irqs {
            Irqs::Msix { config, shared, .. } => {
                config.synchronize();
                if let Some(shared) = shared {
                    shared.synchronize();
                }
            }
            Irqs::Intx(irq) => irq.synchronize(),
        }
    }

    /// As [`IrqSetup::synchronize`]; handlers find no virtqueue from here on.
    pub(super) fn revoke(&mut self) {
        match &mut self.irqs {
            Irqs::Msix { config, shared, .. } => {
                config.synchronize();
                if let Some(shared) = shared {
                    shared.revoke();
                }
            }
            Irqs::Intx(irq) => irq.revoke(),
        }
    }

    /// Sets the affinity of the vector that virtqueues share, if there is one; INTx has none.
    pub(super) fn set_affinity(&mut self, mask: Option<&Cpumask>) -> Result {
        match &mut self.irqs {
            Irqs::Msix {
                shared: Some(irq), ..
            } => irq.set_affinity(mask),
            _ => Ok(()),
        }
    }

    /// Lists the interrupts.
    pub(super) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.policy();
        match &self.irqs {
            Irqs::Intx(irq) => writeln!(f, "{policy}: interrupt {}", irq.number()),
            Irqs::Msix { config, shared, .. } => {
                writeln!(f, "{policy}")?;
                let number = config.number();
                writeln!(
                    f,
                    "configuration: vector {CONFIG_VECTOR}, interrupt {number}"
                )?;
                if let Some(irq) = shared {
                    let number = irq.number();
                    writeln!(f, "virtqueues: vector {SHARED_VECTOR}, interrupt {number}")?;
                }
                Ok(())
            }
        }
    }

    /// Requests the vectors and handlers of `plan`.
    ///
    /// Not inlined: over a sleep it is not needed.
    #[inline(never)]
    fn request(hw: &Hw, log: &Log, device: &Device, plan: &Plan) -> Result<KBox<Self>> {
        let irqs = if plan.vectors == 0 {
            Irqs::Intx(request_intx(hw, log, device)?)
        } else {
            request_msix(hw, log, device, plan)?
        };
        let key = plan.key();
        Ok(KBox::new(Self { irqs, key }, GFP_KERNEL)?)
    }
}

fn request_intx(hw: &Hw, log: &Log, device: &Device) -> Result<Irq<Handling<Intx>>> {
    check_msix(hw, log, false)?;
    let line = Line::intx(hw.pci()).ok_or(ENXIO)?;
    // It may have been masked when the device did not answer.
    hw.pci().set_intx_masked(false);
    let handler = Intx {
        pci: hw.pci().clone(),
        isr: Reader::new(hw.bar().clone(), regs::ISR.offset()).ok_or(EINVAL)?,
        all_ones: hw.isr_all_ones().clone(),
        device: device.into(),
    };
    let name = Name::new(&[device.name()])?;
    Irq::handle(line, name, handler, Callbacks::new())
}

fn request_msix(hw: &Hw, log: &Log, device: &Device, plan: &Plan) -> Result<Irqs> {
    // The vector for configuration changes is not to be spread.
    let affinity = plan.affinity.map(|affinity| affinity.with_reserved(1));
    let vectors = Vectors::allocate(hw.pci().clone(), plan.vectors, affinity)?;
    let vectors = Arc::new(vectors, GFP_KERNEL)?;
    // The PCI core disables INTx with MSI-X.
    hw.pci().refresh_command();
    check_msix(hw, log, true)?;
    let line = |number| {
        Line::Vector(Vector {
            vectors: vectors.clone(),
            number,
        })
    };

    let handler = ConfigChange {
        device: device.into(),
    };
    let name = irq_name(device, c"config")?;
    let config = Irq::handle(line(CONFIG_VECTOR), name, handler, ())?;

    let shared = if plan.policy == Policy::Shared {
        let name = irq_name(device, c"virtqueues")?;
        let (line, callbacks) = (line(SHARED_VECTOR), Callbacks::new());
        Some(Irq::handle(line, name, SharedVirtqueues, callbacks)?)
    } else {
        None
    };
    Ok(Irqs::Msix {
        config,
        shared,
        vectors,
    })
}

/// Makes sure that the device and the PCI core agree on whether MSI-X is enabled, and so on where
/// the device configuration begins.
///
/// # Errors
///
/// `EIO` with a line if they do not.
fn check_msix(hw: &Hw, log: &Log, wanted: bool) -> Result {
    if hw.pci().msix_is_enabled() == wanted {
        return Ok(());
    }
    log.report(Event::MsixMismatch { wanted });
    Err(EIO)
}

/// Writes the vector of virtqueue `index`, which is selected, or that for changes of the
/// configuration, and makes sure that the device has accepted it.
///
/// Virtio 1.4, 4.1.5.1.2: a driver must verify the mapping by reading it back.
///
/// # Errors
///
/// `EBUSY` with a line if the device has not.
pub(super) fn write_vector(hw: &Hw, log: &Log, index: Option<u16>, vector: u16) -> Result {
    let register = match index {
        Some(_) => &regs::MSI_QUEUE_VECTOR,
        None => &regs::MSI_CONFIG_VECTOR,
    };
    hw.write(register, vector);
    let read = hw.read(register, NO_VECTOR);
    if read == vector {
        return Ok(());
    }
    log.report(Event::VectorRefused {
        index,
        vector,
        read,
    });
    Err(EBUSY)
}

/// The name of an interrupt in `/proc/interrupts`.
pub(super) fn irq_name(device: &Device, what: &CStr) -> Result<Name> {
    Name::new(&[device.name(), c"-", what])
}

/// What becomes of an [`IrqSetup`] when the virtio driver deletes its virtqueues.
enum Saved {
    /// It is freed.
    No,
    /// It is to be saved.
    Wanted,
    /// It was saved.
    Irqs(KBox<IrqSetup>),
}

/// The IRQs of virtqueues that were deleted for a suspend, and the policy that was used last.
#[pin_data]
pub(super) struct SavedIrqs {
    #[pin]
    saved: Mutex<Saved>,
    #[pin]
    policy: Mutex<Option<Policy>>,
}

impl SavedIrqs {
    /// Starts with nothing saved.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            saved <- new_mutex!(Saved::No),
            policy <- new_mutex!(None),
        })
    }

    /// Takes notice of the policy that is used; returns that of before.
    pub(super) fn use_policy(&self, policy: Policy) -> Option<Policy> {
        self.policy.lock().replace(policy)
    }

    /// Whether INTx was used last.
    pub(super) fn uses_intx(&self) -> bool {
        *self.policy.lock() == Some(Policy::Intx)
    }

    /// Gets the IRQs of `plan`: those that were saved, if they do.
    pub(super) fn set_up(
        &self,
        hw: &Hw,
        log: &Log,
        device: &Device,
        plan: &Plan,
    ) -> Result<KBox<IrqSetup>> {
        let irqs = match self.take() {
            Some(irqs) if irqs.does_for(plan) => {
                if irqs.vectors().is_none() {
                    hw.pci().set_intx_masked(false);
                }
                irqs
            }
            other => {
                if let Some(irqs) = other {
                    free(hw, irqs);
                }
                IrqSetup::request(hw, log, device, plan)?
            }
        };
        if irqs.vectors().is_some() {
            // MSI-X is enabled from here on, and with it the vector registers.
            hw.set_msix_enabled(true);
            if let Err(error) = write_vector(hw, log, None, CONFIG_VECTOR) {
                free(hw, irqs);
                return Err(error);
            }
        }
        Ok(irqs)
    }

    /// Has the IRQs saved when the virtio driver deletes its virtqueues, until
    /// [`SavedIrqs::release`].
    ///
    /// Only for a suspend: the PCI core leaves the INTx line alone while one is prepared.
    pub(super) fn save_next(&self) {
        *self.saved.lock() = Saved::Wanted;
    }

    /// Frees the IRQs of virtqueues that were deleted, or saves them.
    ///
    /// The device is reset and stays so. Until it is enabled again, INTx is masked and its handler
    /// leaves it alone. One that has begun by now may still read the ISR and act on it, but finds
    /// no virtqueue; the PM core waits for it before the device may lose its power.
    pub(super) fn put(&self, hw: &Hw, irqs: KBox<IrqSetup>) {
        let mut saved = self.saved.lock();
        if !matches!(*saved, Saved::Wanted) {
            drop(saved);
            return free(hw, irqs);
        }
        if irqs.vectors().is_none() {
            hw.pci().set_intx_masked(true);
        }
        *saved = Saved::Irqs(irqs);
    }

    /// Drops saved IRQs if the MSI-X enable bit changed.
    pub(super) fn check(&self, hw: &Hw, log: &Log) {
        let is_lost = match &*self.saved.lock() {
            Saved::Irqs(irqs) => check_msix(hw, log, irqs.vectors().is_some()).is_err(),
            _ => false,
        };
        if is_lost {
            self.release(hw);
        }
    }

    /// The policy of what was saved.
    pub(super) fn policy(&self) -> Option<Policy> {
        match &*self.saved.lock() {
            Saved::Irqs(irqs) => Some(irqs.policy()),
            _ => None,
        }
    }

    /// Frees what was saved and not used.
    pub(super) fn release(&self, hw: &Hw) {
        if let Some(irqs) = self.take() {
            let is_intx = irqs.vectors().is_none();
            free(hw, irqs);
            if is_intx && hw.is_reachable() {
                hw.pci().set_intx_masked(false);
            }
        }
    }

    fn take(&self) -> Option<KBox<IrqSetup>> {
        match core::mem::replace(&mut *self.saved.lock(), Saved::No) {
            Saved::Irqs(irqs) => Some(irqs),
            _ => None,
        }
    }
}

/// Frees the interrupts, and with the last vector disables MSI-X.
pub(super) fn free(hw: &Hw, irqs: KBox<IrqSetup>) {
    let is_msix = irqs.vectors().is_some();
    drop(irqs);
    hw.set_msix_enabled(false);
    if is_msix && hw.is_reachable() {
        // The PCI core enables INTx again with the end of MSI-X.
        hw.pci().refresh_command();
    }
}

/// Handles the vector for configuration changes.
struct ConfigChange {
    device: ARef<Device>,
}

impl Handler for ConfigChange {
    type Shared = ();

    fn handle(&self, _shared: Option<&()>) -> IrqReturn {
        self.device.config_changed();
        IrqReturn::Handled
    }
}

/// Handles the vector that all virtqueues share.
struct SharedVirtqueues;

impl Handler for SharedVirtqueues {
    type Shared = Callbacks;

    fn handle(&self, virtqueues: Option<&Callbacks>) -> IrqReturn {
        if virtqueues.is_some_and(Callbacks::interrupt) {
            IrqReturn::Handled
        } else {
            IrqReturn::None
        }
    }
}

/// Handles INTx.
struct Intx {
    pci: Arc<pci::Device>,
    /// Reading this register clears it, and with it the interrupt.
    isr: Reader<u8>,
    /// Whether it read as all ones since the last look.
    all_ones: Arc<AtomicFlag>,
    device: ARef<Device>,
}

impl Intx {
    /// Handles an interrupt of the line when the ISR reads as all ones.
    ///
    /// The read may have cleared a true interrupt, so callbacks run as with C. A device that does
    /// not decode its ports may assert INTx, which its register cannot take back: INTx is masked
    /// until the work has looked at the device.
    #[cold]
    fn handle_all_ones(&self, virtqueues: Option<&Callbacks>) -> IrqReturn {
        let asserted = self.pci.mask_asserted_intx();
        let used = virtqueues.is_some_and(Callbacks::interrupt);
        self.all_ones.store(true, Relaxed);
        self.device.schedule_work();
        if asserted || used {
            IrqReturn::Handled
        } else {
            IrqReturn::None
        }
    }
}

impl Handler for Intx {
    type Shared = Callbacks;

    #[inline]
    fn handle(&self, virtqueues: Option<&Callbacks>) -> IrqReturn {
        if self.pci.intx_is_masked() {
            // Another device on the same line. This one may be asleep or detached, and is left
            // alone.
            return IrqReturn::None;
        }
        let isr = self.isr.read();
        if isr == 0 {
            // Another device on the same line.
            return IrqReturn::None;
        }
        if isr == regs::ISR_GONE {
            return self.handle_all_ones(virtqueues);
        }
        if isr & regs::ISR_CONFIG != 0 {
            self.device.config_changed();
        }
        if let Some(virtqueues) = virtqueues {
            virtqueues.interrupt();
        }
        IrqReturn::Handled
    }
}
