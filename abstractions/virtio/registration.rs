// SPDX-License-Identifier: GPL-2.0

//! Ownership of virtio devices and their registration with the virtio core.
//!
//! Upstream: `rust/kernel/virtio/registration.rs`. The work would be a `DelayedWork`, which has
//! neither `mod_delayed_work()` nor `disable_delayed_work_sync()` yet.

use core::{
    cell::UnsafeCell,
    num::NonZero,
    ptr::NonNull, //
};

use kernel::{
    bindings as kernel_bindings,
    container_of,
    error::to_result,
    prelude::*,
    static_lock_class,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc, //
    },
    time::msecs_to_jiffies,
    types::Opaque, //
};

use super::{
    config_ops::Ops,
    ConfigOps,
    Device,
    Virtqueue, //
};
use crate::{
    abstractions::{
        compat::AtomicFlag,
        pci, //
    },
    bindings, //
};

/// By what the virtio core finds the driver of a device.
pub(crate) struct Id {
    /// The virtio device type.
    pub(crate) device: u32,
    /// The vendor of the device.
    pub(crate) vendor: u32,
}

/// What any device of this module begins with, whatever its transport is.
///
/// `work` is initialised before the device is registered. It is disabled before the last reference
/// to the device is dropped.
#[repr(C)]
pub(super) struct Head {
    device: Opaque<bindings::virtio_device>,
    /// Calls [`super::Transport::work`].
    work: Opaque<kernel_bindings::delayed_work>,
    /// Whether the device is registered with the virtio core.
    is_registered: AtomicFlag,
    /// Number of probes of virtio drivers that the virtio core has begun, modulo 2^32.
    probes: Atomic<u32>,
    /// Whether the virtio driver is frozen or prepared for a reset.
    is_frozen: AtomicFlag,
}

/// Any processor may do the work.
///
/// CAST: It is small.
const ANY_CPU: c_int = kernel_bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int;

/// How many virtio devices have a release callback in this module.
static UNRELEASED: Atomic<isize> = Atomic::new(0);

/// Keeps the module until the last virtio device is released, when it is dropped.
///
/// Others may hold references to a device after it was unregistered. Its release callback is code
/// of this module, which must not be unloaded before. The C driver does not wait.
pub(crate) struct Devices;

/// From which delay on a work may be as much as a second late or early, so that timers of several
/// devices expire at once, in ms.
const ROUNDED_MS: u32 = 5000;

/// For how long a wait goes on without a message, in ms.
const QUIET_MS: u32 = 1000;

/// How long to wait between two polls, in ms.
const POLL_MS: u32 = 10;

impl Drop for Devices {
    fn drop(&mut self) {
        let mut waited = 0u32;
        loop {
            // Everything that a release callback did is seen when it is not counted any more.
            let unreleased = UNRELEASED.load(Acquire);
            if unreleased == 0 {
                break;
            }
            if waited == QUIET_MS {
                pr_warn!(
                    "rmmod waits: {unreleased} virtio devices are in use; close their files\n"
                );
            }
            waited = waited.saturating_add(POLL_MS);
            // SAFETY: May be called in process context. Unlike `fsleep()`, it does not count as a
            // task that hangs.
            unsafe { kernel_bindings::schedule_timeout_idle(idle_jiffies(POLL_MS)) };
        }
        await_returns();
    }
}

/// CAST: A poll has few jiffies.
fn idle_jiffies(millis: u32) -> c_long {
    msecs_to_jiffies(millis) as c_long
}

/// Waits until release callbacks have returned that are not counted any more.
///
/// A task may be preempted between the count and the return, so an RCU grace period is not enough
/// on kernels with preemption. Of these, one without CONFIG_TASKS_RCU has no way to wait for that:
/// docs/known-issues.md.
fn await_returns() {
    #[cfg(CONFIG_TASKS_RCU)]
    // SAFETY: May be called in process context.
    unsafe {
        bindings::synchronize_rcu_tasks();
    }
    #[cfg(not(CONFIG_TASKS_RCU))]
    crate::abstractions::compat::synchronize_rcu();
}

/// A virtio device and the way to its transport.
///
/// It is freed by its release callback, when the last reference to the device is gone.
#[repr(C)]
pub(super) struct Allocation<T> {
    head: Head,
    /// Valid while the device is registered.
    pub(super) transport: *const T,
    /// The virtqueues that the virtio driver has, from `find_vqs` to `del_vqs`. The virtio core
    /// and drivers do not call these two at the same time.
    pub(super) vqs: UnsafeCell<KVec<Arc<Virtqueue>>>,
}

