// SPDX-License-Identifier: GPL-2.0

//! Base address registers of PCI devices that are I/O ports or memory.
//!
//! [`kernel::pci::Bar`] is for memory only: it maps I/O ports as well, and then faults at the
//! first access. Where the processor tells ports from memory, as on x86, so do `ioread*()` and
//! `iowrite*()` of C; everywhere else, `pci_iomap()` maps ports as memory.
//!
//! C header: [`include/asm-generic/iomap.h`](srctree/include/asm-generic/iomap.h)

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

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

/// The C functions that access what `pci_iomap()` has mapped.
#[cfg(CONFIG_GENERIC_IOMAP)]
mod raw {
    pub(super) use kernel::bindings::{
        ioread16,
        ioread32,
        ioread8,
        iowrite16,
        iowrite32,
        iowrite8, //
    };
}

/// The C functions that access what `pci_iomap()` has mapped: here the `ioread*()` and
/// `iowrite*()` of C are inline, and are these.
#[cfg(not(CONFIG_GENERIC_IOMAP))]
mod raw {
    pub(super) use kernel::bindings::{
        readb as ioread8,
        readl as ioread32,
        readw as ioread16,
        writeb as iowrite8,
        writel as iowrite32,
        writew as iowrite16, //
    };
}

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
                #[inline(always)]
                unsafe fn read(address: *mut c_void) -> Self {
                    // SAFETY: By the safety requirements.
                    let value = unsafe { raw::$read(address) };
                    // Some of the C functions return `unsigned int` with the upper bits clear.
                    value as $ty // CAST: The value is that of a register of this width.
                }

                #[inline(always)]
                unsafe fn write(self, address: *mut c_void) {
                    // SAFETY: By the safety requirements.
                    unsafe { raw::$write(self, address) }
                }
            }
        };
    }

    impl_raw!(u8, ioread8, iowrite8);
    impl_raw!(u16, ioread16, iowrite16);
    impl_raw!(u32, ioread32, iowrite32);
}

/// Writes `value` to a register.
///
/// # Safety
///
/// `address` must be a mapping by a [`Bar`] of at least `size_of::<T>()` bytes.
#[inline(always)]
pub(super) unsafe fn write<T: Value>(address: *mut c_void, value: T) {
    // SAFETY: By the safety requirements.
    unsafe { value.write(address) }
}

/// I/O ports or memory of a device, mapped.
///
/// # Invariants
///
/// `base` is the mapping of `len` bytes.
struct Window {
    base: NonNull<c_void>,
    len: usize,
}

impl Window {
    /// The address of a `T` at `offset`, or `None` if it is not inside or not aligned.
    fn address<T>(&self, offset: usize) -> Option<*mut c_void> {
        let end = offset.checked_add(size_of::<T>())?;
        (end <= self.len && offset % size_of::<T>() == 0)
            .then(|| self.base.as_ptr().wrapping_byte_add(offset))
    }

    fn read<T: Value>(&self, offset: usize) -> Option<T> {
        let address = self.address::<T>(offset)?;
        // SAFETY: By the type invariant and `address`, this is inside of a mapping.
        Some(unsafe { T::read(address) })
    }

    fn write<T: Value>(&self, offset: usize, value: T) -> Option<()> {
        let address = self.address::<T>(offset)?;
        // SAFETY: By the type invariant and `address`, this is inside of a mapping.
        unsafe { value.write(address) };
        Some(())
    }
}

/// A requested and mapped base address register.
///
/// # Invariants
///
/// `window` is the mapping of base address register `index` of `pci`, whose region this owns.
pub(crate) struct Bar {
    pci: Arc<pci::Device>,
    index: c_int,
    window: Window,
}

