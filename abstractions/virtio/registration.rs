// SPDX-License-Identifier: GPL-2.0

//! Ownership of virtio devices and their registration with the virtio core.

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
            AtomicFlag,
            Full,
            Relaxed,
            Release, //
        },
        Arc, //
    },
    time::{
        msecs_to_jiffies,
        Jiffies, //
    },
    types::Opaque, //
};

use super::{
    config_ops::Ops,
    ConfigOps,
    Device,
    Virtqueue, //
};
use crate::{
    abstractions::pci,
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
    /// Calls [`ConfigOps::work`].
    work: Opaque<kernel_bindings::delayed_work>,
    /// Whether the device is registered with the virtio core.
    is_registered: AtomicFlag,
}

/// Any processor may do the work.
///
/// CAST: It is small.
const ANY_CPU: c_int = kernel_bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int;

/// How many virtio devices have a release callback in this module.
static UNRELEASED: Atomic<usize> = Atomic::new(0);

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
/// on kernels with preemption.
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
    fn head(&self) -> *const Head {
        self.as_raw().cast_const().cast()
    }

    fn work(&self) -> *mut kernel_bindings::delayed_work {
        // SAFETY: By the type invariant, the device is the first field of a valid `Head`.
        Opaque::cast_into(unsafe { &raw const (*self.head()).work })
    }

    fn registered_flag(&self) -> &AtomicFlag {
        // SAFETY: By the type invariant, the device is the first field of a valid `Head`, which is
        // not freed before the device is.
        unsafe { &(*self.head()).is_registered }
    }

    /// Has [`ConfigOps::work`] called soon, in process context.
    ///
    /// May be called in any context.
    pub(crate) fn schedule_work(&self) {
        let now: Jiffies = 0;
        // SAFETY: The work is initialised before the device is registered, and cannot be queued any
        // more when it is freed. The C side sets the workqueue up at boot and never changes it. The
        // function may be called in any context.
        unsafe {
            kernel_bindings::mod_delayed_work_on(
                ANY_CPU,
                kernel_bindings::system_dfl_wq,
                self.work(),
                now,
            )
        };
    }

    /// Has [`ConfigOps::work`] called after `millis` ms, or a little more, if it is not called
    /// sooner anyway.
    ///
    /// May be called in any context.
    pub(crate) fn schedule_work_after(&self, millis: NonZero<u32>) {
        let delay = msecs_to_jiffies(millis.get());
        // SAFETY: As above. Both functions may be called in any context.
        unsafe {
            let delay = if millis.get() < ROUNDED_MS {
                delay
            } else {
                kernel_bindings::round_jiffies_relative(delay)
            };
            kernel_bindings::queue_delayed_work_on(
                ANY_CPU,
                kernel_bindings::system_dfl_wq,
                self.work(),
                delay,
            )
        };
    }

    /// Whether the device is registered with the virtio core, all of it: a virtio driver that is
    /// probed when the device is registered has been probed.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered_flag().load(Acquire)
    }

    /// Has a virtio driver probed if there is one and none is bound. May sleep.
    pub(crate) fn attach_driver(&self) {
        // SAFETY: The device was registered. The function takes the lock of the device.
        let attached = unsafe { kernel_bindings::device_attach(self.as_raw_dev()) };
        // An error is that of the driver, which has reported it.
        let _ = to_result(attached);
    }

    /// Removes the device from the virtio core, and with it from its driver, if it is registered.
    ///
    /// May wait for the virtio driver.
    pub(crate) fn unregister(&self) {
        if self.registered_flag().xchg(false, Full) {
            // SAFETY: The device is registered, and by the flag nothing else unregisters it.
            unsafe { bindings::unregister_virtio_device(self.as_raw()) };
        }
    }

    /// Has the work not begun again, and waits for one that runs.
    fn end_work(&self) {
        // SAFETY: The work is initialised. This is never undone.
        unsafe { kernel_bindings::disable_delayed_work_sync(self.work()) };
    }
}

/// Calls [`ConfigOps::work`].
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

        // The release callback takes it back.
        let allocation = KBox::into_raw(allocation);
        UNRELEASED.fetch_add(1, Relaxed);
        // SAFETY: The allocation is valid and pinned, being on the heap until it is released.
        let vdev = unsafe { (*allocation).head.device.get() };

        // SAFETY: The work is valid, and only ever queued as a work.
        unsafe {
            let work = (*allocation).head.work.get();
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
        // is kept until after the device is unregistered.
        let registered = to_result(unsafe { bindings::register_virtio_device(vdev) });

        // SAFETY: `register_virtio_device` has initialised the device, also when it fails, with a
        // reference that is now ours.
        // CAST: `Device` is a transparent wrapper of `struct virtio_device`.
        let device = unsafe { ARef::from_raw(NonNull::new_unchecked(vdev).cast::<Device>()) };

        if let Err(error) = registered {
            // The virtio core has had the device reset, which may have asked for the work.
            device.end_work();
            // `device` drops that reference, as the virtio core wants it.
            return Err(error);
        }

        // `unregister_virtio_device` drops the reference that the device was registered with.
        let _ = ARef::into_raw(device.clone());
        device.registered_flag().store(true, Release);

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

    /// Removes the device from the virtio core, and with it from its driver.
    ///
    /// The work goes on until that is done: the driver may wait for a device that is gone.
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
        UNRELEASED.fetch_sub(1, Release);
    }
}

impl<T: ConfigOps> Drop for Registration<T> {
    fn drop(&mut self) {
        self.unregister();
    }
}
