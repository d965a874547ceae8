// SPDX-License-Identifier: GPL-2.0

//! Virtqueues and their interrupts: `find_vqs` and `del_vqs`.
//!
//! C: `vp_find_vqs()` and `vp_del_vqs()` in drivers/virtio/virtio_pci_common.c, `setup_vq()` and
//! `del_vq()` in drivers/virtio/virtio_pci_legacy.c.

use kernel::{
    alloc::AllocError,
    cpumask::Cpumask,
    fmt,
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

use super::{
    features::legacy_features,
    handshake,
    journal::{
        Errno,
        Event, //
    },
    lint,
    regs,
    ring,
    status::Status,
    transport::{
        Negotiated,
        Transport, //
    },
    vectors::{
        Dealer,
        Policy,
        NO_VECTOR, //
    },
    wiring::{
        interrupt_name,
        Plan,
        Wiring, //
    }, //
};
use crate::abstractions::{
    irq::{
        Affinity,
        Irq,
        Line,
        Vector, //
    },
    virtio::{
        Device,
        Doorbell,
        Request,
        Virtqueue,
        Wanted, //
    }, //
};

/// All virtqueues of a device, with the interrupts that their policy needs.
pub(super) struct Queues {
    queues: KVec<Queue>,
    /// `None` if the device is disconnected.
    wiring: Option<KBox<Wiring>>,
}

/// A virtqueue, with its interrupt if it has one for itself.
pub(super) struct Queue {
    irq: Option<Irq<Virtqueue>>,
    virtqueue: Arc<Virtqueue>,
    vector: u16,
}

/// The policies that could not be used, with the reasons.
#[derive(Default)]
struct Refused([Option<(Policy, Error)>; Policy::BEST_FIRST.len() + 1]);

impl Refused {
    fn add(&mut self, policy: Policy, error: Error) {
        if let Some(free) = self.0.iter_mut().find(|entry| entry.is_none()) {
            *free = Some((policy, error));
        }
    }

    fn last(&self) -> Option<Error> {
        self.0.iter().flatten().last().map(|(_, error)| *error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .flatten()
            .try_for_each(|(policy, error)| write!(f, "; not {policy}: error {}", error.to_errno()))
    }
}

/// Why a policy could not be used.
pub(super) enum Failure {
    /// The next policy may do better.
    Interrupts(Error),
    /// No policy will do.
    Virtqueues(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Virtqueues(error)
    }
}

impl From<AllocError> for Failure {
    fn from(error: AllocError) -> Self {
        Self::Virtqueues(error.into())
    }
}

impl Queues {
    pub(super) fn synchronize(&self) {
        if let Some(wiring) = &self.wiring {
            wiring.synchronize();
        }
        for irq in self.queues.iter().filter_map(|queue| queue.irq.as_ref()) {
            irq.synchronize();
        }
    }

    /// As [`Queues::synchronize`], after a reset: the virtqueues are of no more use.
    pub(super) fn silence(&mut self) {
        if let Some(wiring) = &mut self.wiring {
            wiring.silence();
        }
        for irq in self.queues.iter().filter_map(|queue| queue.irq.as_ref()) {
            irq.synchronize();
        }
    }

    /// Lists the virtqueues.
    pub(super) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for virtqueue in self.virtqueues() {
            let (index, name) = (virtqueue.index(), virtqueue.name());
            let (num, address) = (virtqueue.num(), virtqueue.ring_address());
            let broken = if virtqueue.is_broken() {
                ", broken"
            } else {
                ""
            };
            writeln!(
                f,
                "{index} {name}: {num} entries at {address:#x}, {} free{broken}",
                virtqueue.num_free()
            )?;
        }
        Ok(())
    }

    /// Lists the vectors.
    pub(super) fn show_vectors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(wiring) = &self.wiring else {
            return writeln!(f, "none: disconnected");
        };
        wiring.show(f)?;
        if wiring.vectors().is_none() {
            return Ok(());
        }
        for queue in &self.queues {
            let index = queue.virtqueue.index();
            match (&queue.irq, queue.vector) {
                (_, NO_VECTOR) => writeln!(f, "virtqueue {index}: none")?,
                (None, vector) => writeln!(f, "virtqueue {index}: vector {vector}")?,
                (Some(irq), vector) => writeln!(
                    f,
                    "virtqueue {index}: vector {vector}, interrupt {}",
                    irq.number()
                )?,
            }
        }
        Ok(())
    }

    fn virtqueues(&self) -> impl Iterator<Item = &Arc<Virtqueue>> {
        self.queues.iter().map(|queue| &queue.virtqueue)
    }

    /// Sets the affinity of the vector of virtqueue `index`, also if it is shared; INTx has none.
    pub(super) fn set_affinity(&mut self, index: usize, mask: Option<&Cpumask>) -> Result {
        let queue = self.queues.get_mut(index).ok_or(EINVAL)?;
        match (&mut queue.irq, &mut self.wiring) {
            (Some(irq), _) => irq.set_affinity(mask),
            (None, Some(wiring)) => wiring.set_affinity(mask),
            (None, None) => Ok(()),
        }
    }

    /// The vector that virtqueue `index` has for itself.
    pub(super) fn vector(&self, index: usize) -> Option<Vector> {
        let queue = self.queues.get(index)?;
        queue.irq.as_ref()?;
        Some(Vector {
            vectors: self.wiring.as_ref()?.vectors()?.clone(),
            number: queue.vector,
        })
    }

    /// Deletes the virtqueues with their own interrupts.
    fn delete(mut self) -> Option<KBox<Wiring>> {
        let mut wiring = self.wiring?;
        if let Some(callbacks) = wiring.callbacks() {
            callbacks.clear();
        }
        self.queues.clear();
        wiring.room = self.queues;
        Some(wiring)
    }
}

