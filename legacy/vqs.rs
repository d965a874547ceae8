// SPDX-License-Identifier: GPL-2.0

//! `find_vqs` and `del_vqs`: makes virtqueues, shows them to the device, and deletes them.
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
    device::LegacyDevice,
    irqs::{
        self,
        irq_name,
        IrqSetup,
        Plan, //
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
        Affinity,
        Irq,
        Line,
        Vector, //
    },
    virtio::{
        Device,
        Doorbell,
        FindVqs,
        Request,
        Virtqueue, //
    }, //
};

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
/// During restore, a faulty device still yields virtqueues, but detached ones: drivers that fail
/// to be restored can neither be frozen nor removed. virtio-rng, for one, frees its data twice.
///
/// # Errors
///
/// `EPROTO` before the features are accepted, `EBUSY` if there are virtqueues already, `ENOENT` if
/// the device lacks a virtqueue or has it in use, `EINVAL` for a size that is not a power of two,
/// `E2BIG` for a ring out of the device's reach, or the error of the last interrupt policy;
/// `ENOMEM` also for a driver that is being restored.
pub(super) fn find(
    dev: &LegacyDevice,
    device: &Device,
    requested: &mut FindVqs<'_>,
    affinity: Option<Affinity>,
) -> Result {
    if dev.vqs.count() > 0 {
        dev_err!(dev.log.pci(), "find_vqs called twice\n");
        return Err(EBUSY);
    }
    let shown = if dev.hw.is_reachable() {
        match make_shown(dev, device, requested, affinity) {
            Err(error) if dev.life.get().is_restoring() => {
                dev.log.record(Event::NotRestored(Errno(error.to_errno())));
                dev.state.add_failed(&dev.hw, &dev.log);
                recovery::detach(dev, legacy_features(dev, device).unwrap_or(0))?;
                None
            }
            result => Some(result?),
        }
    } else {
        None
    };
    let queues = match shown {
        Some(queues) => queues,
        None => make_detached(dev, requested)?,
    };
    let reserved = dev.vqs.reserve_sizes(queues.virtqueues().count());
    if let Err(error) = reserved.and_then(|()| requested.fulfil(queues.virtqueues())) {
        forget_rings(dev);
        if let (_, Some(irqs)) = queues.delete() {
            irqs::free(&dev.hw, irqs);
        }
        return Err(error);
    }
    dev.vqs.put(queues);
    Ok(())
}

/// Deletes all virtqueues, after the device has forgotten them.
pub(super) fn delete(dev: &LegacyDevice) {
    let queues = dev.vqs.take();
    forget_rings(dev);
    let Some(queues) = queues else { return };
    dev.log.record(Event::VirtqueuesDeleted);
    let (room, irqs) = queues.delete();
    dev.vqs.put_room(room);
    if let Some(irqs) = irqs {
        dev.irqs.put(&dev.hw, irqs);
    }
}

/// Makes virtqueues that are shown to the device.
fn make_shown(
    dev: &LegacyDevice,
    device: &Device,
    requested: &FindVqs<'_>,
    affinity: Option<Affinity>,
) -> Result<Queues> {
    let mut refused = Refused::default();
    // What worked before a sleep is tried first, without the better ones that did not.
    for policy in Policy::in_order(dev.irqs.policy()) {
        let negotiated = dev.state.negotiated().inspect_err(|_| {
            dev_err!(
                dev.log.pci(),
                "find_vqs before DRIVER and accepted features\n"
            );
        })?;
        match try_policy(dev, &negotiated, device, requested, affinity, policy) {
            Ok(queues) => {
                report_policy(dev, device, policy, &refused);
                return Ok(queues);
            }
            Err(Failure::Virtqueues(error)) => return Err(error),
            Err(Failure::Interrupts(error)) => {
                dev.log.counters.policies_refused.add_one();
                let errno = Errno(error.to_errno());
                dev.log.record(Event::PolicyRefused(policy, errno));
                refused.add(policy, error);
            }
        }
    }
    let error = refused.last().unwrap_or(ENODEV);
    dev_err!(
        dev.log.pci(),
        "{}: no interrupts{refused}\n",
        device.name().to_str()?
    );
    Err(error)
}

