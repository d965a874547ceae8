// SPDX-License-Identifier: GPL-2.0

//! The virtqueues that a virtio driver has.

use kernel::{
    cpumask::Cpumask,
    fmt,
    prelude::*,
    sync::{
        new_mutex,
        Arc,
        Mutex, //
    }, //
};

use super::{
    core::vectors::NO_VECTOR,
    irqs::IrqSetup, //
};
use crate::abstractions::{
    irq::{
        Irq,
        Vector, //
    },
    virtio::Virtqueue, //
};

/// All virtqueues of a device, with the interrupts that their policy needs.
pub(super) struct Queues {
    queues: KVec<Queue>,
    /// `None` if the device is detached.
    irqs: Option<KBox<IrqSetup>>,
}

/// A virtqueue, with its interrupt if it has one for itself.
pub(super) struct Queue {
    pub(super) irq: Option<Irq<Virtqueue>>,
    pub(super) virtqueue: Arc<Virtqueue>,
    pub(super) vector: u16,
}

impl Queues {
    /// `irqs` is `None` if the device is detached.
    pub(super) fn new(queues: KVec<Queue>, irqs: Option<KBox<IrqSetup>>) -> Self {
        Self { queues, irqs }
    }

    /// Waits until no handler runs any more.
    fn synchronize(&self) {
        if let Some(irqs) = &self.irqs {
            irqs.synchronize();
        }
        for irq in self.queues.iter().filter_map(|queue| queue.irq.as_ref()) {
            irq.synchronize();
        }
    }

    /// As [`Queues::synchronize`]; handlers find no virtqueue from here on.
    fn revoke(&mut self) {
        if let Some(irqs) = &mut self.irqs {
            irqs.revoke();
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
        let Some(irqs) = &self.irqs else {
            return writeln!(f, "none: detached");
        };
        irqs.show(f)?;
        if irqs.vectors().is_none() {
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

    pub(super) fn virtqueues(&self) -> impl Iterator<Item = &Arc<Virtqueue>> {
        self.queues.iter().map(|queue| &queue.virtqueue)
    }

    fn set_affinity(&mut self, index: usize, mask: Option<&Cpumask>) -> Result {
        let queue = self.queues.get_mut(index).ok_or(EINVAL)?;
        match (&mut queue.irq, &mut self.irqs) {
            (Some(irq), _) => irq.set_affinity(mask),
            (None, Some(irqs)) => irqs.set_affinity(mask),
            (None, None) => Ok(()),
        }
    }

    fn vector(&self, index: usize) -> Option<Vector> {
        let queue = self.queues.get(index)?;
        queue.irq.as_ref()?;
        Some(Vector {
            vectors: self.irqs.as_ref()?.vectors()?.clone(),
            number: queue.vector,
        })
    }

    /// Deletes the virtqueues with their own interrupts; returns the others, and the list, empty.
    pub(super) fn delete(mut self) -> (KVec<Queue>, Option<KBox<IrqSetup>>) {
        if let Some(callbacks) = self.irqs.as_mut().and_then(|irqs| irqs.callbacks()) {
            callbacks.clear();
        }
        self.queues.clear();
        (self.queues, self.irqs)
    }
}

/// The place for the virtqueues of a device.
#[pin_data]
pub(super) struct Vqs {
    #[pin]
    place: Mutex<Option<Queues>>,
    /// An empty list, which keeps its memory, for the virtqueues that are made next.
    #[pin]
    room: Mutex<KVec<Queue>>,
    /// The sizes in entries of the virtqueues that the virtio driver had when it was stopped.
    #[pin]
    sizes: Mutex<KVec<u16>>,
}

impl Vqs {
    /// Starts without virtqueues.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            place <- new_mutex!(None),
            room <- new_mutex!(KVec::new()),
            sizes <- new_mutex!(KVec::new()),
        })
    }

    /// Puts virtqueues in place. The virtio core has checked that there are none.
    pub(super) fn put(&self, queues: Queues) {
        *self.place.lock() = Some(queues);
    }

    /// Takes the virtqueues, if there are any.
    pub(super) fn take(&self) -> Option<Queues> {
        self.place.lock().take()
    }

    /// The empty list that [`Vqs::put_room`] has kept.
    pub(super) fn take_room(&self) -> KVec<Queue> {
        core::mem::take(&mut self.room.lock())
    }

    /// Keeps an empty list.
    pub(super) fn put_room(&self, room: KVec<Queue>) {
        *self.room.lock() = room;
    }

    /// Number of virtqueues that the driver has.
    pub(super) fn count(&self) -> usize {
        self.with(|queues| queues.queues.len()).unwrap_or(0)
    }

    /// Whether virtqueues whose name `wanted` accepts have buffers that the device has not used.
    pub(super) fn have_buffers(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.with(|queues| {
            queues.virtqueues().any(|virtqueue| {
                wanted(virtqueue.name()) && virtqueue.num_free() < virtqueue.num().into()
            })
        })
        .unwrap_or(false)
    }

    /// Makes room for the sizes of `count` virtqueues, so that [`Vqs::remember_sizes`] cannot fail.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn reserve_sizes(&self, count: usize) -> Result {
        // An allocation may call the balloon's driver, and that this transport.
        let mut sizes = core::mem::take(&mut *self.sizes.lock());
        let more = count.saturating_sub(sizes.len());
        let reserved = sizes.reserve(more, GFP_KERNEL);
        *self.sizes.lock() = sizes;
        Ok(reserved?)
    }

    /// Remembers the sizes of the virtqueues that the driver has.
    pub(super) fn remember_sizes(&self) {
        let mut sizes = core::mem::take(&mut *self.sizes.lock());
        sizes.clear();
        self.with(|queues| {
            for virtqueue in queues.virtqueues() {
                // There is room: `reserve_sizes` was successful before they were put in place.
                let _ = sizes.push_within_capacity(virtqueue.num());
            }
        });
        *self.sizes.lock() = sizes;
    }

    /// The size of virtqueue `index` that [`Vqs::remember_sizes`] has seen.
    pub(super) fn size(&self, index: usize) -> Option<u16> {
        self.sizes.lock().get(index).copied()
    }

    /// Number of virtqueues that [`Vqs::remember_sizes`] has seen.
    pub(super) fn sizes_count(&self) -> usize {
        self.sizes.lock().len()
    }

    /// Waits until no handler runs any more.
    pub(super) fn synchronize(&self) {
        self.with(Queues::synchronize);
    }

    /// As [`Vqs::synchronize`]; handlers find no virtqueue from here on.
    pub(super) fn revoke(&self) {
        if let Some(queues) = &mut *self.place.lock() {
            queues.revoke();
        }
    }

    /// Sets the affinity of the vector of virtqueue `index`, also if it is shared; INTx has none.
    pub(super) fn set_affinity(&self, index: usize, mask: Option<&Cpumask>) -> Result {
        match &mut *self.place.lock() {
            Some(queues) => queues.set_affinity(index, mask),
            None => Err(EINVAL),
        }
    }

    /// The vector that virtqueue `index` has for itself.
    pub(super) fn vector(&self, index: usize) -> Option<Vector> {
        self.with(|queues| queues.vector(index))?
    }

    /// Calls `f` with the virtqueues, if there are any.
    pub(super) fn with<R>(&self, f: impl FnOnce(&Queues) -> R) -> Option<R> {
        self.place.lock().as_ref().map(f)
    }
}
