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
        rcu,
        Arc, //
    },
    task::might_sleep,
    time::{
        delay::fsleep,
        msecs_to_jiffies,
        Delta,
        Jiffies, //
    },
    types::Opaque, //
};

use super::{
    transport::Ops,
    Device,
    Transport,
    Virtqueue, //
};
use crate::{
    abstractions::{
        compat,
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
/// `check` is initialised before the device is registered. It is disabled before the last reference
/// to the device is dropped.
#[repr(C)]
pub(super) struct Head {
    device: Opaque<bindings::virtio_device>,
    /// Calls [`Transport::check`].
    check: Opaque<kernel_bindings::delayed_work>,
    /// Whether checks are held back. One that begins looks at this after it has set `is_checking`;
    /// whoever holds them back looks at that after it has set this.
    is_held: AtomicFlag,
    /// Whether a check has begun.
    is_checking: AtomicFlag,
    /// [`NEW`], [`REGISTERED`] or [`UNREGISTERED`].
    state: Atomic<u32>,
}

/// Any processor may do the work.
const ANY_CPU: c_int = kernel_bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int; // CAST: It is small.

/// The device is being registered with the virtio core.
const NEW: u32 = 0;
/// The device is registered with the virtio core.
const REGISTERED: u32 = 1;
/// The device is being or was unregistered.
const UNREGISTERED: u32 = 2;

/// How long to wait until a dead device is registered, so that it can be unregistered, in ms.
const REGISTERING: u32 = 1000;

/// What [`Transport::check`] makes of a device.
pub(crate) enum Verdict {
    /// It is there; it is to be checked again after so many ms, if that.
    Alive(Option<NonZero<u32>>),
    /// Nobody is to wait for it.
    Dead,
}

/// How many virtio devices have a release callback in this module.
static UNRELEASED: Atomic<usize> = Atomic::new(0);

/// Keeps the module until the last virtio device is released, when it is dropped.
///
/// Others may hold references to a device after it was unregistered. Its release callback is code
/// of this module, which must not be unloaded before. The C driver does not wait.
pub(crate) struct Devices;

impl Devices {
    /// How long it takes until a wait is worth a message, in polls.
    const LONG: u32 = 100;

    /// How long to wait between two polls.
    const POLL: Delta = Delta::from_millis(10);
}

impl Drop for Devices {
    fn drop(&mut self) {
        let mut polls = 0;
        loop {
            // Everything that a release callback did is seen when it is not counted any more.
            let unreleased = UNRELEASED.load(Acquire);
            if unreleased == 0 {
                break;
            }
            if polls == Self::LONG {
                pr_warn!("waiting for {unreleased} virtio devices that are still referenced\n");
            }
            polls = polls.saturating_add(1);
            fsleep(Self::POLL);
        }
        // A release callback that is not counted any more has nothing left to do but to return.
        compat::synchronize_rcu();
    }
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
    pub(super) given: UnsafeCell<KVec<Arc<Virtqueue>>>,
}

impl Device {
    fn head(&self) -> *const Head {
        self.as_raw().cast_const().cast()
    }

    fn check_work(&self) -> *mut kernel_bindings::delayed_work {
        // SAFETY: By the type invariant, the device is the first field of a valid `Head`.
        Opaque::cast_into(unsafe { &raw const (*self.head()).check })
    }

    fn state(&self) -> &Atomic<u32> {
        // SAFETY: By the type invariant, the device is the first field of a valid `Head`, which is
        // not freed before the device is.
        unsafe { &(*self.head()).state }
    }

    fn is_held(&self) -> &AtomicFlag {
        // SAFETY: As above.
        unsafe { &(*self.head()).is_held }
    }

    fn is_checking(&self) -> &AtomicFlag {
        // SAFETY: As above.
        unsafe { &(*self.head()).is_checking }
    }

    /// Has [`Transport::check`] called soon, in process context.
    ///
    /// May be called in any context.
    pub(crate) fn check_soon(&self) {
        self.check_within(0);
    }

    /// Has [`Transport::check`] called after so many ms, or a little more, if it is not called sooner
    /// anyway.
    pub(crate) fn check_after(&self, millis: NonZero<u32>) {
        // SAFETY: The work is initialised before the device is registered, and cannot be queued any
        // more when it is freed. The C side sets the workqueue up at boot and never changes it. Both
        // functions may be called in any context.
        unsafe {
            let delay = kernel_bindings::round_jiffies_relative(msecs_to_jiffies(millis.get()));
            kernel_bindings::queue_delayed_work_on(
                ANY_CPU,
                kernel_bindings::system_freezable_power_efficient_wq,
                self.check_work(),
                delay,
            )
        };
    }

    fn check_within(&self, jiffies: Jiffies) {
        // SAFETY: As above.
        unsafe {
            kernel_bindings::mod_delayed_work_on(
                ANY_CPU,
                kernel_bindings::system_freezable_power_efficient_wq,
                self.check_work(),
                jiffies,
            )
        };
    }

    /// Holds checks back, and waits for one that runs: a virtio driver is about to be frozen, and
    /// must not be removed until it is restored. May sleep, but does not wait if they are held already.
    ///
    /// The check may take the lock of [`Device::with_driver_held`].
    pub(crate) fn hold_checks(&self) {
        might_sleep();
        if !self.is_held().xchg(true, Full) && self.is_checking().load(Acquire) {
            // SAFETY: The work is initialised.
            unsafe { kernel_bindings::cancel_delayed_work_sync(self.check_work()) };
        }
    }

    /// Whether checks that are asked for are forgotten.
    pub(crate) fn holds_checks(&self) -> bool {
        self.is_held().load(Relaxed)
    }

    /// Undoes [`Device::hold_checks`], if that was done. Checks that were begun meanwhile are forgotten:
    /// whoever calls this looks afterwards whether there is a reason for one.
    pub(crate) fn release_checks(&self) {
        // Full: a check that still sees this held was asked for before, which the caller sees.
        self.is_held().xchg(false, Full);
    }

    /// Removes the device from the virtio core, if it is registered.
    fn unregister(&self) {
        if self.state().cmpxchg(REGISTERED, UNREGISTERED, Full).is_ok() {
            // SAFETY: The device is registered.
            unsafe { bindings::unregister_virtio_device(self.as_raw()) };
        }
    }

    /// Has no more checks begun, and waits for one that runs.
    fn end_checks(&self) {
        // SAFETY: The work is initialised. This is never undone.
        unsafe { kernel_bindings::disable_delayed_work_sync(self.check_work()) };
    }
}

/// Checks a device, and unregisters it if nobody is there.
///
/// # Safety
///
/// Only for use as the function of [`Head::check`] in an [`Allocation<T>`].
unsafe extern "C" fn check_callback<T: Transport>(work: *mut kernel_bindings::work_struct) {
    // SAFETY: By the safety requirements, `work` is embedded in the `Head` of a registered device
    // of `T`, whose registration waits for this before it is dropped.
    let (transport, device) = unsafe {
        let check = container_of!(work, kernel_bindings::delayed_work, work);
        let head = container_of!(Opaque::cast_from(check), Head, check).cast_mut();
        let allocation = head.cast::<Allocation<T>>();
        (
            &*(*allocation).transport,
            Device::from_raw(Opaque::cast_into(&raw const (*head).device)),
        )
    };
    device.is_checking().xchg(true, Full);
    if !device.holds_checks() {
        check(transport, device);
    }
    device.is_checking().store(false, Release);
}

fn check<T: Transport>(transport: &T, device: &Device) {
    match transport.check() {
        Verdict::Alive(Some(millis)) => device.check_after(millis),
        Verdict::Alive(None) => {}
        Verdict::Dead => {
            // Whoever waits for the device ends, also the one who holds it while it is probed.
            device.break_virtqueues();
            // Whoever has seen a virtqueue that was not broken yet, with interrupts disabled as
            // drivers do, has added its buffer by then.
            compat::synchronize_rcu();
            if transport.driver_stays(device) {
                return;
            }
            device.unregister();
            if device.state().load(Relaxed) == NEW {
                device.check_within(msecs_to_jiffies(REGISTERING));
            }
        }
    }
}

/// A virtio device that is registered with the virtio core.
///
/// # Invariants
///
/// The device has `transport` as its transport for as long as it is registered.
pub(crate) struct Registration<T: Transport> {
    device: ARef<Device>,
    transport: Arc<T>,
}

impl<T: Transport> Registration<T> {
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
                    check: Opaque::uninit(),
                    is_held: AtomicFlag::new(false),
                    is_checking: AtomicFlag::new(false),
                    state: Atomic::new(NEW),
                },
                transport: Arc::as_ptr(&transport),
                given: UnsafeCell::new(KVec::new()),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The device is zeroed, which is valid, and nobody else knows it.
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
            let check = (*allocation).head.check.get();
            kernel_bindings::init_work_with_key(
                &raw mut (*check).work,
                Some(check_callback::<T>),
                false,
                c"virtio_check".as_char_ptr(),
                static_lock_class!().as_ptr(),
            );
            kernel_bindings::timer_init_key(
                &raw mut (*check).timer,
                Some(kernel_bindings::delayed_work_timer_fn),
                kernel_bindings::TIMER_IRQSAFE,
                c"virtio_check_timer".as_char_ptr(),
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
            // The virtio core has asked for the status, and that may have asked for a check.
            device.end_checks();
            // `device` drops that reference, as the virtio core wants it.
            return Err(error);
        }

        // `unregister_virtio_device` drops the reference that the device was registered with.
        let _ = ARef::into_raw(device.clone());
        device.state().store(REGISTERED, Release);

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
    /// Checks go on meanwhile: the driver may wait for a device that is gone.
    pub(crate) fn unregister(&self) {
        self.device.unregister();
        self.device.end_checks();
    }

    /// # Safety
    ///
    /// Only for use as the release callback of a device that [`Self::new`] has made.
    unsafe extern "C" fn release_callback(dev: *mut kernel_bindings::device) {
        // SAFETY: By the safety requirements, `dev` is embedded in the first field of an
        // allocation that came from a box, and nobody uses it any more.
        unsafe {
            let vdev = container_of!(dev, bindings::virtio_device, dev);
            drop(KBox::from_raw(vdev.cast::<Allocation<T>>()));
        }
        // `Devices` waits until this guard is dropped, after which the callback only returns.
        let _guard = rcu::read_lock();
        UNRELEASED.fetch_sub(1, Release);
    }
}

impl<T: Transport> Drop for Registration<T> {
    fn drop(&mut self) {
        self.unregister();
    }
}
