// SPDX-License-Identifier: GPL-2.0

//! What the virtio core has a transport do: `struct virtio_config_ops`.
//!
//! Upstream: `rust/kernel/virtio/config.rs`. Shared memory, the modern features and the optional
//! generation of the configuration would be added when a transport has them.

use core::num::NonZero;

use kernel::{
    bindings as kernel_bindings,
    cpumask::Cpumask,
    error::VTABLE_DEFAULT_ERROR,
    prelude::*,
    sync::Arc, //
};

use super::{
    queue::Fulfilled,
    registration::Allocation,
    Announce,
    Device,
    FindVqs,
    Virtqueue, //
};
use crate::{
    abstractions::{
        compat::Core,
        irq::Vector,
        pm::errno, //
    },
    bindings, //
};

/// `struct virtio_config_ops`.
///
/// The methods are called in process context, for a device that is being or was registered.
#[vtable]
pub(crate) trait ConfigOps: Transport {
    /// Reads the device configuration from `offset` on.
    fn get(&self, offset: usize, buffer: &mut [u8]);

    /// Writes the device configuration from `offset` on.
    fn set(&self, device: &Device<Core<'_>>, offset: usize, buffer: &[u8]);

    /// Reads the device status.
    fn get_status(&self, device: &Device) -> u8;

    /// Writes the device status.
    fn set_status(&self, device: &Device, status: u8);

    /// Resets the device, and waits for running virtqueue callbacks.
    fn reset(&self);

    /// Makes the virtqueues that a driver wants, shows them to the device, and gives them to the
    /// driver with [`FindVqs::fulfil`].
    ///
    /// # Errors
    ///
    /// The driver gets no virtqueue.
    fn find_vqs(&self, requested: FindVqs<'_>) -> Result<Fulfilled>;

    /// Deletes all virtqueues, and waits for the handlers of their interrupts. Their callbacks are
    /// not called any more after that, also if something keeps a virtqueue.
    fn del_vqs(&self);

    /// Waits for running virtqueue callbacks.
    fn synchronize_cbs(&self) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The features that the device offers.
    fn get_features(&self) -> u64;

    /// Negotiates [`Device::features`].
    ///
    /// # Errors
    ///
    /// The virtio driver is not probed.
    fn finalize_features(&self, device: &Device) -> Result;

    /// The name of the device on its bus.
    fn bus_name(&self) -> &CStr {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Sets, or removes, the affinity of virtqueue `index`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such virtqueue, or that of the interrupt core.
    fn set_vq_affinity(&self, _index: usize, _mask: Option<&Cpumask>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The vector that virtqueue `index` has for itself, whose spread is its affinity.
    fn get_vq_affinity(&self, _index: usize) -> Option<Vector> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// What a [`super::Registration`] calls in addition to [`ConfigOps`].
pub(crate) trait Transport: Send + Sync + 'static {
    /// The deferred work of the device, in process context, for which [`Device::schedule_work`] and
    /// [`Device::schedule_work_after`] ask. After how many ms it is to be called again.
    ///
    /// Its workqueue is not frozen when the system sleeps.
    fn work(&self, device: &Device) -> Option<NonZero<u32>>;

    /// Virtqueue `index` is about to notify the device, in any context; only called for those with
    /// [`super::Doorbell::announce`], which is `reason`. If `false`, the device is not notified and
    /// the virtqueue is broken.
    fn announce(&self, device: &Device<Core<'_>>, index: u32, reason: Announce) -> bool;
}

/// The virtio core's view of a [`ConfigOps`].
pub(super) struct Ops<T: ConfigOps>(T);

/// Chooses a callback if the transport has the method.
macro_rules! optional {
    ($has:ident, $callback:ident) => {
        if T::$has {
            Some(Self::$callback)
        } else {
            None
        }
    };
}

/// Defines trampolines for methods of [`ConfigOps`] that take a device and integers.
macro_rules! callbacks {
    ($($callback:ident($transport:ident, $device:ident $(, $arg:ident: $ty:ty)*) $(-> $ret:ty)?
        $body:block)*) => {$(
        /// # Safety
        ///
        /// Only for use in [`Ops::VTABLE`].
        unsafe extern "C" fn $callback(
            vdev: *mut bindings::virtio_device $(, $arg: $ty)*
        ) $(-> $ret)? {
            // SAFETY: The virtio core gives the device.
            let ($transport, $device) = unsafe { (Self::transport(vdev), Device::from_raw(vdev)) };
            let _: &Device = $device;
            $body
        }
    )*};
}

impl<T: ConfigOps> Ops<T> {
    pub(super) const VTABLE: bindings::virtio_config_ops = bindings::virtio_config_ops {
        get: Some(Self::get_callback),
        set: Some(Self::set_callback),
        get_status: Some(Self::get_status_callback),
        set_status: Some(Self::set_status_callback),
        reset: Some(Self::reset_callback),
        find_vqs: Some(Self::find_vqs_callback),
        del_vqs: Some(Self::del_vqs_callback),
        synchronize_cbs: optional!(HAS_SYNCHRONIZE_CBS, synchronize_cbs_callback),
        get_features: Some(Self::get_features_callback),
        finalize_features: Some(Self::finalize_features_callback),
        bus_name: optional!(HAS_BUS_NAME, bus_name_callback),
        set_vq_affinity: optional!(HAS_SET_VQ_AFFINITY, set_vq_affinity_callback),
        get_vq_affinity: optional!(HAS_GET_VQ_AFFINITY, get_vq_affinity_callback),
        ..pin_init::zeroed()
    };

    callbacks! {
        get_status_callback(transport, device) -> u8 { transport.get_status(device) }

        set_status_callback(transport, device, status: u8) {
            transport.set_status(device, status)
        }

        reset_callback(transport, _device) { transport.reset() }

        synchronize_cbs_callback(transport, _device) { transport.synchronize_cbs() }

        get_features_callback(transport, _device) -> u64 { transport.get_features() }

        finalize_features_callback(transport, device) -> c_int {
            device.note_probe();
            errno(transport.finalize_features(device))
        }

        bus_name_callback(transport, _device) -> *const c_char {
            transport.bus_name().as_char_ptr()
        }

        get_vq_affinity_callback(transport, _device, index: c_int)
            -> *const kernel_bindings::cpumask
        {
            let vector = usize::try_from(index).ok();
            let vector = vector.and_then(|index| transport.get_vq_affinity(index));
            vector.map_or(core::ptr::null(), |vector| vector.spread())
        }
    }

    /// The transport of `vdev`.
    ///
    /// # Safety
    ///
    /// `vdev` must be the device of a [`super::Registration`] of `T` for `'a`.
    pub(super) unsafe fn transport<'a>(vdev: *mut bindings::virtio_device) -> &'a T {
        // SAFETY: By the safety requirements, `vdev` is the first field of an `Allocation<T>`,
        // whose transport the registration keeps.
        unsafe { &*(*vdev.cast::<Allocation<T>>()).transport }
    }

    /// The virtqueues that are kept for the driver of `vdev`.
    ///
    /// # Safety
    ///
    /// As for [`Self::transport`], and nothing else may do the same during `'a`.
    unsafe fn vqs<'a>(vdev: *mut bindings::virtio_device) -> &'a mut KVec<Arc<Virtqueue>> {
        // SAFETY: By the safety requirements, this is the only access to the cell of a valid
        // `Allocation<T>`.
        unsafe { &mut *(*vdev.cast::<Allocation<T>>()).vqs.get() }
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn get_callback(
        vdev: *mut bindings::virtio_device,
        offset: c_uint,
        buf: *mut c_void,
        len: c_uint,
    ) {
        if len == 0 {
            return;
        }
        // CAST: `unsigned int` is not wider than `usize` on any platform of Linux.
        let (offset, len) = (offset as usize, len as usize);
        // SAFETY: The virtio core gives the device and a buffer of `len` bytes, which are zeroed
        // here since they may not be initialised.
        let (transport, buffer) = unsafe {
            core::ptr::write_bytes(buf.cast::<u8>(), 0, len);
            (
                Self::transport(vdev),
                core::slice::from_raw_parts_mut(buf.cast::<u8>(), len),
            )
        };
        transport.get(offset, buffer);
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn set_callback(
        vdev: *mut bindings::virtio_device,
        offset: c_uint,
        buf: *const c_void,
        len: c_uint,
    ) {
        if len == 0 {
            return;
        }
        // CAST: `unsigned int` is not wider than `usize` on any platform of Linux.
        let (offset, len) = (offset as usize, len as usize);
        // SAFETY: The virtio core gives the device and an initialised buffer of `len` bytes. The
        // driver has called, hence stays.
        let (transport, device, buffer) = unsafe {
            (
                Self::transport(vdev),
                Device::<Core<'_>>::from_raw(vdev),
                core::slice::from_raw_parts(buf.cast::<u8>(), len),
            )
        };
        transport.set(device, offset, buffer);
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn find_vqs_callback(
        vdev: *mut bindings::virtio_device,
        nvqs: c_uint,
        vqs: *mut *mut bindings::virtqueue,
        vqs_info: *mut bindings::virtqueue_info,
        desc: *mut kernel_bindings::irq_affinity,
    ) -> c_int {
        // SAFETY: The virtio core gives the device, `nvqs` requests and room for as many answers,
        // and a descriptor or null. It does not have virtqueues found or deleted at the same time.
        // CAST: `unsigned int` is not wider than `usize` on any platform of Linux.
        let (transport, requested) = unsafe {
            let (device, vqs_of) = (Device::from_raw(vdev), Self::vqs(vdev));
            let nvqs = nvqs as usize;
            (
                Self::transport(vdev),
                FindVqs::from_raw::<T>(device, nvqs, vqs, vqs_info, desc, vqs_of),
            )
        };
        errno(transport.find_vqs(requested).map(drop))
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn del_vqs_callback(vdev: *mut bindings::virtio_device) {
        // SAFETY: The virtio core gives the device, and does not have virtqueues found or deleted
        // at the same time. It holds a reference to the device, so that those of the virtqueues are
        // not the last ones.
        let (transport, vqs) = unsafe { (Self::transport(vdev), Self::vqs(vdev)) };
        transport.del_vqs();
        for virtqueue in &*vqs {
            virtqueue.end_callbacks();
        }
        vqs.clear();
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn set_vq_affinity_callback(
        vq: *mut bindings::virtqueue,
        mask: *const kernel_bindings::cpumask,
    ) -> c_int {
        // SAFETY: The virtio core gives a virtqueue of the device, and a mask or null. `Cpumask`
        // is a transparent wrapper.
        let (transport, index, has_callback, mask) = unsafe {
            (
                Self::transport((*vq).vdev),
                (*vq).index,
                (*vq).callback.is_some(),
                mask.cast::<Cpumask>().as_ref(),
            )
        };
        if !has_callback {
            return EINVAL.to_errno();
        }
        // CAST: `unsigned int` is not wider than `usize` on any platform of Linux.
        errno(transport.set_vq_affinity(index as usize, mask))
    }
}
