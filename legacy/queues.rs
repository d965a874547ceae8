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
    irqs::{
        show_vector,
        IrqSetup, //
    }, //
};
use crate::abstractions::{
    irq::{
        Irq,
        Vector,
        Vectors, //
    },
    virtio::Virtqueue, //
};

/// All virtqueues of a device, with the interrupts that their policy needs.
///
/// Fields are dropped in order: handlers of virtqueues that share an interrupt hold them as well.
#[derive(Default)]
pub(super) struct Queues {
    /// Keeps its memory when it is empty.
    list: KVec<Queue>,
    /// `None` if the device is detached, or there are no virtqueues.
    irqs: Option<KBox<IrqSetup>>,
    /// The sizes in entries of the virtqueues that were put in place last.
    sizes: KVec<u16>,
    /// The number of virtqueues that the virtio driver had when it was stopped.
    before: usize,
}

/// A virtqueue, with its interrupt if it has one for itself.
pub(super) struct Queue {
    pub(super) irq: Option<Irq<Arc<Virtqueue>>>,
    pub(super) virtqueue: Arc<Virtqueue>,
    pub(super) vector: u16,
}

impl Queues {
    /// Starts with `irqs` and room for `count` virtqueues.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `irqs` is kept, for [`Queues::delete`].
    pub(super) fn prepare(&mut self, irqs: KBox<IrqSetup>, count: usize) -> Result {
        self.irqs = Some(irqs);
        self.list.reserve(count, GFP_KERNEL)?;
        Ok(())
    }

    /// Remembers the sizes of the virtqueues.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn note_sizes(&mut self) -> Result {
        self.sizes.clear();
        for queue in &self.list {
            self.sizes.push(queue.virtqueue.num(), GFP_KERNEL)?;
        }
        Ok(())
    }

    /// The size of the last virtqueue `index` that [`Queues::note_sizes`] has seen.
    pub(super) fn size(&self, index: u16) -> Option<u16> {
        self.sizes.get(usize::from(index)).copied()
    }

    /// Waits for running handlers.
    fn synchronize(&self) {
        if let Some(irqs) = &self.irqs {
            irqs.synchronize();
        }
        for irq in self.list.iter().filter_map(|queue| queue.irq.as_ref()) {
            irq.synchronize();
        }
    }

    /// As [`Queues::synchronize`]; handlers find no virtqueue from now on.
    fn revoke(&mut self) {
        if let Some(irqs) = &mut self.irqs {
            irqs.revoke();
        }
        for irq in self.list.iter().filter_map(|queue| queue.irq.as_ref()) {
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
            return f.write_str("none: detached\n");
        };
        irqs.show(f)?;
        if irqs.vectors().is_none() {
            return Ok(());
        }
        for queue in &self.list {
            write!(f, "virtqueue {}: ", queue.virtqueue.index())?;
            match (&queue.irq, queue.vector) {
                (_, NO_VECTOR) => writeln!(f, "none")?,
                (None, vector) => writeln!(f, "vector {vector}")?,
                (Some(irq), vector) => show_vector(f, vector, irq.number())?,
            }
        }
        Ok(())
    }

    /// Adds a virtqueue; one with a callback to those that share an interrupt, if they do.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn add(&mut self, queue: Queue, has_callback: bool) -> Result {
        let callbacks = self.irqs.as_mut().and_then(|irqs| irqs.callbacks());
        if let Some(callbacks) = callbacks.filter(|_| has_callback) {
            callbacks.add(queue.virtqueue.clone())?;
        }
        self.list.push(queue, GFP_KERNEL)?;
        Ok(())
    }

    /// The vectors, if there are any.
    pub(super) fn vectors(&self) -> Option<&Arc<Vectors>> {
        self.irqs.as_ref()?.vectors()
    }

    /// Shows the virtqueues that share the IRQ to its handler.
    pub(super) fn publish(&mut self) {
        if let Some(irqs) = &mut self.irqs {
            irqs.publish();
        }
    }

    /// Number of virtqueues.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// The virtqueues, in the order of their index.
    pub(super) fn virtqueues(&self) -> impl Iterator<Item = &Arc<Virtqueue>> {
        self.list.iter().map(|queue| &queue.virtqueue)
    }

    fn set_affinity(&mut self, index: usize, mask: Option<&Cpumask>) -> Result {
        let queue = self.list.get_mut(index).ok_or(EINVAL)?;
        match (&mut queue.irq, &mut self.irqs) {
            (Some(irq), _) => irq.set_affinity(mask),
            (None, Some(irqs)) => irqs.set_affinity(mask),
            (None, None) => Ok(()),
        }
    }

    fn vector(&self, index: usize) -> Option<Vector> {
        let queue = self.list.get(index)?;
        queue.irq.as_ref()?;
        Some(Vector::new(self.vectors()?, queue.vector))
    }

    /// Deletes the virtqueues with their own interrupts; returns the others.
    pub(super) fn delete(&mut self) -> Option<KBox<IrqSetup>> {
        let mut irqs = self.irqs.take();
        if let Some(callbacks) = irqs.as_mut().and_then(|irqs| irqs.callbacks()) {
            callbacks.clear();
        }
        self.list.clear();
        irqs
    }
}

/// The place for the virtqueues of a device.
#[pin_data]
pub(super) struct Vqs {
    #[pin]
    place: Mutex<Queues>,
}

impl Vqs {
    /// Starts without virtqueues.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            place <- new_mutex!(Queues::default()),
        })
    }

    /// Puts virtqueues in place, after [`Vqs::take`].
    pub(super) fn put(&self, queues: Queues) {
        *self.place.lock() = queues;
    }

    /// Takes the virtqueues, if there are any, with what is known of the ones before.
    pub(super) fn take(&self) -> Queues {
        core::mem::take(&mut self.place.lock())
    }

    /// Number of virtqueues that the driver has.
    pub(super) fn count(&self) -> usize {
        self.place.lock().count()
    }

    /// Whether virtqueues whose name `wanted` accepts have buffers that the device has not used.
    pub(super) fn have_buffers(&self, wanted: fn(&str) -> bool) -> bool {
        self.place.lock().virtqueues().any(|virtqueue| {
            wanted(virtqueue.name()) && virtqueue.num_free() < virtqueue.num().into()
        })
    }

    /// Records how many virtqueues the virtio driver has, which is about to be stopped.
    pub(super) fn note_stop(&self) {
        let mut queues = self.place.lock();
        queues.before = queues.count();
    }

    /// Number of virtqueues that the virtio driver had at [`Vqs::note_stop`].
    pub(super) fn count_before(&self) -> usize {
        self.place.lock().before
    }

    /// Waits for running handlers.
    pub(super) fn synchronize(&self) {
        self.place.lock().synchronize();
    }

    /// As [`Vqs::synchronize`]; handlers find no virtqueue from now on.
    pub(super) fn revoke(&self) {
        self.place.lock().revoke();
    }

    /// Sets the affinity of the vector of virtqueue `index`, also if it is shared; INTx has none.
    pub(super) fn set_affinity(&self, index: usize, mask: Option<&Cpumask>) -> Result {
        self.place.lock().set_affinity(index, mask)
    }

    /// The vector that virtqueue `index` has for itself.
    pub(super) fn vector(&self, index: usize) -> Option<Vector> {
        self.place.lock().vector(index)
    }

    /// Calls `f` with the virtqueues.
    pub(super) fn with<R>(&self, f: impl FnOnce(&Queues) -> R) -> R {
        f(&self.place.lock())
    }
}