impl Device {
    fn head(&self) -> &Head {
        // SAFETY: By the type invariant, the device is the first field of a valid `Head`, which is
        // not freed before the device is.
        unsafe { &*self.as_raw().cast_const().cast() }
    }

    /// Queues [`Transport::work`] now, for process context. C: `mod_delayed_work()`.
    ///
    /// May be called in any context.
    ///
    /// [`Transport::work`]: super::Transport::work
    pub(crate) fn schedule_work(&self) {
        let work = self.head().work.get();
        // SAFETY: The work is initialised before the device is registered, and cannot be queued any
        // more when it is freed. The workqueue is set up at boot and never changes. The function
        // may be called in any context.
        unsafe {
            kernel_bindings::mod_delayed_work_on(ANY_CPU, kernel_bindings::system_dfl_wq, work, 0)
        };
    }

    /// Queues [`Transport::work`] in `millis` ms, or a little more, unless it is queued already. C:
    /// `queue_delayed_work()`.
    ///
    /// May be called in any context.
    ///
    /// [`Transport::work`]: super::Transport::work
    pub(crate) fn schedule_work_after(&self, millis: NonZero<u32>) {
        let mut delay = msecs_to_jiffies(millis.get());
        let work = self.head().work.get();
        // SAFETY: As for [`Device::schedule_work`].
        unsafe {
            if millis.get() >= ROUNDED_MS {
                delay = kernel_bindings::round_jiffies_relative(delay);
            }
            let workqueue = kernel_bindings::system_dfl_wq;
            kernel_bindings::queue_delayed_work_on(ANY_CPU, workqueue, work, delay)
        };
    }

    /// Whether the device is registered with the virtio core, all of it: a virtio driver that is
    /// probed when the device is registered has been probed.
    pub(crate) fn is_registered(&self) -> bool {
        self.head().is_registered.load(Acquire)
    }

    /// Number of probes of virtio drivers, by which one that was bound again is told from one
    /// that stayed.
    pub(super) fn probes(&self) -> u32 {
        self.head().probes.load(Relaxed)
    }

    /// A virtio driver is being probed.
    pub(super) fn note_probe(&self) {
        self.head().probes.fetch_add(1, Relaxed);
        self.set_frozen(false);
    }

    /// Whether the virtio driver is frozen or prepared for a reset.
    pub(super) fn is_frozen(&self) -> bool {
        self.head().is_frozen.load(Relaxed)
    }

    pub(super) fn set_frozen(&self, frozen: bool) {
        self.head().is_frozen.store(frozen, Relaxed);
    }

    /// Probes a virtio driver if there is one and none is bound. May sleep.
    pub(crate) fn attach_driver(&self) {
        // SAFETY: The device was registered. The function takes the device lock.
        let attached = unsafe { kernel_bindings::device_attach(self.as_raw_dev()) };
        // An error is that of the driver, which has reported it.
        let _ = to_result(attached);
    }

    /// Removes the device from the virtio core, and with it from its driver, if it is registered.
    ///
    /// May wait for the virtio driver.
    pub(crate) fn unregister(&self) {
        if self.head().is_registered.xchg(false, Full) {
            // SAFETY: By the flag, the device is registered, and nothing else unregisters it.
            unsafe { bindings::unregister_virtio_device(self.as_raw()) };
        }
    }

    /// Disables the work, and waits for it if it is running.
    fn end_work(&self) {
        // SAFETY: The work is initialised. This is never undone.
        unsafe { kernel_bindings::disable_delayed_work_sync(self.head().work.get()) };
    }
}

/// Calls [`super::Transport::work`].
///
/// # Safety
///
/// Only for use as the function of [`Head::work`] in an [`Allocation<T>`].
unsafe extern "C" fn work_callback<T: ConfigOps>(work: *mut kernel_bindings::work_struct) {
    // SAFETY: By the safety requirements, `work` is embedded in the `Head` of a registered device
    // of `T`, whose registration waits for this before it is dropped.
    let (transport, device) = unsafe {
        let work = container_of!(work, kernel_bindings::delayed_work, work);
        let head = container_of!(Opaque::cast_from(work), Head, work).cast_mut();
        let allocation = head.cast::<Allocation<T>>();
        (
            &*(*allocation).transport,
            Device::from_raw(Opaque::cast_into(&raw const (*head).device)),
        )
    };
    if let Some(millis) = transport.work(device) {
        device.schedule_work_after(millis);
    }
}