// SAFETY: The window is an I/O mapping, which is not tied to a thread.
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
            window: Window { base, len },
        })
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.window.len
    }

    /// The address of a `T` at `offset`, or `None` if it is not inside or not aligned.
    pub(super) fn address<T>(&self, offset: usize) -> Option<*mut c_void> {
        self.window.address::<T>(offset)
    }

    /// Reads a `T` at `offset`, or `None` if it is not inside or not aligned.
    pub(crate) fn read<T: Value>(&self, offset: usize) -> Option<T> {
        self.window.read(offset)
    }

    /// Writes `value` at `offset`, or returns `None` if it is not inside or not aligned.
    pub(crate) fn write<T: Value>(&self, offset: usize, value: T) -> Option<()> {
        self.window.write(offset, value)
    }
}

/// Reads one register of a [`Bar`], whose offset was checked before.
///
/// # Invariants
///
/// `address` is that of a `T` in the mapping of `_bar`.
pub(crate) struct Reader<T> {
    address: *mut c_void,
    _bar: Arc<Bar>,
    _value: PhantomData<T>,
}

// SAFETY: The address is that of an I/O mapping, which is not tied to a thread.
unsafe impl<T> Send for Reader<T> {}

// SAFETY: Each access is one instruction on an I/O mapping; there is no other shared state.
unsafe impl<T> Sync for Reader<T> {}

impl<T: Value> Reader<T> {
    /// The register at `offset`, or `None` if it is not inside or not aligned.
    pub(crate) fn new(bar: Arc<Bar>, offset: usize) -> Option<Self> {
        // INVARIANT: That is what `address` gives.
        Some(Self {
            address: bar.address::<T>(offset)?,
            _bar: bar,
            _value: PhantomData,
        })
    }

    /// Reads it.
    #[inline(always)]
    pub(crate) fn read(&self) -> T {
        // SAFETY: By the type invariant.
        unsafe { T::read(self.address) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, we own the mapping and the region.
        unsafe {
            bindings::pci_iounmap(self.pci.as_raw(), self.window.base.as_ptr());
            bindings::pci_release_region(self.pci.as_raw(), self.index);
        }
    }
}

#[kunit_tests(virtio_pci_rs_io)]
mod tests {
    use super::*;

    /// Sixteen bytes of memory that stand for registers: 0x00, 0x11, 0x22 and so on.
    fn with_registers(f: impl FnOnce(Window)) {
        let mut memory: [u64; 2] = [0x7766_5544_3322_1100, 0xffee_ddcc_bbaa_9988].map(u64::to_le);
        let base = NonNull::from(&mut memory).cast();
        f(Window {
            base,
            len: size_of_val(&memory),
        });
    }

    #[test]
    fn a_register_is_read_with_its_width() {
        with_registers(|window| {
            assert_eq!(window.read::<u8>(9), Some(0x99));
            assert_eq!(window.read::<u16>(10), Some(0xbbaa));
            assert_eq!(window.read::<u32>(12), Some(0xffee_ddcc));
        });
    }

    #[test]
    fn a_register_is_written_with_its_width() {
        with_registers(|window| {
            assert_eq!(window.write(0, 0x12_u8), Some(()));
            assert_eq!(window.read::<u32>(0), Some(0x3322_1112));
            assert_eq!(window.write(2, 0x3456_u16), Some(()));
            assert_eq!(window.read::<u32>(0), Some(0x3456_1112));
            assert_eq!(window.write(4, 0x789a_bcde_u32), Some(()));
            assert_eq!(window.read::<u32>(4), Some(0x789a_bcde));
            assert_eq!(window.read::<u32>(8), Some(0xbbaa_9988));
        });
    }

    #[test]
    fn what_is_outside_or_not_aligned_is_not_accessed() {
        with_registers(|window| {
            assert_eq!(window.read::<u8>(16), None);
            assert_eq!(window.read::<u16>(15), None);
            assert_eq!(window.read::<u32>(13), None);
            assert_eq!(window.read::<u16>(1), None);
            assert_eq!(window.read::<u32>(2), None);
            assert_eq!(window.read::<u32>(usize::MAX), None);
            assert_eq!(window.write(usize::MAX - 3, 0_u32), None);
            assert_eq!(window.write(16, 0_u8), None);
        });
    }
}
