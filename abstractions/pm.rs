// SPDX-License-Identifier: GPL-2.0

//! System sleep: `struct dev_pm_ops` as a trait, for drivers of any bus.
//!
//! Upstream: `rust/kernel/pm.rs`, with what the series for runtime power management adds; each
//! bus abstraction would fill in `device_driver::pm`.
//!
//! C header: [`include/linux/pm.h`](srctree/include/linux/pm.h)

use kernel::{
    bindings,
    device::Device,
    error::VTABLE_DEFAULT_ERROR,
    prelude::*, //
};

use super::compat::CoreInternal;

/// A callback of the PM core is running for a system sleep of a device.
///
/// # Invariants
///
/// While this is borrowed, the lock of the device is held, probing is blocked
/// (`device_block_probing()`) and user space, which may unbind drivers, is frozen.
pub(crate) struct Sleep {
    device: *mut bindings::device,
}

impl Sleep {
    /// Whether it is the sleep of the device at this address.
    pub(super) fn is_of(&self, device: *mut bindings::device) -> bool {
        self.device == device
    }
}

/// The callbacks of a driver for system sleep, by its data for a device. C: `struct dev_pm_ops`.
///
/// They are called in process context with the lock of the device held, and never two of them at a
/// time. All are optional: a method that is not there is a null pointer in C.
///
/// # Errors
///
/// One from a method that prepares a sleep ends that sleep; others are only reported.
///
/// # Examples
///
/// ```ignore
/// #[vtable]
/// impl pm::Operations for MyData {
///     fn suspend(&self, _sleep: &pm::Sleep) -> Result {
///         self.stop_hardware()
///     }
///
///     fn resume(&self, _sleep: &pm::Sleep) -> Result {
///         self.start_hardware()
///     }
/// }
/// ```
#[vtable]
pub(crate) trait Operations: Send + Sync + 'static {
    /// The system goes to sleep, its memory stays.
    fn suspend(&self, _sleep: &Sleep) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The system wakes up, its memory has stayed.
    fn resume(&self, _sleep: &Sleep) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// An image of the memory is about to be made, or to be loaded.
    fn freeze(&self, _sleep: &Sleep) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The image of the memory was made, or could not be loaded.
    fn thaw(&self, _sleep: &Sleep) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The image was saved, the system is powered off.
    fn poweroff(&self, _sleep: &Sleep) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The system runs from the image again.
    fn restore(&self, _sleep: &Sleep) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// Makes the `struct dev_pm_ops` of a driver whose data for a device is a `T`.
///
/// # Safety
///
/// It must be used only by drivers that store a `T` as the data of each device they are bound to.
pub(super) const unsafe fn table<T: Operations>() -> bindings::dev_pm_ops {
    /// Chooses a callback if the driver has the method.
    macro_rules! optional {
        ($has:ident, $callback:ident) => {
            if T::$has {
                Some($callback::<T>)
            } else {
                None
            }
        };
    }

    bindings::dev_pm_ops {
        suspend: optional!(HAS_SUSPEND, suspend_callback),
        resume: optional!(HAS_RESUME, resume_callback),
        freeze: optional!(HAS_FREEZE, freeze_callback),
        thaw: optional!(HAS_THAW, thaw_callback),
        poweroff: optional!(HAS_POWEROFF, poweroff_callback),
        restore: optional!(HAS_RESTORE, restore_callback),
        ..pin_init::zeroed()
    }
}

/// Borrows the data that a driver has stored for `dev`.
///
/// # Safety
///
/// For `'a`, `dev` must be valid, and bound to a driver that has stored a `T` for it.
pub(super) unsafe fn driver_data<'a, T: 'static>(dev: *mut bindings::device) -> &'a T {
    // SAFETY: By the safety requirements; the driver core drops the data after the device was
    // unbound.
    unsafe { Device::<CoreInternal<'a>>::from_raw(dev).drvdata_borrow::<T>() }.get_ref()
}

/// What a callback returns to C.
pub(super) fn errno(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Defines trampolines for the methods of [`Operations`].
macro_rules! callbacks {
    ($($callback:ident => $method:ident),* $(,)?) => {$(
        /// # Safety
        ///
        /// Only for use in [`table`].
        unsafe extern "C" fn $callback<T: Operations>(dev: *mut bindings::device) -> c_int {
            // SAFETY: The PM core calls this with a device that is bound to the driver.
            let data = unsafe { driver_data::<T>(dev) };
            // INVARIANT: The PM core has locked the device, frozen user space and blocked probing.
            errno(data.$method(&Sleep { device: dev }))
        }
    )*};
}

callbacks! {
    suspend_callback => suspend,
    resume_callback => resume,
    freeze_callback => freeze,
    thaw_callback => thaw,
    poweroff_callback => poweroff,
    restore_callback => restore,
}