/// A virtio device that is registered with the virtio core.
///
/// # Invariants
///
/// The device has `transport` as its transport for as long as it is registered.
pub(crate) struct Registration<T: ConfigOps> {
    device: ARef<Device>,
    transport: Arc<T>,
}

impl<T: ConfigOps> Registration<T> {
    /// Registers a new device below `parent`, whose driver is probed if there is one.
    ///
    /// # Errors
    ///
    /// That of the virtio core. That the driver fails to probe is not an error.
    pub(crate) fn new(parent: &pci::Device, id: Id, transport: Arc<T>) -> Result<Self> {
        let allocation = KBox::new(
            Allocation {
                head: Head {
                    device: Opaque::zeroed(),
                    work: Opaque::uninit(),
                    is_registered: AtomicFlag::new(false),
                    probes: Atomic::new(0),
                    is_frozen: AtomicFlag::new(false),
                },
                transport: Arc::as_ptr(&transport),
                vqs: UnsafeCell::new(KVec::new()),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The device is zeroed, which is valid, and nothing else knows it.
        let device = unsafe { &mut *allocation.head.device.get() };
        device.dev.parent = parent.as_raw_dev();
        device.dev.release = Some(Self::release_callback);
        device.id.device = id.device;
        device.id.vendor = id.vendor;
        device.config = &Ops::<T>::VTABLE;

        // The release callback takes it back; it is pinned, being on the heap until then.
        let allocation = KBox::leak(allocation);
        UNRELEASED.fetch_add(1, Relaxed);
        let (vdev, work) = (allocation.head.device.get(), allocation.head.work.get());

        // SAFETY: The work is valid, and only ever queued as a work.
        unsafe {
            kernel_bindings::init_work_with_key(
                &raw mut (*work).work,
                Some(work_callback::<T>),
                false,
                c"virtio_work".as_char_ptr(),
                static_lock_class!().as_ptr(),
            );
            kernel_bindings::timer_init_key(
                &raw mut (*work).timer,
                Some(kernel_bindings::delayed_work_timer_fn),
                kernel_bindings::TIMER_IRQSAFE,
                c"virtio_work_timer".as_char_ptr(),
                static_lock_class!().as_ptr(),
            );
        }

        // SAFETY: The device is zeroed but for what the virtio core wants to be set. `transport`
        // is kept until after the device is unregistered. The function initialises the device, also
        // when it fails, with a reference that is ours then.
        // CAST: `Device` is a transparent wrapper of `struct virtio_device`.
        let (registered, device): (_, ARef<Device>) = unsafe {
            let registered = bindings::register_virtio_device(vdev);
            (
                to_result(registered),
                ARef::from_raw(NonNull::new_unchecked(vdev).cast()),
            )
        };

        if let Err(error) = registered {
            // The virtio core has had the device reset, which may have asked for the work.
            device.end_work();
            // `device` drops that reference, as the virtio core wants it.
            return Err(error);
        }

        // `unregister_virtio_device` drops the reference that the device was registered with.
        let _ = ARef::into_raw(device.clone());
        device.head().is_registered.store(true, Release);

        // INVARIANT: See above.
        Ok(Self { device, transport })
    }

    /// The device.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Its transport.
    pub(crate) fn transport(&self) -> &Arc<T> {
        &self.transport
    }

    /// Removes the device from the virtio core, and with it from its driver. The work may be begun
    /// until that is done.
    pub(crate) fn unregister(&self) {
        self.device.unregister();
        self.device.end_work();
    }

    /// # Safety
    ///
    /// Only for use as the release callback of a device that [`Self::new`] has made.
    unsafe extern "C" fn release_callback(dev: *mut kernel_bindings::device) {
        // SAFETY: By the safety requirements, `dev` is embedded in the first field of an
        // allocation that came from a box, and nothing uses it any more.
        unsafe {
            let vdev = container_of!(dev, bindings::virtio_device, dev);
            drop(KBox::from_raw(vdev.cast::<Allocation<T>>()));
        }
        UNRELEASED.fetch_add(-1, Release);
    }
}

impl<T: ConfigOps> Drop for Registration<T> {
    fn drop(&mut self) {
        self.unregister();
    }
}
