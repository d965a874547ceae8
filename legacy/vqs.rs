// SPDX-License-Identifier: GPL-2.0

//! `find_vqs` and `del_vqs`: makes virtqueues, activates them in the device, and deletes them.
//!
//! C: `vp_find_vqs()` and `vp_del_vqs()` in drivers/virtio/virtio_pci_common.c, `setup_vq()` and
//! `del_vq()` in drivers/virtio/virtio_pci_legacy.c.

use kernel::{
    alloc::AllocError,
    fmt,
    prelude::*,
    sync::Arc, //
};

use super::{
    core::{
        journal::{
            Errno,
            Event, //
        },
        regs,
        ring,
        status::Status,
        vectors::{
            Policy,
            VectorAllocator,
            NO_VECTOR, //
        }, //
    },
    counters::Count,
    device::LegacyDevice,
    irqs::{
        self,
        irq_name,
        IrqPlan, //
    },
    lint,
    negotiate::{
        begin_handshake,
        legacy_features,
        negotiate, //
    },
    queues::{
        Queue,
        Queues, //
    },
    quirks,
    recovery,
    state::Negotiated, //
};
use crate::abstractions::{
    irq::{
        Irq,
        Line,
        Vector, //
    },
    virtio::{
        Announce,
        Device,
        Doorbell,
        FindVqs,
        Fulfilled,
        Request,
        Virtqueue, //
    }, //
};

/// The policies that could not be used, with the reasons.
#[derive(Default)]
struct Refused {
    list: [Option<(Policy, Error)>; Policy::BEST_FIRST.len() + 1],
    last: Option<Error>,
}

