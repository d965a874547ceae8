// SPDX-License-Identifier: GPL-2.0

//! The virtio device, as its transport sees it, and the virtio driver that is bound to it.
//!
//! Upstream: `rust/kernel/virtio/device.rs`, with the device of the virtio bindings that drivers
//! use. `virtio_config_core_enable()` would be exported.

use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    bindings as kernel_bindings,
    container_of,
    device::{
        self,
        DeviceContext,
        Normal, //
    },
    error::to_result,
    prelude::*,
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
        lock::{
            mutex::MutexBackend,
            Guard, //
        },
        Mutex, //
    },
    task::might_sleep,
    types::Opaque, //
};

use crate::{
    abstractions::{
        compat::{
            device_name,
            irqreturn,
            not_supported,
            Core,
            SpinLockIrq, //
        },
        irq,
        pm, //
    },
    bindings, //
};

/// A `struct virtio_device`.
///
/// The virtio driver of a `Device<Core>`, if it has one, stays: the driver itself has called, and
/// is not removed before that returns; the lock of the device is held ([`Device::lock`]); or the
/// system sleeps ([`Device::during`]).
///
/// # Invariants
///
/// The device is that of a [`Registration`], initialised by `register_virtio_device`, and its
/// reference count is not 0.
///
/// [`Registration`]: super::Registration
#[repr(transparent)]
pub(crate) struct Device<Ctx: DeviceContext = Normal>(
    Opaque<bindings::virtio_device>,
    PhantomData<Ctx>,
);

// SAFETY: The virtio core lets the device be used and released by any thread.
unsafe impl Send for Device {}

// SAFETY: All methods are C functions that may be called by any thread, or single reads of fields,
// as C makes them. The features are changed by the virtio core when a driver is probed, and by
// `accept_ring_features`, whose result is the same each time after that.
unsafe impl Sync for Device {}

// SAFETY: The embedded `struct device` counts references to the whole.
unsafe impl AlwaysRefCounted for Device {
    fn inc_ref(&self) {
        let device: &device::Device = self.as_ref();
        device.inc_ref();
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        // SAFETY: By the safety requirements, there is a reference to drop.
        unsafe { kernel_bindings::put_device(this.as_ref().as_raw_dev()) };
    }
}

impl<Ctx: DeviceContext> AsRef<device::Device> for Device<Ctx> {
    fn as_ref(&self) -> &device::Device {
        // SAFETY: By the type invariant, the device is valid for as long as `self` is.
        unsafe { device::Device::from_raw(self.as_raw_dev()) }
    }
}

impl Deref for Device<Core<'_>> {
    type Target = Device;

    fn deref(&self) -> &Device {
        // SAFETY: Both are transparent wrappers of the same device, with the same invariant.
        unsafe { Device::from_raw(self.as_raw()) }
    }
}

// SAFETY: The cookie is the device, which stays valid for as long as the reference is held.
unsafe impl irq::Target for ARef<Device> {
    const HANDLER: irq::HandlerFn = config_changed_callback;

    fn cookie(&self) -> *mut c_void {
        self.as_raw().cast()
    }
}

/// Handles the interrupt for configuration changes. C: `vp_config_changed()`.
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

/// Reads a field of the `struct virtio_device` of a [`Device`].
macro_rules! field {
    ($device:expr, $($field:ident).+) => {
        // SAFETY: By the type invariant, the device is valid. The field is an integer, or a
        // pointer, of which no more is done here than to read it, once.
        unsafe { (&raw const (*$device.as_raw()).$($field).+).read_volatile() }
    };
}

