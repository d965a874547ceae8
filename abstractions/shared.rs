// SPDX-License-Identifier: GPL-2.0

//! Data that the owner of an interrupt publishes to its handler, which takes no lock.
//!
//! Upstream: `rust/kernel/irq/shared.rs`, where `irq::Registration` would wait for its handlers.
//!
//! The owner revokes the data before it changes them: it clears a flag, and waits for handlers that
//! may have seen it set (`synchronize_irq()`). A handler that begins later takes the lock of the
//! interrupt descriptor after that wait did, and so sees the flag cleared. Interrupts that
//! `handle_percpu_irq()` handles take no such lock; no PCI device has one on x86-64 or arm64.
//!
//! The host tests check this file with loom.

use super::sync::{
    Acquire,
    AtomicFlag,
    Relaxed,
    Release,
    UnsafeCell, //
};

/// Data that are either the owner's or the handler's.
///
/// # Invariants
///
/// The data are changed only while `published` is false and no handler uses them that has seen it
/// true.
pub(crate) struct Shared<T> {
    published: AtomicFlag,
    data: UnsafeCell<T>,
}

// SAFETY: By the type invariant, the data are either changed by one owner or read by handlers, on
// any processor.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Starts with data that are not published.
    pub(crate) fn new(data: T) -> Self {
        // INVARIANT: The data are not published, and nothing else has them.
        Self {
            published: AtomicFlag::new(false),
            data: UnsafeCell::new(data),
        }
    }

    /// The data, if they are published.
    ///
    /// # Safety
    ///
    /// Only for handlers that [`Shared::revoke`] waits for; the result must not be used when the
    /// handler has returned.
    #[inline]
    pub(crate) unsafe fn published(&self) -> Option<&T> {
        self.published.load(Acquire).then(|| {
            // SAFETY: By the type invariant, the data do not change before this handler has
            // returned.
            unsafe { &*self.data.get() }
        })
    }

    /// Publishes the data.
    pub(crate) fn publish(&self) {
        // INVARIANT: What was changed before is seen by handlers that see this.
        self.published.store(true, Release);
    }

    /// Ends what [`Shared::publish`] began. `wait` waits until no handler runs that has begun
    /// before.
    pub(crate) fn revoke(&self, wait: impl FnOnce()) {
        self.published.store(false, Relaxed);
        wait();
    }

    /// Whether the data are published.
    pub(crate) fn is_published(&self) -> bool {
        self.published.load(Relaxed)
    }

    /// The address of the data, which may be changed while they are not published, and neither a
    /// handler nor anything else uses them.
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.data.get()
    }
}
