// SPDX-License-Identifier: GPL-2.0

//! The virtio device.

use core::ptr::NonNull;

use kernel::{
    bindings as kernel_bindings,
    container_of,
    device,
    error::to_result,
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
};

use crate::{
    abstractions::{
        compat::{
            irqreturn,
            not_supported,
            SpinLockIrq, //
        },
        irq, //
    },
    bindings, //
};

/// A `struct virtio_device`.
///
/// # Invariants
///
/// The device is that of a [`Registration`], initialised by `register_virtio_device`, and its
/// reference count is not 0.
///
/// [`Registration`]: super::Registration
#[repr(transparent)]
pub(crate) struct Device(Opaque<bindings::virtio_device>);

/// The lock of a [`Device`], which is unlocked when this is dropped.
///
/// # Invariants
///
/// The mutex of the device is locked, by this.
pub(crate) struct DeviceGuard<'a>(&'a Device);

impl Drop for DeviceGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { kernel_bindings::mutex_unlock(self.0.mutex()) };
    }
}

// SAFETY: The virtio core lets the device be used and released by any thread.
unsafe impl Send for Device {}

// SAFETY: All methods are C functions that may be called by any thread, or reads of fields that do
// not change while the callback runs in which they are read.
unsafe impl Sync for Device {}

// SAFETY: The embedded `struct device` counts references to the whole.
unsafe impl AlwaysRefCounted for Device {
    fn inc_ref(&self) {
        // SAFETY: By the type invariant, the count is not 0.
        unsafe { kernel_bindings::get_device(self.as_raw_dev()) };
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        // SAFETY: By the safety requirements, there is a reference to drop.
        unsafe { kernel_bindings::put_device(this.as_ref().as_raw_dev()) };
    }
}

impl AsRef<device::Device> for Device {
    fn as_ref(&self) -> &device::Device {
        // SAFETY: By the type invariant, the device is valid for as long as `self` is.
        unsafe { device::Device::from_raw(self.as_raw_dev()) }
    }
}

// SAFETY: The cookie is the device, which stays valid for as long as the reference is held.
unsafe impl irq::Target for ARef<Device> {
    const HANDLER: irq::HandlerFn = config_changed_callback;

    fn cookie(&self) -> *mut c_void {
        self.as_raw().cast()
    }
}

/// Handles the interrupt for changes of the configuration. C: `vp_config_changed()`.
///
/// # Safety
///
/// Only for use as [`irq::Target::HANDLER`] of `ARef<Device>`.
unsafe extern "C" fn config_changed_callback(
    _irq: c_int,
    cookie: *mut c_void,
) -> kernel_bindings::irqreturn_t {
    // SAFETY: By the safety requirements, `cookie` is a virtio device that is kept alive.
    unsafe { bindings::virtio_config_changed(cookie.cast()) };
    irqreturn(irq::IrqReturn::Handled)
}

impl Device {
    /// Makes a reference of a pointer.
    ///
    /// # Safety
    ///
    /// `raw` must be a virtio device that a [`super::Registration`] has registered, with a
    /// reference that is held for `'a`.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::virtio_device) -> &'a Self {
        // SAFETY: By the safety requirements.
        // CAST: `Self` is a transparent wrapper.
        unsafe { &*raw.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::virtio_device {
        self.0.get()
    }

    pub(super) fn as_raw_dev(&self) -> *mut kernel_bindings::device {
        // SAFETY: By the type invariant, this computes an address inside of a device.
        unsafe { &raw mut (*self.as_raw()).dev }
    }

    /// Locks the device, so that no virtio driver is bound or unbound. May sleep.
    pub(crate) fn lock(&self) -> DeviceGuard<'_> {
        // SAFETY: By the type invariant, the device and its mutex are initialised. The driver core
        // holds the mutex while it binds and unbinds.
        unsafe { kernel_bindings::mutex_lock(self.mutex()) };
        // INVARIANT: The mutex was locked above.
        DeviceGuard(self)
    }