impl<Ctx: DeviceContext> Device<Ctx> {
    /// # Safety
    ///
    /// `raw` must be a virtio device that a [`super::Registration`] has registered, with a
    /// reference that is held for `'a`, during which it is as `Ctx` says.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::virtio_device) -> &'a Self {
        // SAFETY: By the safety requirements.
        // CAST: `Self` is a transparent wrapper.
        unsafe { &*raw.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::virtio_device {
        self.0.get()
    }

    pub(super) fn as_raw_dev(&self) -> *mut kernel_bindings::device {
        let offset = core::mem::offset_of!(bindings::virtio_device, dev);
        self.as_raw().wrapping_byte_add(offset).cast()
    }
}

impl Device {
    /// Locks the device against bind and unbind of a virtio driver. May sleep. C:
    /// `device_lock()`.
    pub(crate) fn lock(&self) -> DeviceGuard<'_> {
        // INVARIANT: The lock is that of the device.
        DeviceGuard {
            device: self,
            _guard: self.mutex().lock(),
        }
    }

    /// As [`Device::lock`], but `None` if something else has the lock. C: `device_trylock()`.
    pub(crate) fn try_lock(&self) -> Option<DeviceGuard<'_>> {
        // INVARIANT: As above.
        Some(DeviceGuard {
            device: self,
            _guard: self.mutex().try_lock()?,
        })
    }

    /// The lock that the driver core holds while it binds and unbinds drivers.
    fn mutex(&self) -> &Mutex<()> {
        // SAFETY: By the type invariant, the device and its mutex are initialised.
        unsafe { Mutex::from_raw(&raw mut (*self.as_raw_dev()).mutex) }
    }

    /// The device while the device above it is put to sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is the sleep of another device.
    pub(crate) fn during<'a>(&'a self, sleep: &'a pm::Sleep) -> Result<&'a Device<Core<'a>>> {
        if !sleep.is_of(field!(self, dev.parent)) {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariant of `Sleep`, no driver can be bound, user space unbinds
        // none, and the device above is not removed. Besides, only this module unregisters it, for
        // a device that does not sleep.
        Ok(unsafe { Device::from_raw(self.as_raw()) })
    }

    /// The name of the device, such as `virtio0`.
    pub(crate) fn name(&self) -> &CStr {
        device_name(self.as_ref())
    }

    /// As [`Device::name`], for messages.
    pub(crate) fn name_str(&self) -> &str {
        self.name().to_str().unwrap_or_default()
    }

    /// The device that this one is a part of.
    pub(super) fn parent(&self) -> ARef<device::Device> {
        let parent = field!(self, dev.parent);
        // SAFETY: By the type invariant, the device was registered, with a parent, to which it has
        // a reference until it is unregistered. The caller's virtio driver is bound, so it is not.
        let parent: &device::Device = unsafe { device::Device::from_raw(parent) };
        parent.into()
    }

    /// The virtio device type.
    pub(crate) fn device_type(&self) -> u32 {
        field!(self, id.device)
    }

    /// The features that the virtio driver and the device have in common.
    pub(crate) fn features(&self) -> u64 {
        field!(self, __bindgen_anon_1.features)
    }

    /// Removes the transport features that the virtqueues of the virtio core do not support. C:
    /// `vring_transport_features()`.
    pub(crate) fn accept_ring_features(&self) {
        // SAFETY: By the type invariant, the device is valid. The function clears bits of its
        // features, which the virtio core and its transport alone change.
        unsafe { bindings::vring_transport_features(self.as_raw()) };
    }

    /// Tells the virtio driver, now or when it wants to know, that the configuration has changed.
    /// In any context. C: `virtio_config_changed()`.
    #[inline(always)]
    pub(crate) fn config_changed(&self) {
        // SAFETY: By the type invariant, the device is initialised. The function takes its spinlock
        // with interrupts disabled, which protects what it does.
        unsafe { bindings::virtio_config_changed(self.as_raw()) };
    }

    /// Marks all virtqueues broken, so that virtio drivers stop to wait for the device. C:
    /// `virtio_break_device()`.
    ///
    /// May sleep; not for handlers: the lock of the list of virtqueues is taken with interrupts
    /// enabled.
    pub(crate) fn break_virtqueues(&self) {
        might_sleep();
        // SAFETY: By the type invariant, the device is initialised. The function takes the spinlock
        // of its list of virtqueues, in process context.
        unsafe { bindings::virtio_break_device(self.as_raw()) };
    }

    /// Whether FAILED was set when the device was frozen or prepared for a reset.
    pub(crate) fn failed_before(&self) -> bool {
        field!(self, failed)
    }
}

