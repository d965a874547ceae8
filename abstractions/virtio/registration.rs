// SPDX-License-Identifier: GPL-2.0

//! Ownership of virtio devices and their registration with the virtio core.

use core::{
    cell::UnsafeCell,
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
            AtomicFlag,
            Full, //
        },
        Arc, //
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

/// A virtio device and the way to its transport.
///
/// It is freed by its release callback, when the last reference to the device is gone.
#[repr(C)]
pub(super) struct Allocation<T> {
    device: bindings::virtio_device,
    /// Valid while the device is registered.
    pub(super) transport: *const T,
    /// The virtqueues that the virtio driver has, from `find_vqs` to `del_vqs`. The virtio core
    /// and drivers do not call these two at the same time.
    pub(super) given: UnsafeCell<KVec<Arc<Virtqueue>>>,
}

/// A virtio device that is registered with the virtio core.
///
/// # Invariants
///
/// The device has `transport` as its transport for as long as it is registered.
pub(crate) struct Registration<T: Transport> {
    registered: KBox<Registered>,
    transport: Arc<T>,
}

/// What it takes to unregister a virtio device, now or later.
///
/// # Invariants
///
/// It does not move, `work` is initialised with [`unregister_callback`], and while `is_registered`
/// the device is registered.
#[repr(C)]
struct Registered {
    work: Opaque<kernel_bindings::work_struct>,
    device: ARef<Device>,
    is_registered: AtomicFlag,
}

// SAFETY: The workqueue may be given work and work may be cancelled by any thread.
unsafe impl Send for Registered {}

// SAFETY: As above; the other fields may be shared.
unsafe impl Sync for Registered {}

impl Registered {
    fn new(device: ARef<Device>) -> Result<KBox<Self>> {
        let registered = KBox::new(
            Self {
                work: Opaque::uninit(),
                device,
                is_registered: AtomicFlag::new(true),
            },
            GFP_KERNEL,
        );
        // SAFETY: The work is on the heap, from where it is not moved, and nobody else knows it.
        registered
            .inspect(|registered| unsafe {
                kernel_bindings::init_work_with_key(
                    registered.work.get(),
                    Some(unregister_callback),
                    false,
                    c"virtio_unregister".as_char_ptr(),
                    static_lock_class!().as_ptr(),
                )
            })
            .map_err(Into::into)
    }

    fn unregister(&self) {
        if self.is_registered.xchg(false, Full) {
            // SAFETY: By the type invariant, the device is registered.
            unsafe { bindings::unregister_virtio_device(self.device.as_raw()) };
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the work is initialised. When this returns, it is not
        // pending and does not run.
        unsafe { kernel_bindings::cancel_work_sync(self.work.get()) };
        self.unregister();
    }
}

/// # Safety
///
/// Only for use as the function of [`Registered::work`].
unsafe extern "C" fn unregister_callback(work: *mut kernel_bindings::work_struct) {
    // SAFETY: By the safety requirements, `work` is the first field of a `Registered`, which waits
    // for this before it is dropped.
    let registered = unsafe { &*work.cast_const().cast::<Registered>() };
    registered.unregister();
}

impl<T: Transport> Registration<T> {
    /// Registers a new device below `parent`, whose driver is probed if there is one.
    ///
    /// # Errors
    ///
    /// That of the virtio core. That the driver fails to probe is not an error.
    pub(crate) fn new(parent: &pci::Device, id: Id, transport: Arc<T>) -> Result<Self> {
        let mut allocation = KBox::new(
            Allocation {
                device: pin_init::zeroed(),
                transport: Arc::as_ptr(&transport),
                given: UnsafeCell::new(KVec::new()),
            },
            GFP_KERNEL,
        )?;
        allocation.device.dev.parent = parent.as_raw_dev();
        allocation.device.dev.release = Some(Self::release_callback);
        allocation.device.id.device = id.device;
        allocation.device.id.vendor = id.vendor;
        allocation.device.config = &Ops::<T>::VTABLE;

        // The release callback takes it back.
        let allocation = KBox::into_raw(allocation);
        // SAFETY: The allocation is valid and pinned, being on the heap until it is released.
        let vdev = unsafe { &raw mut (*allocation).device };

        // SAFETY: The device is zeroed but for what the virtio core wants to be set. `transport`
        // is kept until after the device is unregistered.
        let registered = to_result(unsafe { bindings::register_virtio_device(vdev) });

        // SAFETY: `register_virtio_device` has initialised the device, also when it fails, with a
        // reference that is now ours.
        // CAST: `Device` is a transparent wrapper of `struct virtio_device`.
        let device = unsafe { ARef::from_raw(NonNull::new_unchecked(vdev).cast::<Device>()) };

        // On failure, `device` drops that reference, as the virtio core wants it.
        registered?;

        // The reference of `device` is now for `unregister_virtio_device` to drop.
        let device = {
            let own = device.clone();
            let _ = ARef::into_raw(device);
            own
        };

        let registered = Registered::new(device.clone()).inspect_err(|_| {
            // SAFETY: The device was registered above.
            unsafe { bindings::unregister_virtio_device(device.as_raw()) };
        })?;

        // INVARIANT: See above.
        Ok(Self {
            registered,
            transport,
        })
    }

    /// The device.
    pub(crate) fn device(&self) -> &Device {
        &self.registered.device
    }

    /// Its transport.
    pub(crate) fn transport(&self) -> &T {
        &self.transport
    }

    /// Removes the device from the virtio core, and with it from its driver.
    ///
    /// When this returns, [`Registration::unregister_later`] has been done or will not be.
    pub(crate) fn unregister(&self) {
        // SAFETY: The work is initialised.
        unsafe { kernel_bindings::cancel_work_sync(self.registered.work.get()) };
        self.registered.unregister();
    }

    /// Has the device removed from the virtio core when kernel threads are not frozen any more.
    pub(crate) fn unregister_later(&self) {
        // SAFETY: The work is initialised and stays where it is until it has run or is cancelled;
        // the C side sets the workqueue up at boot and never changes it.
        unsafe {
            kernel_bindings::queue_work_on(
                kernel_bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int, // CAST: A small constant.
                kernel_bindings::system_freezable_wq,
                self.registered.work.get(),
            )
        };
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
    }
}