impl Refused {
    fn add(&mut self, policy: Policy, error: Error) {
        self.last = Some(error);
        if let Some(free) = self.list.iter_mut().find(|entry| entry.is_none()) {
            *free = Some((policy, error));
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (policy, error) in self.list.iter().flatten() {
            write!(f, "; not {policy}: {error:?}")?;
        }
        Ok(())
    }
}

/// Why a policy could not be used.
enum Failure {
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

/// Makes the virtqueues that a driver requests, with the best interrupt policy that works.
///
/// During restore, if the device is faulty, the driver gets detached virtqueues: drivers that fail
/// to be restored can neither be frozen nor removed. virtio-rng, for one, frees its data twice.
///
/// # Errors
///
/// `EPROTO` before the features are accepted, `EBUSY` if there are virtqueues already, `ENOENT` if
/// the device lacks a virtqueue or has it in use, `EINVAL` for a size that is not a power of two,
/// `E2BIG` for a ring out of the device's reach, or the error of the last interrupt policy;
/// `ENOMEM` also for a driver that is being restored.
pub(super) fn find(dev: &LegacyDevice, requested: FindVqs<'_>) -> Result<Fulfilled> {
    if dev.vqs.count() > 0 {
        dev_err!(dev.log.device(), "find_vqs called twice\n");
        return Err(EBUSY);
    }
    let mut queues = dev.vqs.take();
    let made = make(dev, requested, &mut queues);
    if made.is_err() {
        undo(dev, &mut queues);
    }
    dev.vqs.put(queues);
    made
}

/// Deletes all virtqueues, after the device has forgotten them.
pub(super) fn delete(dev: &LegacyDevice) {
    let mut queues = dev.vqs.take();
    forget_rings(dev);
    if queues.count() > 0 {
        dev.log.record(Event::VirtqueuesDeleted);
    }
    let irqs = queues.delete();
    dev.vqs.put(queues);
    if let Some(irqs) = irqs {
        dev.irqs.put(&dev.hw, irqs);
    }
}

/// Makes virtqueues, and gives them to the driver.
fn make(dev: &LegacyDevice, requested: FindVqs<'_>, queues: &mut Queues) -> Result<Fulfilled> {
    let mut is_active = dev.hw.is_reachable();
    if is_active {
        match make_active(dev, &requested, queues) {
            Err(error) if dev.life.get().is_restoring() => {
                dev.log.record(Event::NotRestored(Errno(error.to_errno())));
                dev.state.add_failed(&dev.hw, &dev.log);
                let features = legacy_features(dev, requested.device()).unwrap_or(0);
                recovery::detach(dev, features)?;
                is_active = false;
            }
            result => result?,
        }
    }
    if !is_active {
        make_detached(dev, &requested, queues)?;
    }
    queues.note_sizes()?;
    requested.fulfil(queues.virtqueues())
}

/// Deletes virtqueues that the driver does not get, after the device has forgotten them.
fn undo(dev: &LegacyDevice, queues: &mut Queues) {
    forget_rings(dev);
    if let Some(irqs) = queues.delete() {
        irqs::free(&dev.hw, irqs);
    }
}

/// Makes virtqueues and activates them in the device, or leaves everything as it was.
fn make_active(dev: &LegacyDevice, requested: &FindVqs<'_>, queues: &mut Queues) -> Result {
    let mut refused = Refused::default();
    // What worked before a sleep is tried first.
    for policy in Policy::in_order(dev.irqs.policy()) {
        let negotiated = dev.state.negotiated().inspect_err(|_| {
            dev_err!(
                dev.log.device(),
                "find_vqs before DRIVER and accepted features\n"
            );
        })?;
        let tried = try_policy(dev, &negotiated, requested, policy, queues);
        if tried.is_err() {
            undo(dev, queues);
        }
        match tried {
            Ok(()) => {
                report_policy(dev, requested.device(), policy, &refused);
                return Ok(());
            }
            Err(Failure::Virtqueues(error)) => return Err(error),
            Err(Failure::Interrupts(error)) => {
                dev.log.counters.add_one(Count::PoliciesRefused);
                let errno = Errno(error.to_errno());
                dev.log.record(Event::PolicyRefused(policy, errno));
                refused.add(policy, error);
            }
        }
    }
    dev_err!(
        dev.log.device(),
        "{}: no interrupts can be used{refused}\n",
        requested.device().name_str()
    );
    Err(refused.last.unwrap_or(ENODEV))
}

/// Makes virtqueues that the device never sees, of the sizes that they had before.
fn make_detached(dev: &LegacyDevice, requested: &FindVqs<'_>, queues: &mut Queues) -> Result {
    let mut index = 0;
    for request in requested.requests() {
        let num = queues.size(index).unwrap_or(1);
        let queue = Queue {
            irq: None,
            virtqueue: Virtqueue::new(index, num, ring::ALIGN, &request, None)?,
            vector: NO_VECTOR,
        };
        queues.add(queue, false)?;
        index = index.checked_add(1).ok_or(EINVAL)?;
    }
    dev.log.record(Event::VirtqueuesDetached);
    Ok(())
}

/// Says which policy is used and why the better ones are not, unless it is that of before.
fn report_policy(dev: &LegacyDevice, device: &Device, policy: Policy, refused: &Refused) {
    let before = dev.irqs.use_policy(policy);
    let is_new = before != Some(policy);
    if is_new || refused.last.is_some() {
        dev.log.record(Event::PolicyUsed(policy));
    }
    if is_new {
        let name = device.name_str();
        dev_info!(dev.log.device(), "{name}: {policy}{refused}\n");
    }
}

/// Makes the device forget the rings that it was shown, with a reset, and takes it through the
/// handshake again as far as it was.
///
/// C writes 0 to QUEUE_PFN instead. QEMU takes that for a reset of the whole device, after which
/// status and features no longer match the driver's view.
fn forget_rings(dev: &LegacyDevice) {
    if !dev.state.has_rings() {
        return;
    }
    let failed = dev.state.status().contains(Status::FAILED);
    let negotiated = dev.state.negotiated();
    let Ok(reset) = begin_handshake(dev) else {
        return;
    };
    let acknowledged = reset.acknowledge(failed);
    let Ok(negotiated) = negotiated else {
        return acknowledged.stop();
    };
    // An error is reported, and seen by what asks for the features next.
    if let Ok(accepted) = negotiate(dev, acknowledged, negotiated.features()) {
        accepted.hand_over();
    }
}

/// Makes the virtqueues with the interrupts of `policy`, and activates them in the device.
fn try_policy(
    dev: &LegacyDevice,
    negotiated: &Negotiated,
    requested: &FindVqs<'_>,
    policy: Policy,
    queues: &mut Queues,
) -> Result<(), Failure> {
    let device = requested.device();
    let (count, callbacks) = requested.count();
    let vectors = policy.vectors_needed(callbacks);
    let plan = IrqPlan {
        policy,
        vectors: vectors.ok_or(Failure::Interrupts(ENOSPC))?,
        affinity: requested.affinity().filter(|_| policy == Policy::PerQueue),
    };
    let irqs = dev.irqs.set_up(&dev.hw, &dev.log, device, &plan);
    queues.prepare(irqs.map_err(Failure::Interrupts)?, count)?;

    let mut allocator = VectorAllocator::new(policy);
    let mut index = 0;
    for request in requested.requests() {
        let vector = allocator.allocate(request.has_callback());
        let virtqueue = make_virtqueue(dev, device, index, &request)?;
        let own_vector = queues
            .vectors()
            .filter(|_| policy == Policy::PerQueue && vector != NO_VECTOR);
        let irq = match own_vector {
            Some(vectors) => {
                let line = Line::Vector(Vector::new(vectors, vector));
                let name = irq_name(device, request.name())?;
                let irq = Irq::request(line, name, virtqueue.clone());
                Some(irq.map_err(Failure::Interrupts)?)
            }
            None => None,
        };
        let queue = Queue {
            irq,
            virtqueue: virtqueue.clone(),
            vector,
        };
        queues.add(queue, request.has_callback())?;
        activate_virtqueue(dev, negotiated, index, &virtqueue, vector)?;
        index = index.checked_add(1).ok_or(Failure::Virtqueues(EINVAL))?;
    }
    queues.publish();
    Ok(())
}

/// Makes virtqueue `index`, which is selected in the device when this returns.
fn make_virtqueue(
    dev: &LegacyDevice,
    device: &Device,
    index: u16,
    request: &Request<'_>,
) -> Result<Arc<Virtqueue>> {
    dev.hw.write(&regs::QUEUE_SEL, index);
    let num = dev.hw.read(&regs::QUEUE_NUM, 0);
    ring::check_size(num)
        .and_then(|()| ring::check_unused(dev.hw.read(&regs::QUEUE_PFN, 0)))
        .map_err(|error| refuse(dev, index, error))?;

    let name = request.name().to_str().unwrap_or_default();
    let doorbell = Doorbell {
        bar: dev.hw.bar(),
        offset: regs::QUEUE_NOTIFY.offset(),
        announce: if quirks::spins(device.device_type(), name) {
            Some(Announce::Spins)
        } else {
            lint::is_on().then_some(Announce::Check)
        },
    };
    Virtqueue::new(index, num, ring::ALIGN, request, Some(doorbell))
}

/// Reports that virtqueue `index` cannot be used.
fn refuse(dev: &LegacyDevice, index: u16, error: ring::RingError) -> Error {
    dev.log.report(Event::VirtqueueRefused { index, error });
    errno(error)
}

/// Activates the selected virtqueue in the device, with its vector.
fn activate_virtqueue(
    dev: &LegacyDevice,
    _negotiated: &Negotiated,
    index: u16,
    virtqueue: &Virtqueue,
    vector: u16,
) -> Result<(), Failure> {
    let num = virtqueue.num();
    let pfn =
        ring::pfn(virtqueue.ring_address(), num).map_err(|error| refuse(dev, index, error))?;
    dev.log.record(Event::Virtqueue { index, num, pfn });
    dev.state.note_ring();
    dev.hw.write(&regs::QUEUE_PFN, pfn);
    if vector != NO_VECTOR {
        irqs::write_vector(&dev.hw, &dev.log, Some(index), vector).map_err(Failure::Interrupts)?;
    }
    Ok(())
}

/// The error code for a virtqueue that cannot be used; that of C, where C has one.
fn errno(error: ring::RingError) -> Error {
    match error {
        ring::RingError::Absent | ring::RingError::InUse(_) => ENOENT,
        ring::RingError::BadSize(_) => EINVAL,
        ring::RingError::BadAddress { .. } => E2BIG,
    }
}