/// The lock of a [`Device`], which is unlocked when this is dropped.
///
/// # Invariants
///
/// The lock of `device` is held.
pub(crate) struct DeviceGuard<'a> {
    device: &'a Device,
    _guard: Guard<'a, (), MutexBackend>,
}

impl<'a> Deref for DeviceGuard<'a> {
    type Target = Device<Core<'a>>;

    fn deref(&self) -> &Device<Core<'a>> {
        // SAFETY: By the type invariant, no driver can be bound or unbound.
        unsafe { Device::from_raw(self.device.as_raw()) }
    }
}

/// A virtio driver that is bound to a [`Device`], and stays so.
///
/// # Invariants
///
/// The driver is bound for `'a`.
pub(crate) struct BoundDriver<'a>(&'a bindings::virtio_driver);

/// Which callback of a virtio driver is due.
#[derive(Clone, Copy)]
enum Due {
    /// `restore`, after `freeze`.
    Restore,
    /// `reset_done`, after `reset_prepare`.
    ResetDone,
}

/// A virtio driver that was frozen or prepared for a reset, and is to be restored.
///
/// # Examples
///
/// ```ignore
/// let frozen = device.lock().prepare_reset()?;
/// // … the PCI core resets the device …
/// frozen.restore().map_err(|(error, _frozen)| error)?;
/// ```
#[must_use = "a frozen driver must be restored before it is frozen again or removed"]
pub(crate) struct Frozen {
    device: ARef<Device>,
    /// The address of the driver.
    driver: usize,
    /// [`Device::probes`] at the time.
    probes: u32,
    due: Due,
}

/// A virtio driver that was restored.
pub(crate) struct Restored(ARef<Device>);

impl<'a> Device<Core<'a>> {
    /// The virtio driver that is bound, if any.
    pub(crate) fn driver(&self) -> Option<BoundDriver<'_>> {
        let driver = self.raw_driver()?;
        // INVARIANT: By the context, the driver stays.
        // SAFETY: As above.
        Some(BoundDriver(unsafe { driver.as_ref() }))
    }

    /// The name of the virtio driver, such as `virtio_blk`; `?` if none is bound.
    pub(crate) fn driver_name(&self) -> &str {
        let Some(BoundDriver(driver)) = self.driver() else {
            return "?";
        };
        // SAFETY: The name of a driver is a string for as long as the driver is registered.
        let name = unsafe { CStr::from_char_ptr(driver.driver.name) };
        name.to_str().unwrap_or("?")
    }

    /// Freezes the virtio driver, if one is bound, and holds back configuration changes. C:
    /// `virtio_device_freeze()`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is frozen or prepared for a reset already, or that of the virtio driver.
    pub(crate) fn freeze(&self) -> Result<Option<Frozen>> {
        self.check_not_frozen()?;
        // SAFETY: By the type invariant, the device was registered. By the context, its driver
        // stays.
        to_result(unsafe { bindings::virtio_device_freeze(self.as_raw()) })?;
        // One without `freeze` may be frozen any number of times.
        self.set_frozen(self.driver().is_some_and(|driver| driver.can_freeze()));
        Ok(self.frozen(Due::Restore))
    }

    /// Calls the virtio driver's `reset_prepare` and holds back configuration changes. C:
    /// `virtio_device_reset_prepare()`.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if there is no virtio driver, or it does not support resets; else as
    /// [`Device::freeze`].
    pub(crate) fn prepare_reset(&self) -> Result<Frozen> {
        self.check_not_frozen()?;
        // SAFETY: As in `freeze`.
        to_result(unsafe { bindings::virtio_device_reset_prepare(self.as_raw()) })?;
        self.set_frozen(true);
        self.frozen(Due::ResetDone).ok_or_else(not_supported)
    }

    /// Virtio drivers use freed memory if they are frozen twice.
    fn check_not_frozen(&self) -> Result {
        match self.driver() {
            Some(_) if self.is_frozen() => Err(EBUSY),
            _ => Ok(()),
        }
    }

    fn frozen(&self, due: Due) -> Option<Frozen> {
        let device: &Device = self;
        let driver = self.raw_driver()?.addr().get();
        Some(Frozen {
            device: device.into(),
            driver,
            probes: device.probes(),
            due,
        })
    }
}

