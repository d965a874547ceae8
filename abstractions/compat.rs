// SPDX-License-Identifier: GPL-2.0

//! What differs between the kernel series that this module is built for.
//!
//! `Kbuild` probes the kernel crate for each `has_*` here. What a series lacks or has in another
//! form gets that of the newest; nothing outside of this file knows of it.

use kernel::{
    bindings,
    device,
    irq::IrqReturn,
    module_param::ModuleParamAccess,
    prelude::*, //
};

/// A parameter of the module.
pub(crate) trait Parameter {
    /// What it is to its readers.
    type Value;

    /// The value that was given at load time, or the default.
    fn get(&self) -> Self::Value;
}

#[cfg(has_bool_parameters)]
impl<T: Copy> Parameter for ModuleParamAccess<T> {
    type Value = T;

    fn get(&self) -> T {
        self.value()
    }
}

#[cfg(has_bool_parameters)]
pub(crate) use kernel::prelude::module;

/// Up to 7.2: what [`module`] makes of a boolean parameter.
#[cfg(not(has_bool_parameters))]
impl Parameter for ModuleParamAccess<u8> {
    type Value = bool;

    fn get(&self) -> bool {
        *self.value() != 0
    }
}

#[cfg(not(has_bool_parameters))]
impl Parameter for ModuleParamAccess<u32> {
    type Value = u32;

    fn get(&self) -> u32 {
        *self.value()
    }
}

/// Up to 7.2: boolean parameters are given as 0 or 1.
#[cfg(not(has_bool_parameters))]
macro_rules! module {
    (@parameters { $($head:tt)* } { $($done:tt)* } {}) => {
        ::kernel::prelude::module! { $($head)* params: { $($done)* }, }
    };
    (@parameters $head:tt { $($done:tt)* } {
        $name:ident: bool { default: true, $($text:tt)* }, $($more:tt)*
    }) => {
        $crate::abstractions::compat::module! { @parameters $head {
            $($done)* $name: u8 { default: 1, $($text)* },
        } { $($more)* } }
    };
    (@parameters $head:tt { $($done:tt)* } {
        $name:ident: bool { default: false, $($text:tt)* }, $($more:tt)*
    }) => {
        $crate::abstractions::compat::module! { @parameters $head {
            $($done)* $name: u8 { default: 0, $($text)* },
        } { $($more)* } }
    };
    (@parameters $head:tt { $($done:tt)* } {
        $name:ident: $type:ident { $($text:tt)* }, $($more:tt)*
    }) => {
        $crate::abstractions::compat::module! { @parameters $head {
            $($done)* $name: $type { $($text)* },
        } { $($more)* } }
    };
    (
        type: $type:ident,
        name: $name:tt,
        authors: $authors:tt,
        description: $description:tt,
        license: $license:tt,
        params: $parameters:tt,
    ) => {
        $crate::abstractions::compat::module! { @parameters {
            type: $type,
            name: $name,
            authors: $authors,
            description: $description,
            license: $license,
        } {} $parameters }
    };
}

#[cfg(not(has_bool_parameters))]
pub(crate) use module;

#[cfg(has_short_id_tables)]
pub(crate) use kernel::pci_device_table;

/// Up to 7.2: the table for modpost has a name of its own.
#[cfg(not(has_short_id_tables))]
macro_rules! pci_device_table {
    ($table:ident, $info:ty, $entries:expr) => {
        kernel::pci_device_table!($table, MODULE_TABLE, $info, $entries);
    };
}

#[cfg(not(has_short_id_tables))]
pub(crate) use pci_device_table;

/// Contexts of a device, for as long as they last.
#[cfg(has_context_lifetimes)]
pub(crate) use kernel::device::{
    Core,
    CoreInternal, //
};

/// Up to 7.1: a context has no lifetime. That it is not kept for longer than it lasts is checked
/// where this module is built for a later series.
#[cfg(not(has_context_lifetimes))]
pub(crate) type Core<'a> = device::Core;

#[cfg(not(has_context_lifetimes))]
pub(crate) type CoreInternal<'a> = device::CoreInternal;

/// What a driver keeps for a device, in the implementation of `driver::DriverLayout`.
#[cfg(has_context_lifetimes)]
macro_rules! driver_data {
    ($data:ty) => {
        type DriverData<'bound> = $data;
    };
}

/// What a driver keeps for a device, in the implementation of `driver::DriverLayout`.
#[cfg(not(has_context_lifetimes))]
macro_rules! driver_data {
    ($data:ty) => {
        type DriverData = $data;
    };
}

pub(super) use driver_data;

#[cfg(has_atomic_flag)]
pub(crate) use kernel::sync::atomic::AtomicFlag;

/// Up to 7.0: a boolean of one byte.
#[cfg(not(has_atomic_flag))]
pub(crate) type AtomicFlag = kernel::sync::atomic::Atomic<bool>;

/// The name of a device on its bus. C: `dev_name()`.
#[cfg(has_device_name)]
pub(super) fn device_name(device: &device::Device) -> &CStr {
    device.name()
}

