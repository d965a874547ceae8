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
    sync::{
        aref::ARef,
        atomic::{
            AtomicFlag,
            Full, //
        },
        Arc, //
    }, //
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
/// While `registered`, the device is registered and has `transport` as its transport.
pub(crate) struct Registration<T: Transport> {
    device: ARef<Device>,
    registered: AtomicFlag,
    transport: Arc<T>,
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

        // INVARIANT: See above.
        Ok(Self {
            device,
            registered: AtomicFlag::new(true),
            transport,
        })
    }

    /// The device.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Its transport.
    pub(crate) fn transport(&self) -> &T {
        &self.transport
    }

    /// Removes the device from the virtio core, and with it from its driver.
    pub(crate) fn unregister(&self) {
        if self.registered.xchg(false, Full) {
            // SAFETY: By the type invariant, the device is registered.
            unsafe { bindings::unregister_virtio_device(self.device.as_raw()) };
        }
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

impl<T: Transport> Drop for Registration<T> {
    fn drop(&mut self) {
        self.unregister();
    }
}