impl Device {
    /// The virtio driver that is bound at the moment, if any.
    fn raw_driver(&self) -> Option<NonNull<bindings::virtio_driver>> {
        let driver = NonNull::new(field!(self, dev.driver))?;
        // SAFETY: The drivers of virtio devices are embedded in a `struct virtio_driver`.
        NonNull::new(unsafe { container_of!(driver.as_ptr(), bindings::virtio_driver, driver) })
    }
}

impl BoundDriver<'_> {
    /// Whether the driver can be frozen.
    pub(crate) fn can_freeze(&self) -> bool {
        self.0.freeze.is_some()
    }
}

impl Frozen {
    /// Whether the driver is still bound.
    pub(crate) fn is_bound(&self) -> bool {
        self.bound().is_some()
    }

    fn bound(&self) -> Option<NonNull<bindings::virtio_driver>> {
        let driver = self.device.raw_driver();
        let is_same = self.probes == self.device.probes();
        driver.filter(|driver| is_same && driver.addr().get() == self.driver)
    }

    /// Calls the virtio driver's `restore` or `reset_done`, if it is still bound and has one. C:
    /// `virtio_device_restore()`, `virtio_device_reset_done()`.
    ///
    /// # Errors
    ///
    /// That of the virtio driver, which is still to be restored; `EOPNOTSUPP` if it has no
    /// `reset_done`.
    pub(crate) fn restore(self) -> Result<Restored, (Error, Self)> {
        let Some(driver) = self.bound() else {
            return Ok(self.into_restored());
        };
        // SAFETY: The driver is bound. It stays if the caller has a `Device<Core>`. Without that it
        // may be being removed, which may wait for this very call, so no lock can be required; as
        // with `virtio_device_reset_done()` of C, it must not have been removed before this
        // returns.
        let (restore, reset_done) =
            unsafe { (driver.as_ref().restore, driver.as_ref().reset_done) };
        let callback = match (self.due, reset_done) {
            (Due::Restore, _) => restore,
            (Due::ResetDone, None) => return Err((not_supported(), self)),
            (Due::ResetDone, reset_done) => reset_done,
        };
        let Some(callback) = callback else {
            return Ok(self.into_restored());
        };
        // SAFETY: By its type invariant, the device is valid. It was frozen or prepared by this
        // driver, which has the callback for this.
        match to_result(unsafe { callback(self.device.as_raw()) }) {
            Ok(()) => Ok(self.into_restored()),
            Err(error) => Err((error, self)),
        }
    }

    /// Takes the driver for restored, as one that has got its virtqueues again.
    pub(crate) fn into_restored(self) -> Restored {
        if self.probes == self.device.probes() {
            self.device.set_frozen(false);
        }
        Restored(self.device)
    }
}

impl Restored {
    /// Delivers configuration changes again; whether one was held back, for which
    /// [`Device::config_changed`] is to be called. C: `virtio_config_core_enable()`, which is not
    /// exported.
    pub(crate) fn deliver_config_changes(self) -> bool {
        let raw = self.0.as_raw();
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