    /// As [`Device::lock`], but `None` if something else has the lock.
    pub(crate) fn try_lock(&self) -> Option<DeviceGuard<'_>> {
        // SAFETY: As in `lock`.
        let locked = unsafe { kernel_bindings::mutex_trylock(self.mutex()) } != 0;
        // INVARIANT: The mutex was locked above.
        locked.then(|| DeviceGuard(self))
    }

    fn mutex(&self) -> *mut kernel_bindings::mutex {
        // SAFETY: By the type invariant, this computes an address inside of a device.
        unsafe { &raw mut (*self.as_raw_dev()).mutex }
    }

    /// The virtio driver that is bound, if any.
    ///
    /// The driver stays for as long as the result is used: binding and unbinding are excluded
    /// while the virtio core calls the transport for it, while user space is frozen, and while
    /// there is a [`DeviceGuard`].
    fn driver(&self) -> Option<&bindings::virtio_driver> {
        // SAFETY: By the type invariant, the device is valid.
        let driver = unsafe { (*self.as_raw_dev()).driver };
        if driver.is_null() {
            return None;
        }
        // SAFETY: The drivers of virtio devices are embedded in a `struct virtio_driver`, and stay
        // for as long as said above.
        unsafe { container_of!(driver, bindings::virtio_driver, driver).as_ref() }
    }

    /// Whether the virtio driver that is bound, if any, can be frozen.
    pub(crate) fn can_freeze(&self) -> bool {
        self.driver().is_none_or(|driver| driver.freeze.is_some())
    }

    /// Whether a virtio driver is bound.
    pub(crate) fn has_driver(&self) -> bool {
        self.driver().is_some()
    }

    /// The name of the virtio driver that is bound, such as `virtio_blk`.
    fn driver_name(&self) -> Option<&CStr> {
        let name = self.driver()?.driver.name;
        // SAFETY: The names of drivers are valid strings for as long as the driver is registered.
        (!name.is_null()).then(|| unsafe { CStr::from_char_ptr(name) })
    }

    /// The name of the virtio driver, or `absent`.
    pub(crate) fn driver_name_or<'a>(&'a self, absent: &'a str) -> &'a str {
        let name = self.driver_name().and_then(|name| name.to_str().ok());
        name.unwrap_or(absent)
    }

    /// The name of the device, such as `virtio0`.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: By the type invariant, the device is valid and has got its name.
        unsafe { CStr::from_char_ptr(kernel_bindings::dev_name(self.as_raw_dev())) }
    }

    /// As [`Device::name`], for messages.
    pub(crate) fn name_str(&self) -> &str {
        self.name().to_str().unwrap_or_default()
    }

    /// The virtio device type.
    pub(crate) fn device_type(&self) -> u32 {
        // SAFETY: By the type invariant, the device is valid, and its id does not change.
        unsafe { (*self.as_raw()).id.device }
    }

    /// The features that the virtio driver and the device have in common.
    pub(crate) fn features(&self) -> u64 {
        // SAFETY: By the type invariant, the device is valid; all views of the union are integers.
        unsafe { (*self.as_raw()).__bindgen_anon_1.features }
    }

    /// Removes the transport features that the virtqueues of the virtio core do not support.
    pub(crate) fn accept_ring_features(&self) {
        // SAFETY: By the type invariant, the device is valid.
        unsafe { bindings::vring_transport_features(self.as_raw()) };
    }

    /// Tells the virtio driver, now or when it wants to know, that the configuration has changed.
    pub(crate) fn config_changed(&self) {
        // SAFETY: By the type invariant, the device is valid.
        unsafe { bindings::virtio_config_changed(self.as_raw()) };
    }

    /// Marks all virtqueues broken, so that virtio drivers stop to wait for the device.
    pub(crate) fn break_virtqueues(&self) {
        // SAFETY: By the type invariant, the device is valid.
        unsafe { bindings::virtio_break_device(self.as_raw()) };
    }

    /// Whether FAILED was set when the device was frozen or prepared for a reset.
    pub(crate) fn failed_before(&self) -> bool {
        // SAFETY: By the type invariant, the device is valid.
        unsafe { (*self.as_raw()).failed }
    }

    /// Freezes the virtio driver and holds back changes of the configuration.
    pub(crate) fn freeze(&self) -> Result {
        // SAFETY: By the type invariant, the device is valid.
        to_result(unsafe { bindings::virtio_device_freeze(self.as_raw()) })
    }

    /// Calls the virtio driver's `restore`, if it has one.
    pub(crate) fn restore_driver(&self) -> Result {
        let restore = self.driver().and_then(|driver| driver.restore);
        restore.map_or(Ok(()), |restore| {
            // SAFETY: By the type invariant, the device is valid.
            to_result(unsafe { restore(self.as_raw()) })
        })
    }

    /// Calls the virtio driver's `reset_prepare` and holds back changes of the configuration.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the virtio driver does not support resets.
    pub(crate) fn prepare_reset(&self) -> Result {
        // SAFETY: By the type invariant, the device is valid.
        to_result(unsafe { bindings::virtio_device_reset_prepare(self.as_raw()) })
    }

    /// Calls the virtio driver's `reset_done`.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the virtio driver does not support resets.
    pub(crate) fn reset_done_driver(&self) -> Result {
        let reset_done = self.driver().and_then(|driver| driver.reset_done);
        reset_done.map_or(Err(not_supported()), |reset_done| {
            // SAFETY: By the type invariant, the device is valid.
            to_result(unsafe { reset_done(self.as_raw()) })
        })
    }

    /// Delivers changes of the configuration again; whether one was held back, for which
    /// [`Device::config_changed`] is to be called.
    ///
    /// C: `virtio_config_core_enable()`, which is not exported.
    pub(crate) fn deliver_config_changes(&self) -> bool {
        let raw = self.as_raw();
        // SAFETY: By the type invariant, the device and its lock are initialised. Interrupt
        // handlers take the lock too, so it is taken with interrupts disabled. It protects both
        // fields.
        unsafe {
            let _guard = SpinLockIrq::from_raw(&raw mut (*raw).config_lock).lock();
            (*raw).config_core_enabled = true;
            (*raw).config_change_pending
        }
    }
}
