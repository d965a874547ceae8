// SPDX-License-Identifier: GPL-2.0

//! The vectors of a device, and its interrupts that are not those of a single virtqueue.
//!
//! A virtio driver deletes its virtqueues when it is frozen and asks for the same again when it is
//! restored. What of their interrupts does not depend on the virtqueues is kept over a suspend; C frees
//! and requests it anew. Not over a hibernation: the kernel that loads an image would leave the device
//! to that with MSI-X enabled, whatever the image knows of it.
//!
//! C: `vp_request_msix_vectors()`, `vp_find_vqs_intx()` and `vp_del_vqs()` in
//! drivers/virtio/virtio_pci_common.c.

use kernel::{
    cpumask::Cpumask,
    fmt,
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

use super::{
    interrupts::{
        ConfigChange,
        Intx,
        SharedVirtqueues, //
    },
    journal::Event,
    queues::{
        Failure,
        Queue, //
    },
    regs,
    transport::Transport,
    vectors::{
        Policy,
        CONFIG_VECTOR,
        NO_VECTOR,
        SHARED_VECTOR, //
    }, //
};
use crate::abstractions::{
    io::Reader,
    irq::{
        Affinity,
        Handling,
        Irq,
        Line,
        Name,
        Spread,
        Vector,
        Vectors, //
    },
    virtio::{
        Callbacks,
        Device, //
    }, //
};

/// What an interrupt policy needs beside the virtqueues and their own interrupts.
pub(super) struct Wiring {
    interrupts: Interrupts,
    asked: Option<Asked>,
    /// An empty list, which keeps its memory, for the virtqueues that are made next.
    pub(super) room: KVec<Queue>,
}

enum Interrupts {
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

/// What was asked for, by which it is known whether [`Wiring`] does for virtqueues.
#[derive(PartialEq)]
struct Asked {
    policy: Policy,
    vectors: u16,
    spread: Option<Spread>,
}

impl Plan {
    /// `None` if it cannot be told whether the next one is the same.
    fn asked(&self) -> Option<Asked> {
        let spread = match &self.affinity {
            Some(affinity) => Some(affinity.spread()?),
            None => None,
        };
        Some(Asked {
            policy: self.policy,
            vectors: self.vectors,
            spread,
        })
    }
}

/// What becomes of the wiring when the virtio driver deletes its virtqueues.
pub(super) enum Kept {
    /// It is freed.
    No,
    /// It is to be kept.
    Wanted,
    /// It was kept.
    Wiring(KBox<Wiring>),
}

impl Wiring {
    fn does_for(&self, plan: &Plan) -> bool {
        self.asked.is_some() && self.asked == plan.asked()
    }

    /// The policy that it is for.
    fn policy(&self) -> Policy {
        match &self.interrupts {
            Interrupts::Msix { shared: None, .. } => Policy::PerQueue,
            Interrupts::Msix {
                shared: Some(_), ..
            } => Policy::Shared,
            Interrupts::Intx(_) => Policy::Intx,
        }
    }

    /// The vectors, if it is not INTx.
    pub(super) fn vectors(&self) -> Option<&Arc<Vectors>> {
        match &self.interrupts {
            Interrupts::Msix { vectors, .. } => Some(vectors),
            Interrupts::Intx(_) => None,
        }
    }

    /// The virtqueues that share an interrupt, if there is one, whose handler finds none and runs no
    /// callback until [`Wiring::share`].
    pub(super) fn callbacks(&mut self) -> Option<&mut Callbacks> {
        match &mut self.interrupts {
            Interrupts::Msix { shared, .. } => shared.as_mut().map(Irq::take_back),
            Interrupts::Intx(irq) => Some(irq.take_back()),
        }
    }

    /// Has the handler for them find the virtqueues that share an interrupt.
    pub(super) fn share(&mut self) {
        match &mut self.interrupts {
            Interrupts::Msix { shared, .. } => {
                if let Some(irq) = shared {
                    irq.lend();
                }
            }
            Interrupts::Intx(irq) => irq.lend(),
        }
    }

    /// Waits until no handler runs any more.
    pub(super) fn synchronize(&self) {
        match &self.interrupts {
            Interrupts::Msix { config, shared, .. } => {
                config.synchronize();
                if let Some(shared) = shared {
                    shared.synchronize();
                }
            }
            Interrupts::Intx(irq) => irq.synchronize(),
        }
    }

    /// As [`Wiring::synchronize`], and handlers find no virtqueue from here on.
    pub(super) fn silence(&mut self) {
        match &mut self.interrupts {
            Interrupts::Msix { config, shared, .. } => {
                config.synchronize();
                if let Some(shared) = shared {
                    shared.end_lending();
                }
            }
            Interrupts::Intx(irq) => irq.end_lending(),
        }
    }

    /// Sets the affinity of the vector that virtqueues share, if there is one; INTx has none.
    pub(super) fn set_affinity(&mut self, mask: Option<&Cpumask>) -> Result {
        match &mut self.interrupts {
            Interrupts::Msix {
                shared: Some(irq), ..
            } => irq.set_affinity(mask),
            _ => Ok(()),
        }
    }

    /// Lists the interrupts.
    pub(super) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.policy();
        match &self.interrupts {
            Interrupts::Intx(irq) => writeln!(f, "{policy}: interrupt {}", irq.number()),
            Interrupts::Msix { config, shared, .. } => {
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
}

impl Transport {
    /// Gets the vectors and handlers for `plan`: those that were kept, if they do.
    pub(super) fn wire(&self, device: &Device, plan: Plan) -> Result<KBox<Wiring>, Failure> {
        let wiring = match self.take_kept() {
            Some(wiring) if wiring.does_for(&plan) => {
                self.pci.unmask_intx();
                wiring
            }
            other => {
                if let Some(wiring) = other {
                    self.unwire(wiring);
                }
                self.wire_anew(device, &plan)?
            }
        };
        if wiring.vectors().is_some() {
            // MSI-X is enabled from here on, and with it the vector registers.
            self.msix_enabled.store(true, Relaxed);
            if let Err(failure) = self.set_vector(None, CONFIG_VECTOR) {
                self.unwire(wiring);
                return Err(failure);
            }
        }
        Ok(wiring)
    }

    /// Not inlined: over a sleep it is not needed.
    #[inline(never)]
    fn wire_anew(&self, device: &Device, plan: &Plan) -> Result<KBox<Wiring>, Failure> {
        let interrupts = if plan.vectors == 0 {
            Interrupts::Intx(self.wire_intx(device)?)
        } else {
            self.wire_msix(device, plan)?
        };
        Ok(KBox::new(
            Wiring {
                interrupts,
                asked: plan.asked(),
                room: KVec::new(),
            },
            GFP_KERNEL,
        )?)
    }

    fn wire_intx(&self, device: &Device) -> Result<Irq<Handling<Intx>>, Failure> {
        self.check_msix(false)?;
        let line = Line::intx(&self.pci).ok_or(Failure::Interrupts(ENXIO))?;
        // It may have been masked when the device did not answer.
        self.pci.unmask_intx();
        let handler = Intx {
            pci: self.pci.clone(),
            isr: Reader::new(self.bar.clone(), regs::ISR.offset()).ok_or(EINVAL)?,
            device: device.into(),
        };
        let name = Name::new(&[device.name()])?;
        Irq::handle(line, name, handler, Callbacks::new()).map_err(Failure::Interrupts)
    }

    fn wire_msix(&self, device: &Device, plan: &Plan) -> Result<Interrupts, Failure> {
        // The vector for configuration changes is not to be spread.
        let affinity = plan.affinity.map(|affinity| affinity.with_reserved(1));
        let vectors = Vectors::allocate(self.pci.clone(), plan.vectors, affinity)
            .map_err(Failure::Interrupts)?;
        let vectors = Arc::new(vectors, GFP_KERNEL)?;
        self.check_msix(true)?;
        let line = |number| {
            Line::Vector(Vector {
                vectors: vectors.clone(),
                number,
            })
        };

        let handler = ConfigChange {
            device: device.into(),
        };
        let name = interrupt_name(device, c"config")?;
        let config =
            Irq::handle(line(CONFIG_VECTOR), name, handler, ()).map_err(Failure::Interrupts)?;

        let shared = if plan.policy == Policy::Shared {
            let name = interrupt_name(device, c"virtqueues")?;
            let (line, callbacks) = (line(SHARED_VECTOR), Callbacks::new());
            let irq = Irq::handle(line, name, SharedVirtqueues, callbacks);
            Some(irq.map_err(Failure::Interrupts)?)
        } else {
            None
        };
        Ok(Interrupts::Msix {
            config,
            shared,
            vectors,
        })
    }

    /// Frees the interrupts, and with the last vector disables MSI-X.
    pub(super) fn unwire(&self, wiring: KBox<Wiring>) {
        drop(wiring);
        self.msix_enabled.store(false, Relaxed);
    }

    /// Has the wiring kept when the virtio driver deletes its virtqueues, until
    /// [`Transport::release_kept`].
    ///
    /// Only for a suspend: the PCI core leaves the INTx line alone while one is prepared.
    pub(super) fn keep_wiring(&self) {
        *self.kept.lock() = Kept::Wanted;
    }

    /// Frees the wiring of virtqueues that were deleted, or keeps it.
    ///
    /// The device is reset and stays so. Until it is enabled again, INTx is masked and its handler
    /// leaves it alone. One that has begun by now may still read the ISR and act on it, but finds no
    /// virtqueue; the PM core waits for it before the device may lose its power.
    pub(super) fn put_wiring(&self, wiring: KBox<Wiring>) {
        let mut kept = self.kept.lock();
        if !matches!(*kept, Kept::Wanted) {
            drop(kept);
            return self.unwire(wiring);
        }
        if wiring.vectors().is_none() {
            self.pci.mask_intx();
        }
        *kept = Kept::Wiring(wiring);
    }

    /// Gives up what was kept if the PCI device has another mind of MSI-X meanwhile.
    pub(super) fn check_kept(&self) {
        let is_lost = match &*self.kept.lock() {
            Kept::Wiring(wiring) => self.check_msix(wiring.vectors().is_some()).is_err(),
            _ => false,
        };
        if is_lost {
            self.release_kept();
        }
    }

    /// The policy of what was kept.
    pub(super) fn kept_policy(&self) -> Option<Policy> {
        match &*self.kept.lock() {
            Kept::Wiring(wiring) => Some(wiring.policy()),
            _ => None,
        }
    }

    /// Frees what was kept and not taken back.
    pub(super) fn release_kept(&self) {
        if let Some(wiring) = self.take_kept() {
            self.unwire(wiring);
            if self.is_connected() {
                self.pci.unmask_intx();
            }
        }
    }

    fn take_kept(&self) -> Option<KBox<Wiring>> {
        match core::mem::replace(&mut *self.kept.lock(), Kept::No) {
            Kept::Wiring(wiring) => Some(wiring),
            _ => None,
        }
    }

    /// Writes the vector of virtqueue `index`, which is selected, or that for changes of the
    /// configuration, and makes sure that the device has accepted it.
    ///
    /// Virtio 1.4, 4.1.5.1.2: a driver must verify the mapping by reading it back.
    pub(super) fn set_vector(&self, index: Option<u16>, vector: u16) -> Result<(), Failure> {
        let register = match index {
            Some(_) => &regs::MSI_QUEUE_VECTOR,
            None => &regs::MSI_CONFIG_VECTOR,
        };
        self.write(register, vector);
        let read = self.read(register, NO_VECTOR);
        if read == vector {
            return Ok(());
        }
        self.report(Event::VectorRefused {
            index,
            vector,
            read,
        });
        Err(Failure::Interrupts(EBUSY))
    }

    /// Makes sure that the device and the PCI core agree on whether MSI-X is enabled, and so on
    /// where the device configuration begins.
    fn check_msix(&self, wanted: bool) -> Result<(), Failure> {
        if self.pci.msix_is_enabled() == wanted {
            return Ok(());
        }
        self.report(Event::MsixMismatch { wanted });
        Err(Failure::Interrupts(EIO))
    }
}

/// The name of an interrupt in `/proc/interrupts`.
pub(super) fn interrupt_name(device: &Device, what: &CStr) -> Result<Name> {
    Name::new(&[device.name(), c"-", what])
}
