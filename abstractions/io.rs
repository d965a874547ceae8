// SPDX-License-Identifier: GPL-2.0

//! Base address registers of PCI devices that are I/O ports or memory.
//!
//! [`kernel::pci::Bar`] is for memory only: it maps I/O ports as well, and then faults at the
//! first access. `ioread*()` and `iowrite*()` tell the two apart.
//!
//! C header: [`include/asm-generic/iomap.h`](srctree/include/asm-generic/iomap.h)

use core::ptr::NonNull;

use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    sync::Arc, //
};

use super::pci;

/// An integer that a device can be accessed with in one piece.
pub(crate) trait Value: Copy + private::Raw {}

impl Value for u8 {}
impl Value for u16 {}
impl Value for u32 {}

mod private {
    use super::*;

    /// The C functions that access a device with the width of an integer.
    pub(crate) trait Raw: Sized {
        /// # Safety
        ///
        /// `address` must be a mapping of at least `size_of::<Self>()` bytes.
        unsafe fn read(address: *mut c_void) -> Self;

        /// # Safety
        ///
        /// `address` must be a mapping of at least `size_of::<Self>()` bytes.
        unsafe fn write(self, address: *mut c_void);
    }

    /// Implements [`Raw`] for an integer.
    macro_rules! impl_raw {
        ($ty:ty, $read:ident, $write:ident) => {
            impl Raw for $ty {
                unsafe fn read(address: *mut c_void) -> Self {
                    // SAFETY: By the safety requirements.
                    let value = unsafe { bindings::$read(address) };
                    // The C function returns `unsigned int` with the upper bits clear.
                    value as $ty // CAST: The value is that of a register of this width.
                }

                unsafe fn write(self, address: *mut c_void) {
                    // SAFETY: By the safety requirements.
                    unsafe { bindings::$write(self, address) }
                }
            }
        };
    }

    impl_raw!(u8, ioread8, iowrite8);
    impl_raw!(u16, ioread16, iowrite16);
    impl_raw!(u32, ioread32, iowrite32);
}

/// A requested and mapped base address register.
///
/// # Invariants
///
/// `base` is the mapping of all `len` bytes of base address register `index` of `pci`, whose
/// region this owns.
pub(crate) struct Bar {
    pci: Arc<pci::Device>,
    index: c_int,
    base: NonNull<c_void>,
    len: usize,
}

// SAFETY: `base` is an I/O mapping, which is not tied to a thread.
unsafe impl Send for Bar {}

// SAFETY: Each access is one instruction on an I/O mapping; there is no other shared state.
unsafe impl Sync for Bar {}

impl Bar {
    /// Requests and maps base address register `index`; `name` is for `/proc/ioports` and the like.
    ///
    /// # Errors
    ///
    /// `EBUSY` if somebody else has the region, `EIO` if it cannot be mapped.
    pub(crate) fn request(pci: Arc<pci::Device>, index: u32, name: &'static CStr) -> Result<Self> {
        let len = pci.resource_len(index)?;
        let index = c_int::try_from(index)?;

        // SAFETY: The device is valid, `resource_len` has checked `index`, and `name` is static.
        to_result(unsafe {
            bindings::pci_request_region(pci.as_raw(), index, name.as_char_ptr())
        })?;

        // SAFETY: The device is valid, `index` is that of a region that we own.
        let base = unsafe { bindings::pci_iomap(pci.as_raw(), index, 0) };
        let Some(base) = NonNull::new(base) else {
            // SAFETY: The region was requested above.
            unsafe { bindings::pci_release_region(pci.as_raw(), index) };
            return Err(EIO);
        };

        // INVARIANT: The region was requested and mapped in full length above.
        Ok(Self {
            pci,
            index,
            base,
            len,
        })
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The address of a `T` at `offset`, or `None` if it is not inside or not aligned.
    pub(super) fn address<T>(&self, offset: usize) -> Option<*mut c_void> {
        let end = offset.checked_add(size_of::<T>())?;
        (end <= self.len && offset % size_of::<T>() == 0)
            .then(|| self.base.as_ptr().wrapping_byte_add(offset))
    }

    /// Reads a `T` at `offset`, or `None` if it is not inside or not aligned.
    pub(crate) fn read<T: Value>(&self, offset: usize) -> Option<T> {
        let address = self.address::<T>(offset)?;
        // SAFETY: By the type invariant and `address`, this is inside of a mapping.
        Some(unsafe { T::read(address) })
    }

    /// Writes `value` at `offset`, or returns `None` if it is not inside or not aligned.
    pub(crate) fn write<T: Value>(&self, offset: usize, value: T) -> Option<()> {
        let address = self.address::<T>(offset)?;
        // SAFETY: By the type invariant and `address`, this is inside of a mapping.
        unsafe { value.write(address) };
        Some(())
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, we own the mapping and the region.
        unsafe {
            bindings::pci_iounmap(self.pci.as_raw(), self.base.as_ptr());
            bindings::pci_release_region(self.pci.as_raw(), self.index);
        }
    }
}