/// The name of a device on its bus. C: `dev_name()`.
#[cfg(not(has_device_name))]
pub(super) fn device_name(device: &device::Device) -> &CStr {
    // CAST: `device::Device` is a transparent wrapper of `struct device`.
    let device = core::ptr::from_ref(device).cast::<bindings::device>();
    // SAFETY: By its type, the device is valid. The callers have PCI devices and virtio devices
    // that are registered: both have a name, which ends with a NUL, and are not renamed.
    unsafe {
        let name = match (*device).init_name {
            name if name.is_null() => (*device).kobj.name,
            name => name,
        };
        CStr::from_char_ptr(name)
    }
}

/// `THIS_MODULE` of C.
#[cfg(all(has_this_module, CONFIG_DEBUG_FS))]
pub(super) const fn this_module() -> *mut bindings::module {
    kernel::module::this_module::<crate::LocalModule>().as_ptr()
}

/// `THIS_MODULE` of C.
#[cfg(all(not(has_this_module), CONFIG_DEBUG_FS))]
pub(super) const fn this_module() -> *mut bindings::module {
    crate::THIS_MODULE.as_ptr()
}

/// What a handler of interrupts returns to C.
#[cfg(has_irqreturn_type)]
pub(crate) fn irqreturn(value: IrqReturn) -> bindings::irqreturn_t {
    bindings::irqreturn_t(value as c_uint)
}

/// What a handler of interrupts returns to C.
#[cfg(not(has_irqreturn_type))]
pub(crate) fn irqreturn(value: IrqReturn) -> bindings::irqreturn_t {
    value as bindings::irqreturn_t
}

/// Waits until all who are between `rcu_read_lock()` and `rcu_read_unlock()` now have left.
///
/// May sleep. The crate has this from 7.3 on.
pub(crate) fn synchronize_rcu() {
    // SAFETY: May be called wherever one may sleep.
    unsafe { bindings::synchronize_rcu() };
}

/// `EPROTO`, which the crate has from 7.3 on.
pub(crate) fn protocol_error() -> Error {
    // CAST: All error numbers are small.
    Error::from_errno(-(bindings::EPROTO as c_int))
}

/// `EOPNOTSUPP`, which the crate has from 7.3 on.
pub(crate) fn not_supported() -> Error {
    // CAST: All error numbers are small.
    Error::from_errno(-(bindings::EOPNOTSUPP as c_int))
}

#[cfg(has_spin_lock_irq_disable)]
pub(super) use kernel::sync::{
    new_spinlock_irq,
    SpinLockIrq, //
};

#[cfg(not(has_spin_lock_irq_disable))]
pub(super) use spin_lock_irq::{
    new_spinlock_irq,
    SpinLockIrq, //
};

/// Up to 7.2: a spinlock that handlers of interrupts take as well, in the crate's shape.
#[cfg(not(has_spin_lock_irq_disable))]
mod spin_lock_irq {
    use kernel::{
        bindings,
        prelude::*,
        sync::lock::{
            Backend,
            Lock, //
        }, //
    };

    /// Creates a [`SpinLockIrq`] initialiser with a newly-created lock class.
    macro_rules! new_spinlock_irq {
        ($inner:expr) => {
            $crate::abstractions::compat::SpinLockIrq::new(
                $inner,
                c"virtio_pci_rs_irq_lock",
                ::kernel::static_lock_class!(),
            )
        };
    }
    pub(crate) use new_spinlock_irq;

    /// A spinlock that is held with interrupts disabled.
    pub(crate) type SpinLockIrq<T> = Lock<T, SpinLockIrqBackend>;

    /// The backend of a [`SpinLockIrq`].
    pub(crate) struct SpinLockIrqBackend;

    // SAFETY: The C functions exclude each other, and no method but `lock()` locks.
    unsafe impl Backend for SpinLockIrqBackend {
        type State = bindings::spinlock_t;
        type GuardState = c_ulong;

        unsafe fn init(
            ptr: *mut Self::State,
            name: *const c_char,
            key: *mut bindings::lock_class_key,
        ) {
            // SAFETY: By the safety requirements.
            unsafe { bindings::__spin_lock_init(ptr, name, key) };
        }

        /// With PREEMPT_RT, handlers of interrupts are threads, which wait for the lock.
        unsafe fn lock(ptr: *mut Self::State) -> c_ulong {
            // SAFETY: By the safety requirements.
            // CAST: Without PREEMPT_RT, a raw spinlock is what a spinlock begins with.
            unsafe {
                #[cfg(CONFIG_PREEMPT_RT)]
                let flags = {
                    bindings::spin_lock(ptr);
                    0
                };
                #[cfg(not(CONFIG_PREEMPT_RT))]
                let flags = bindings::_raw_spin_lock_irqsave(ptr.cast());
                flags
            }
        }

        unsafe fn unlock(ptr: *mut Self::State, _flags: &c_ulong) {
            // SAFETY: By the safety requirements.
            // CAST: As above.
            unsafe {
                #[cfg(CONFIG_PREEMPT_RT)]
                bindings::spin_unlock(ptr);
                #[cfg(not(CONFIG_PREEMPT_RT))]
                bindings::_raw_spin_unlock_irqrestore(ptr.cast(), *_flags);
            }
        }

        unsafe fn try_lock(_ptr: *mut Self::State) -> Option<c_ulong> {
            None
        }

        unsafe fn assert_is_held(_ptr: *mut Self::State) {}
    }
}