impl Transport {
    /// Makes the virtqueues that a driver wants, with the best interrupt policy that works.
    ///
    /// A driver that is being restored gets virtqueues also from a device that is no good: they are
    /// not connected, and so is the device from then on. Drivers that fail to be restored can
    /// neither be frozen nor removed: virtio-rng, for one, frees its data a second time.
    ///
    /// # Errors
    ///
    /// `EPROTO` before the features are accepted, `EBUSY` if there are virtqueues already,
    /// `ENOENT` if the device lacks a virtqueue or has it in use, `EINVAL` for a size that is not
    /// a power of two, `E2BIG` for a ring out of the device's reach, or the error of the last
    /// interrupt policy; `ENOMEM` also for a driver that is being restored.
    pub(super) fn find_queues(
        &self,
        device: &Device,
        wanted: &mut Wanted<'_>,
        affinity: Option<Affinity>,
    ) -> Result {
        let mut place = self.queues.lock();
        if place.is_some() {
            dev_err!(self.pci(), "virtqueues are there already\n");
            return Err(EBUSY);
        }
        let connected = if self.is_connected() {
            match self.make_connected(device, wanted, affinity) {
                Err(error) if self.restoring.load(Relaxed) => {
                    self.disconnect_failed(legacy_features(self, device).unwrap_or(0), error);
                    None
                }
                result => Some(result?),
            }
        } else {
            None
        };
        let queues = match connected {
            Some(queues) => queues,
            None => self.make_unconnected(wanted)?,
        };
        if let Err(error) = wanted.answer(queues.virtqueues()) {
            self.forget_rings();
            if let Some(wiring) = queues.delete() {
                self.unwire(wiring);
            }
            return Err(error);
        }
        *place = Some(queues);
        Ok(())
    }

    /// Makes virtqueues that are shown to the device.
    fn make_connected(
        &self,
        device: &Device,
        wanted: &Wanted<'_>,
        affinity: Option<Affinity>,
    ) -> Result<Queues> {
        let mut refused = Refused::default();
        // What worked before a sleep is tried first, without the better ones that did not.
        for policy in Policy::in_order(self.kept_policy()) {
            let negotiated = self.negotiated().inspect_err(|_| {
                dev_err!(
                    self.pci(),
                    "virtqueues before DRIVER and accepted features\n"
                );
            })?;
            match self.try_policy(&negotiated, device, wanted, affinity, policy) {
                Ok(queues) => {
                    self.report_policy(device, policy, &refused);
                    return Ok(queues);
                }
                Err(Failure::Virtqueues(error)) => return Err(error),
                Err(Failure::Interrupts(error)) => {
                    self.counters.policies_refused.add_one();
                    self.record(Event::PolicyRefused(policy, Errno(error.to_errno())));
                    refused.add(policy, error);
                }
            }
        }
        let error = refused.last().unwrap_or(ENODEV);
        dev_err!(
            self.pci(),
            "{}: no interrupts{refused}\n",
            device.name().to_str()?
        );
        Err(error)
    }

