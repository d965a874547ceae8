// SPDX-License-Identifier: GPL-2.0

//! What the virtio core has a transport do: `struct virtio_config_ops`.

use core::num::NonZero;

use kernel::{
    bindings as kernel_bindings,
    cpumask::Cpumask,
    prelude::*,
    sync::Arc, //
};

use super::{
    registration::Allocation,
    Device,
    FindVqs, //
    Virtqueue,
};
use crate::{
    abstractions::{
        irq::Vector,
        pci::errno, //
    },
    bindings, //
};

/// `struct virtio_config_ops`, and what this module adds to it.
///
/// All but [`ConfigOps::announce`] are called in process context, for a device that is being or was
/// registered.
pub(crate) trait ConfigOps: Send + Sync + 'static {
    /// Reads the device configuration from `offset` on. C: `get`.
    fn read_config(&self, offset: usize, buffer: &mut [u8]);

    /// Writes the device configuration from `offset` on. C: `set`.
    fn write_config(&self, device: &Device, offset: usize, buffer: &[u8]);

    /// The deferred work of the device, for which [`Device::schedule_work`] and
    /// [`Device::schedule_work_after`] ask. After how many ms it is to be called again.
    ///
    /// Its workqueue is not frozen when the system sleeps.
    fn work(&self, device: &Device) -> Option<NonZero<u32>>;

    /// Virtqueue `index`, named `queue`, is about to notify the device, in any context; only called
    /// for those with
    /// [`super::Doorbell::is_announced`]. If `false`, the device is not notified and the virtqueue
    /// is broken.
    fn announce(&self, device: &Device, queue: &str, index: u32) -> bool;

    /// Reads the device status. C: `get_status`.
    fn status(&self, device: &Device) -> u8;

    /// Writes the device status. C: `set_status`.
    fn set_status(&self, device: &Device, status: u8);

    /// Resets the device, and waits until no virtqueue callback runs any more. C: `reset`.
    fn reset(&self);

    /// Makes the virtqueues that a driver wants, and shows them to the device. C: `find_vqs`.
    fn find_virtqueues(&self, requested: &mut FindVqs<'_>) -> Result;

    /// Deletes all virtqueues. C: `del_vqs`.
    fn delete_virtqueues(&self);

    /// Waits until no virtqueue callback runs any more. C: `synchronize_cbs`.
    fn synchronize_callbacks(&self);

    /// The features that the device offers. C: `get_features`.
    fn features(&self) -> u64;

    /// Has the device accept [`Device::features`]. C: `finalize_features`.
    fn finalize_features(&self, device: &Device) -> Result;

    /// The name of the device on its bus. C: `bus_name`.
    fn bus_name(&self) -> &CStr;

    /// Sets, or removes, the affinity of virtqueue `index`. C: `set_vq_affinity`.
    fn set_affinity(&self, index: usize, mask: Option<&Cpumask>) -> Result;

    /// The vector that virtqueue `index` has for itself. C: `get_vq_affinity`.
    fn vector(&self, index: usize) -> Option<Vector>;
}

/// The virtio core's view of a [`ConfigOps`].
pub(super) struct Ops<T: ConfigOps>(T);

impl<T: ConfigOps> Ops<T> {
    pub(super) const VTABLE: bindings::virtio_config_ops = bindings::virtio_config_ops {
        get: Some(Self::get_callback),
        set: Some(Self::set_callback),
        get_status: Some(Self::get_status_callback),
        set_status: Some(Self::set_status_callback),
        reset: Some(Self::reset_callback),
        find_vqs: Some(Self::find_vqs_callback),
        del_vqs: Some(Self::del_vqs_callback),
        synchronize_cbs: Some(Self::synchronize_cbs_callback),
        get_features: Some(Self::get_features_callback),
        finalize_features: Some(Self::finalize_features_callback),
        bus_name: Some(Self::bus_name_callback),
        set_vq_affinity: Some(Self::set_vq_affinity_callback),
        get_vq_affinity: Some(Self::get_vq_affinity_callback),
        ..pin_init::zeroed()
    };

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
        transport.read_config(offset, buffer);
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
        // SAFETY: The virtio core gives the device and an initialised buffer of `len` bytes.
        let (transport, device, buffer) = unsafe {
            (
                Self::transport(vdev),
                Device::from_raw(vdev),
                core::slice::from_raw_parts(buf.cast::<u8>(), len),
            )
        };
        transport.write_config(device, offset, buffer);
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn get_status_callback(vdev: *mut bindings::virtio_device) -> u8 {
        // SAFETY: The virtio core gives the device.
        let (transport, device) = unsafe { (Self::transport(vdev), Device::from_raw(vdev)) };
        transport.status(device)
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn set_status_callback(vdev: *mut bindings::virtio_device, status: u8) {
        // SAFETY: The virtio core gives the device.
        let (transport, device) = unsafe { (Self::transport(vdev), Device::from_raw(vdev)) };
        transport.set_status(device, status);
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn reset_callback(vdev: *mut bindings::virtio_device) {
        // SAFETY: The virtio core gives the device.
        unsafe { Self::transport(vdev) }.reset();
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
        let (transport, mut requested) = unsafe {
            let (device, vqs_of) = (Device::from_raw(vdev), Self::vqs(vdev));
            let nvqs = nvqs as usize;
            (
                Self::transport(vdev),
                FindVqs::from_raw::<T>(device, nvqs, vqs, vqs_info, desc, vqs_of),
            )
        };
        errno(transport.find_virtqueues(&mut requested))
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn del_vqs_callback(vdev: *mut bindings::virtio_device) {
        // SAFETY: The virtio core gives the device.
        unsafe { Self::transport(vdev) }.delete_virtqueues();
        // SAFETY: As above, and it does not have virtqueues found or deleted at the same time. It
        // holds a reference to the device, so that those of the virtqueues are not the last ones.
        unsafe { Self::vqs(vdev) }.clear();
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn synchronize_cbs_callback(vdev: *mut bindings::virtio_device) {
        // SAFETY: The virtio core gives the device.
        unsafe { Self::transport(vdev) }.synchronize_callbacks();
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn get_features_callback(vdev: *mut bindings::virtio_device) -> u64 {
        // SAFETY: The virtio core gives the device.
        unsafe { Self::transport(vdev) }.features()
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn finalize_features_callback(vdev: *mut bindings::virtio_device) -> c_int {
        // SAFETY: The virtio core gives the device.
        let (transport, device) = unsafe { (Self::transport(vdev), Device::from_raw(vdev)) };
        errno(transport.finalize_features(device))
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn bus_name_callback(vdev: *mut bindings::virtio_device) -> *const c_char {
        // SAFETY: The virtio core gives the device.
        unsafe { Self::transport(vdev) }.bus_name().as_char_ptr()
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
        errno(transport.set_affinity(index as usize, mask))
    }

    /// # Safety
    ///
    /// Only for use in [`Self::VTABLE`].
    unsafe extern "C" fn get_vq_affinity_callback(
        vdev: *mut bindings::virtio_device,
        index: c_int,
    ) -> *const kernel_bindings::cpumask {
        // SAFETY: The virtio core gives the device.
        let transport = unsafe { Self::transport(vdev) };
        usize::try_from(index)
            .ok()
            .and_then(|index| transport.vector(index))
            .map_or(core::ptr::null(), |vector| vector.spread())
    }
}
