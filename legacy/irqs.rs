// SPDX-License-Identifier: GPL-2.0

//! The vectors of a device, their registers, and the handlers that are not those of a single
//! virtqueue.
//!
//! A virtio driver deletes its virtqueues when it is frozen and asks for the same again when it is
//! restored. IRQs that are not tied to one virtqueue survive a suspend; C frees and requests them
//! again. They do not survive a hibernation: the kernel that loads the image would hand over the
//! device with MSI-X enabled, of which the image knows nothing.
//!
//! C: `vp_request_msix_vectors()`, `vp_find_vqs_intx()`, `vp_del_vqs()`, `vp_config_changed()`,
//! `vp_vring_interrupt()` and `vp_interrupt()` in drivers/virtio/virtio_pci_common.c.

use kernel::{
    cpumask::Cpumask,
    fmt,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        atomic::{
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
    compat::AtomicFlag,
    io::Port,
    irq::{
        Affinity,
        Handler,
        Handling,
        Irq,
        IrqReturn,
        Line,
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

/// What an interrupt policy needs in addition to the virtqueues and their own interrupts.
///
/// Fields are dropped in order: the vectors go after their handlers.
pub(super) struct IrqSetup {
    /// For configuration changes; `None` with INTx.
    config: Option<Irq<ARef<Device>>>,
    /// For virtqueues that share it; `None` if each has its own.
    shared: Option<Irq<Arc<Handling<VirtqueueIrq>>>>,
    /// `None` with INTx.
    vectors: Option<Arc<Vectors>>,
    key: Option<IrqKey>,
}

/// What is asked for.
pub(super) struct IrqPlan<'a> {
    pub(super) policy: Policy,
    /// Number of MSI-X vectors; 0 is INTx.
    pub(super) vectors: u16,
    /// How they are to be spread.
    pub(super) affinity: Option<&'a Affinity>,
}

/// What was asked for, by which it is known whether an [`IrqSetup`] matches an [`IrqPlan`].
#[derive(PartialEq)]
struct IrqKey {
    policy: Policy,
    vectors: u16,
    spread: Option<Spread>,
}

impl IrqPlan<'_> {
    /// `None` if it cannot be told whether the next one is the same.
    fn key(&self) -> Option<IrqKey> {
        let spread = match self.affinity {
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
    fn matches(&self, plan: &IrqPlan<'_>) -> bool {
        self.key.is_some() && self.key == plan.key()
    }

    /// The policy that it is for.
    fn policy(&self) -> Policy {
        match (&self.vectors, &self.shared) {
            (None, _) => Policy::Intx,
            (Some(_), Some(_)) => Policy::Shared,
            (Some(_), None) => Policy::PerQueue,
        }
    }

    /// The vectors, if it is not INTx.
    pub(super) fn vectors(&self) -> Option<&Arc<Vectors>> {
        self.vectors.as_ref()
    }

    /// Virtqueues sharing an IRQ, if they do; the handler ignores them until
    /// [`IrqSetup::publish`].
    pub(super) fn callbacks(&mut self) -> Option<&mut Callbacks> {
        self.shared.as_mut().map(Irq::shared)
    }

    /// Shows the virtqueues that share the IRQ to its handler.
    pub(super) fn publish(&mut self) {
        if let Some(irq) = &mut self.shared {
            irq.publish();
        }
    }

    /// Waits for running handlers.
    pub(super) fn synchronize(&self) {
        if let Some(irq) = &self.config {
            irq.synchronize();
        }
        if let Some(irq) = &self.shared {
            irq.synchronize();
        }
    }

    /// As [`IrqSetup::synchronize`]; handlers find no virtqueue from now on.
    pub(super) fn revoke(&mut self) {
        if let Some(irq) = &self.config {
            irq.synchronize();
        }
        if let Some(irq) = &mut self.shared {
            irq.revoke();
        }
    }

    /// Sets the affinity of the vector that virtqueues share, if there is one; INTx has none.
    pub(super) fn set_affinity(&mut self, mask: Option<&Cpumask>) -> Result {
        match (&self.vectors, &mut self.shared) {
            (Some(_), Some(irq)) => irq.set_affinity(mask),
            _ => Ok(()),
        }
    }

    /// Lists the interrupts.
    pub(super) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.policy();
        let shared = self.shared.as_ref().map_or(0, Irq::number);
        let Some(config) = &self.config else {
            return writeln!(f, "{policy}: interrupt {shared}");
        };
        writeln!(f, "{policy}")?;
        f.write_str("configuration: ")?;
        show_vector(f, CONFIG_VECTOR, config.number())?;
        if shared == 0 {
            return Ok(());
        }
        f.write_str("virtqueues: ")?;
        show_vector(f, SHARED_VECTOR, shared)
    }

    /// Requests the vectors and handlers of `plan`.
    ///
    /// Not inlined: a resume takes the saved IRQs and does not run this.
    #[inline(never)]
    fn request(hw: &Hw, log: &Log, device: &Device, plan: &IrqPlan<'_>) -> Result<KBox<Self>> {
        let mut irqs = KBox::new(
            Self {
                config: None,
                shared: None,
                vectors: None,
                key: plan.key(),
            },
            GFP_KERNEL,
        )?;
        if plan.vectors == 0 {
            irqs.request_intx(hw, log, device)?;
        } else {
            irqs.request_msix(hw, log, device, plan)?;
        }
        Ok(irqs)
    }

    fn request_intx(&mut self, hw: &Hw, log: &Log, device: &Device) -> Result {
        check_msix(hw, log, false)?;
        let line = Line::intx(hw.pci()).ok_or(ENXIO)?;
        // It may have been masked when the device did not answer.
        hw.pci().set_intx_masked(false);
        let intx = Intx {
            pci: hw.pci().clone(),
            isr: Port::new(hw.bar().clone(), regs::ISR.offset()).ok_or(EINVAL)?,
            all_ones: hw.isr_all_ones().clone(),
            device: device.into(),
        };
        let name = CString::try_from_fmt(fmt!("{}", device.name()))?;
        self.request_shared(line, name, Some(intx))
    }

    fn request_msix(&mut self, hw: &Hw, log: &Log, device: &Device, plan: &IrqPlan<'_>) -> Result {
        // The vector for configuration changes is not to be spread.
        let vectors = Vectors::allocate(hw.pci().clone(), plan.vectors, plan.affinity, 1)?;
        let vectors = self.vectors.insert(Arc::new(vectors, GFP_KERNEL)?);
        let line = |number| Line::Vector(Vector::new(vectors, number));
        // The PCI core disables INTx with MSI-X.
        hw.pci().refresh_command();
        check_msix(hw, log, true)?;
        let name = irq_name(device, c"config")?;
        self.config = Some(Irq::request(line(CONFIG_VECTOR), name, device.into())?);
        if plan.policy == Policy::Shared {
            let (line, name) = (line(SHARED_VECTOR), irq_name(device, c"virtqueues")?);
            self.request_shared(line, name, None)?;
        }
        Ok(())
    }

    fn request_shared(&mut self, line: Line, name: CString, intx: Option<Intx>) -> Result {
        let irq = Irq::handle(line, name, VirtqueueIrq { intx }, Callbacks::new())?;
        self.shared = Some(irq);
        Ok(())
    }
}

/// Shows a vector with its interrupt.
pub(super) fn show_vector(f: &mut fmt::Formatter<'_>, vector: u16, number: u32) -> fmt::Result {
    writeln!(f, "vector {vector}, interrupt {number}")
}

/// Makes sure that the device and the PCI core agree on whether MSI-X is enabled, and so on where
/// the device configuration begins.
///
/// # Errors
///
/// `EIO` (logged) if they do not.
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
/// `EBUSY` (logged) if the device has not.
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

/// The name of an interrupt in `/proc/interrupts`. C: `snprintf()` into `msix_names`.
///
/// # Errors
///
/// `ENOMEM`.
pub(super) fn irq_name(device: &Device, what: &CStr) -> Result<CString> {
    CString::try_from_fmt(fmt!("{}-{what}", device.name()))
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
    inner: Mutex<Inner>,
}

struct Inner {
    saved: Saved,
    policy: Option<Policy>,
}

impl SavedIrqs {
    /// Starts with nothing saved.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- new_mutex!(Inner {
                saved: Saved::No,
                policy: None,
            }),
        })
    }

    /// Records the policy that is used; returns the one before.
    pub(super) fn use_policy(&self, policy: Policy) -> Option<Policy> {
        self.inner.lock().policy.replace(policy)
    }

    /// Whether INTx was used last.
    pub(super) fn uses_intx(&self) -> bool {
        self.inner.lock().policy == Some(Policy::Intx)
    }

    /// Gets the IRQs of `plan`: those that were saved, if they do.
    pub(super) fn set_up(
        &self,
        hw: &Hw,
        log: &Log,
        device: &Device,
        plan: &IrqPlan<'_>,
    ) -> Result<KBox<IrqSetup>> {
        let irqs = match self.take() {
            Some(irqs) if irqs.matches(plan) => {
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
            // MSI-X is enabled from now on, and with it the vector registers.
            hw.set_msix_enabled(true);
            if let Err(error) = write_vector(hw, log, None, CONFIG_VECTOR) {
                free(hw, irqs);
                return Err(error);
            }
        }
        Ok(irqs)
    }

    /// Saves the IRQs when the virtio driver deletes its virtqueues, until
    /// [`SavedIrqs::release`].
    ///
    /// Only for a suspend: the PCI core leaves the INTx line alone while one is prepared.
    pub(super) fn save_next(&self) {
        self.inner.lock().saved = Saved::Wanted;
    }

    /// Frees the IRQs of virtqueues that were deleted, or saves them.
    ///
    /// The device is reset and stays so. Until it is enabled again, INTx is masked and its handler
    /// leaves it alone. One that has begun by now may still read the ISR and act on it, but finds
    /// no virtqueue; the PM core waits for it before the device may lose its power.
    pub(super) fn put(&self, hw: &Hw, irqs: KBox<IrqSetup>) {
        let mut inner = self.inner.lock();
        if !matches!(inner.saved, Saved::Wanted) {
            drop(inner);
            return free(hw, irqs);
        }
        if irqs.vectors().is_none() {
            hw.pci().set_intx_masked(true);
        }
        inner.saved = Saved::Irqs(irqs);
    }

    /// Drops saved IRQs if the MSI-X enable bit changed.
    pub(super) fn check(&self, hw: &Hw, log: &Log) {
        let is_lost = match &self.inner.lock().saved {
            Saved::Irqs(irqs) => check_msix(hw, log, irqs.vectors().is_some()).is_err(),
            _ => false,
        };
        if is_lost {
            self.release(hw);
        }
    }

    /// The policy of what was saved.
    pub(super) fn policy(&self) -> Option<Policy> {
        match &self.inner.lock().saved {
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
        match core::mem::replace(&mut self.inner.lock().saved, Saved::No) {
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

/// Handles the interrupt that all virtqueues share: a vector, or INTx.
struct VirtqueueIrq {
    intx: Option<Intx>,
}

/// What the handler of INTx needs.
struct Intx {
    pci: Arc<pci::Device>,
    /// Reading this register clears it, and with it the interrupt.
    isr: Port<u8>,
    /// Whether it read as all ones since the last check.
    all_ones: Arc<AtomicFlag>,
    device: ARef<Device>,
}

impl Intx {
    /// Handles an interrupt of the line when the ISR reads as all ones.
    ///
    /// The read may have cleared a true interrupt, so callbacks run as with C. A device that does
    /// not decode its ports may assert INTx, which its register cannot take back: INTx is masked
    /// until the work has checked the device.
    #[cold]
    fn handle_all_ones(&self, virtqueues: Option<&Callbacks>) -> IrqReturn {
        let asserted = self.pci.mask_asserted_intx();
        let used = virtqueues.is_some_and(Callbacks::interrupt);
        self.all_ones.store(true, Relaxed);
        self.device.schedule_work();
        handled(asserted || used)
    }
}

impl Handler for VirtqueueIrq {
    type Shared = Callbacks;

    #[inline(always)]
    fn handle(&self, virtqueues: Option<&Callbacks>) -> IrqReturn {
        let Some(intx) = &self.intx else {
            return match virtqueues {
                Some(virtqueues) => handled(virtqueues.interrupt()),
                None => IrqReturn::None,
            };
        };
        if intx.pci.intx_is_masked() {
            // Another device on the same line. This one may be asleep or detached, and is left
            // alone.
            return IrqReturn::None;
        }
        let isr = intx.isr.read();
        if isr == 0 {
            // Another device on the same line.
            return IrqReturn::None;
        }
        if isr == regs::ISR_GONE {
            return intx.handle_all_ones(virtqueues);
        }
        if isr & regs::ISR_CONFIG != 0 {
            intx.device.config_changed();
        }
        if let Some(virtqueues) = virtqueues {
            virtqueues.interrupt();
        }
        IrqReturn::Handled
    }
}

#[inline(always)]
fn handled(handled: bool) -> IrqReturn {
    if handled {
        IrqReturn::Handled
    } else {
        IrqReturn::None
    }
}