/// Makes virtqueues that the device never sees, of the sizes that they had before.
fn make_detached(dev: &LegacyDevice, requested: &FindVqs<'_>) -> Result<Queues> {
    let mut queues = KVec::new();
    for (index, request) in requested.requests().enumerate() {
        let num = dev.vqs.size(index).unwrap_or(1);
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
    dev.log.record(Event::VirtqueuesDetached);
    Ok(Queues::new(queues, None))
}

/// Says which policy is used and why the better ones are not, unless it is that of before.
fn report_policy(dev: &LegacyDevice, device: &Device, policy: Policy, refused: &Refused) {
    let before = dev.irqs.use_policy(policy);
    if before != Some(policy) || refused.last().is_some() {
        dev.log.record(Event::PolicyUsed(policy));
    }
    if before != Some(policy) {
        let name = device.name().to_str().unwrap_or_default();
        dev_info!(dev.log.pci(), "{name}: {policy}{refused}\n");
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

/// Makes the virtqueues with the interrupts of `policy`, or leaves everything as it was.
///
/// Outlined: the loop usually runs once.
#[inline(never)]
fn try_policy(
    dev: &LegacyDevice,
    negotiated: &Negotiated,
    device: &Device,
    requested: &FindVqs<'_>,
    affinity: Option<Affinity>,
    policy: Policy,
) -> Result<Queues, Failure> {
    let callbacks = requested.requests().filter(Request::has_callback).count();
    let plan = Plan {
        policy,
        vectors: policy
            .vectors_needed(callbacks)
            .ok_or(Failure::Interrupts(ENOSPC))?,
        affinity: affinity.filter(|_| policy == Policy::PerQueue),
    };
    let irqs = dev.irqs.set_up(&dev.hw, &dev.log, device, &plan);
    let mut irqs = irqs.map_err(Failure::Interrupts)?;
    let mut queues = dev.vqs.take_room();
    match add_virtqueues(
        dev,
        &mut queues,
        &mut irqs,
        negotiated,
        device,
        requested,
        policy,
    ) {
        Ok(()) => Ok(Queues::new(queues, Some(irqs))),
        Err(failure) => {
            forget_rings(dev);
            drop(queues);
            irqs::free(&dev.hw, irqs);
            Err(failure)
        }
    }
}

/// Makes the virtqueues and shows them to the device.
fn add_virtqueues(
    dev: &LegacyDevice,
    queues: &mut KVec<Queue>,
    irqs: &mut IrqSetup,
    negotiated: &Negotiated,
    device: &Device,
    requested: &FindVqs<'_>,
    policy: Policy,
) -> Result<(), Failure> {
    let mut allocator = VectorAllocator::new(policy);
    queues.reserve(requested.requests().count(), GFP_KERNEL)?;
    for (index, request) in requested.requests().enumerate() {
        let index = u16::try_from(index).map_err(|_| Failure::Virtqueues(EINVAL))?;
        let vector = allocator.allocate(request.has_callback());
        let virtqueue = make_virtqueue(dev, device, index, &request)?;

        let own_vector = irqs
            .vectors()
            .filter(|_| policy == Policy::PerQueue && vector != NO_VECTOR);
        let irq = match own_vector {
            Some(vectors) => {
                let line = Line::Vector(Vector {
                    vectors: vectors.clone(),
                    number: vector,
                });
                let name = irq_name(device, request.name().unwrap_or_default())?;
                let irq = Irq::request(line, name, virtqueue.clone());
                Some(irq.map_err(Failure::Interrupts)?)
            }
            None => None,
        };
        if request.has_callback() {
            if let Some(callbacks) = irqs.callbacks() {
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
        show_virtqueue(dev, negotiated, index, &virtqueue, vector)?;
    }
    irqs.publish();
    Ok(())
}

/// Makes virtqueue `index`, which is selected in the device when this returns.
fn make_virtqueue(
    dev: &LegacyDevice,
    device: &Device,
    index: u16,
    request: &Request<'_>,
) -> Result<Arc<Virtqueue>> {
    let refuse = |error| refuse(dev, index, error);
    dev.hw.write(&regs::QUEUE_SEL, index);
    let num = dev.hw.read(&regs::QUEUE_NUM, 0);
    ring::check_size(num).map_err(refuse)?;
    ring::check_unused(dev.hw.read(&regs::QUEUE_PFN, 0)).map_err(refuse)?;

    let name = request
        .name()
        .and_then(|name| name.to_str().ok())
        .unwrap_or_default();
    let virtqueue = Virtqueue::new(
        index,
        num,
        ring::ALIGN,
        request,
        Some(Doorbell {
            bar: dev.hw.bar(),
            offset: regs::QUEUE_NOTIFY.offset(),
            is_announced: lint::is_on() || quirks::spins(device.device_type(), name),
        }),
    )?;
    Ok(Arc::new(virtqueue, GFP_KERNEL)?)
}

/// Reports that virtqueue `index` cannot be used.
fn refuse(dev: &LegacyDevice, index: u16, error: ring::RingError) -> Error {
    dev.log.report(Event::VirtqueueRefused { index, error });
    errno(error)
}

/// Shows the selected virtqueue to the device, with its vector.
fn show_virtqueue(
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
    dev.state.show_ring();
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