    /// Deletes all virtqueues, after the device has forgotten them.
    pub(super) fn delete_queues(&self) {
        let queues = self.queues.lock().take();
        self.forget_rings();
        let Some(queues) = queues else { return };
        self.record(Event::VirtqueuesDeleted);
        if let Some(wiring) = queues.delete() {
            self.put_wiring(wiring);
        }
    }

    /// Whether the virtio driver waits, when it is removed, for requests that it has made.
    pub(super) fn has_requests_in_flight(&self, device: &Device) -> bool {
        let waited_for = device.waited_for();
        let queues = self.queues.lock();
        let mut virtqueues = queues.iter().flat_map(Queues::virtqueues).enumerate();
        virtqueues.any(|(index, virtqueue)| {
            waited_for.contains(&index) && virtqueue.num_free() < virtqueue.num().into()
        })
    }

    /// Number of virtqueues that the driver has.
    pub(super) fn queue_count(&self) -> usize {
        let queues = self.queues.lock();
        queues.as_ref().map_or(0, |queues| queues.queues.len())
    }

    /// Remembers the sizes of the virtqueues that the driver has.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn remember_sizes(&self) -> Result {
        // An allocation may call the balloon's driver, and that this transport.
        let mut sizes = core::mem::take(&mut self.known.lock().sizes);
        sizes.clear();
        for virtqueue in self.queues.lock().iter().flat_map(Queues::virtqueues) {
            sizes.push(virtqueue.num(), GFP_KERNEL)?;
        }
        self.known.lock().sizes = sizes;
        Ok(())
    }

    /// Makes virtqueues that the device never sees, of the sizes that they had before.
    fn make_unconnected(&self, wanted: &Wanted<'_>) -> Result<Queues> {
        let mut queues = KVec::new();
        for (index, request) in wanted.requests().enumerate() {
            let num = self.known.lock().sizes.get(index).copied().unwrap_or(1);
            let virtqueue = Virtqueue::new(index.try_into()?, num, ring::ALIGN, &request, None)?;
            queues.push(
                Queue {
                    irq: None,
                    virtqueue: Arc::new(virtqueue, GFP_KERNEL)?,
                    vector: NO_VECTOR,
                },
                GFP_KERNEL,
            )?;
        }
        self.record(Event::VirtqueuesUnconnected);
        Ok(Queues {
            queues,
            wiring: None,
        })
    }

    /// Says which policy is used and why the better ones are not, unless it is that of before.
    fn report_policy(&self, device: &Device, policy: Policy, refused: &Refused) {
        let before = self.known.lock().policy.replace(policy);
        if before != Some(policy) || refused.last().is_some() {
            self.record(Event::PolicyUsed(policy));
        }
        if before != Some(policy) {
            let name = device.name().to_str().unwrap_or_default();
            dev_info!(self.pci(), "{name}: {policy}{refused}\n");
        }
    }

    /// Makes the device forget the rings that it was shown, with a reset, and takes it through the
    /// handshake again as far as it was.
    ///
    /// C writes 0 to QUEUE_PFN instead. QEMU takes that for a reset of the whole device, after
    /// which the status and the features are not those that the virtio driver believes in.
    fn forget_rings(&self) {
        if !self.has_rings() {
            return;
        }
        let (failed, negotiated) = (
            handshake::Device::written_status(self).contains(Status::FAILED),
            self.negotiated(),
        );
        let Ok(reset) = self.begin_handshake() else {
            return;
        };
        let acknowledged = reset.acknowledge(failed);
        let Ok(negotiated) = negotiated else {
            return acknowledged.stop();
        };
        // An error is reported, and seen by whoever asks for the features next.
        if let Ok(accepted) = self.negotiate(acknowledged, negotiated.features()) {
            accepted.hand_over();
        }
    }

    /// Makes the virtqueues with the interrupts of `policy`, or leaves everything as it was.
    ///
    /// Not inlined: it would be so several times, into a loop that mostly runs once.
    #[inline(never)]
    fn try_policy(
        &self,
        negotiated: &Negotiated,
        device: &Device,
        wanted: &Wanted<'_>,
        affinity: Option<Affinity>,
        policy: Policy,
    ) -> Result<Queues, Failure> {
        let callbacks = wanted.requests().filter(Request::has_callback).count();
        let plan = Plan {
            policy,
            vectors: policy
                .vectors_needed(callbacks)
                .ok_or(Failure::Interrupts(ENOSPC))?,
            affinity: affinity.filter(|_| policy == Policy::PerQueue),
        };
        let mut wiring = self.wire(device, plan)?;
        let mut queues = core::mem::take(&mut wiring.room);
        match self.add_virtqueues(&mut queues, &mut wiring, negotiated, device, wanted, policy) {
            Ok(()) => Ok(Queues {
                queues,
                wiring: Some(wiring),
            }),
            Err(failure) => {
                self.forget_rings();
                drop(queues);
                self.unwire(wiring);
                Err(failure)
            }
        }
    }

    /// Makes the virtqueues and shows them to the device.
    fn add_virtqueues(
        &self,
        queues: &mut KVec<Queue>,
        wiring: &mut Wiring,
        negotiated: &Negotiated,
        device: &Device,
        wanted: &Wanted<'_>,
        policy: Policy,
    ) -> Result<(), Failure> {
        let mut dealer = Dealer::new(policy);
        queues.reserve(wanted.requests().count(), GFP_KERNEL)?;
        for (index, request) in wanted.requests().enumerate() {
            let index = u16::try_from(index).map_err(|_| Failure::Virtqueues(EINVAL))?;
            let vector = dealer.deal(request.has_callback());
            let virtqueue = self.make_virtqueue(index, &request)?;

            let own_vector = wiring
                .vectors()
                .filter(|_| policy == Policy::PerQueue && vector != NO_VECTOR);
            let irq = match own_vector {
                Some(vectors) => {
                    let line = Line::Vector(Vector {
                        vectors: vectors.clone(),
                        number: vector,
                    });
                    let name = interrupt_name(device, request.name().unwrap_or_default())?;
                    let irq = Irq::request(line, name, virtqueue.clone());
                    Some(irq.map_err(Failure::Interrupts)?)
                }
                None => None,
            };
            if request.has_callback() {
                if let Some(callbacks) = wiring.callbacks() {
                    callbacks.add(virtqueue.clone())?;
                }
            }
            queues.push(
                Queue {
                    irq,
                    virtqueue: virtqueue.clone(),
                    vector,
                },
                GFP_KERNEL,
            )?;
            self.show_virtqueue(negotiated, index, &virtqueue, vector)?;
        }
        wiring.share();
        Ok(())
    }

    /// Makes virtqueue `index`, which is selected in the device when this returns.
    fn make_virtqueue(&self, index: u16, request: &Request<'_>) -> Result<Arc<Virtqueue>> {
        let refuse = |error| self.refuse(index, error);
        self.write(&regs::QUEUE_SEL, index);
        let num = self.read(&regs::QUEUE_NUM, 0);
        ring::check_size(num).map_err(refuse)?;
        ring::check_unused(self.read(&regs::QUEUE_PFN, 0)).map_err(refuse)?;

        let virtqueue = Virtqueue::new(
            index,
            num,
            ring::ALIGN,
            request,
            Some(Doorbell {
                bar: &self.bar,
                offset: regs::QUEUE_NOTIFY.offset(),
                is_announced: lint::is_on(),
            }),
        )?;
        Ok(Arc::new(virtqueue, GFP_KERNEL)?)
    }

    /// Reports that virtqueue `index` cannot be used.
    fn refuse(&self, index: u16, error: ring::RingError) -> Error {
        self.report(Event::VirtqueueRefused { index, error });
        errno(error)
    }

    /// Shows the selected virtqueue to the device, with its vector.
    fn show_virtqueue(
        &self,
        _negotiated: &Negotiated,
        index: u16,
        virtqueue: &Virtqueue,
        vector: u16,
    ) -> Result<(), Failure> {
        let num = virtqueue.num();
        let pfn =
            ring::pfn(virtqueue.ring_address(), num).map_err(|error| self.refuse(index, error))?;
        self.record(Event::Virtqueue { index, num, pfn });
        self.known.lock().has_rings = true;
        self.write(&regs::QUEUE_PFN, pfn);
        if vector != NO_VECTOR {
            self.set_vector(Some(index), vector)?;
        }
        Ok(())
    }
}

/// The error code for a virtqueue that cannot be used; that of C, where C has one.
fn errno(error: ring::RingError) -> Error {
    match error {
        ring::RingError::Absent | ring::RingError::InUse(_) => ENOENT,
        ring::RingError::BadSize(_) => EINVAL,
        ring::RingError::BadAddress { .. } => E2BIG,
    }
}
