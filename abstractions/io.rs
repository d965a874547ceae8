// SPDX-License-Identifier: GPL-2.0

//! Base address registers of PCI devices that are I/O ports or memory.
//!
//! Upstream: `rust/kernel/pci/io.rs`, as an `IoBackend` for what `pci_iomap()` has mapped.
//!
//! [`kernel::pci::Bar`] is for memory only: it maps I/O ports as well, and then faults at the
//! first access. Where the processor tells ports from memory, as on x86, so do `ioread*()` and
//! `iowrite*()` of C; everywhere else, `pci_iomap()` maps ports as memory.
//!
//! C header: [`include/asm-generic/iomap.h`](srctree/include/asm-generic/iomap.h)

use core::marker::PhantomData;

use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    sync::Arc, //
};

use super::pci;

/// The address of a register.
///
/// # Invariants
///
/// It is that of a `T` in a mapping by `pci_iomap()`, or in memory, which is there when it is used.
pub(crate) struct Address<T> {
    raw: *mut c_void,
    _value: PhantomData<T>,
}

// SAFETY: An I/O mapping is not tied to a thread, and each access to it is one instruction.
unsafe impl<T> Send for Address<T> {}

// SAFETY: As above.
unsafe impl<T> Sync for Address<T> {}

impl<T: Value> Address<T> {
    /// Reads the register.
    #[inline(always)]
    fn read(&self) -> T {
        T::read(self)
    }

    /// Writes the register.
    #[inline(always)]
    fn write(&self, value: T) {
        value.write(self);
    }
}

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
        fn read(address: &Address<Self>) -> Self;

        fn write(self, address: &Address<Self>);
    }

    /// Implements [`Raw`] for an integer.
    macro_rules! impl_raw {
        ($ty:ty, $read:ident, $write:ident) => {
            impl Raw for $ty {
                #[inline(always)]
                fn read(address: &Address<Self>) -> Self {
                    // SAFETY: By the type invariant of `Address`.
                    let value = unsafe { raw::$read(address.raw) };
                    // Some of the C functions return `unsigned int` with the upper bits clear.
                    value as $ty // CAST: The value is that of a register of this width.
                }

                #[inline(always)]
                fn write(self, address: &Address<Self>) {
                    // SAFETY: By the type invariant of `Address`.
                    unsafe { raw::$write(self, address.raw) }
                }
            }
        };
    }

    impl_raw!(u8, ioread8, iowrite8);
    impl_raw!(u16, ioread16, iowrite16);
    impl_raw!(u32, ioread32, iowrite32);
}

/// I/O ports or memory of a device, mapped.
///
/// # Invariants
///
/// `base` is the mapping of `len` bytes.
struct Window {
    base: Address<()>,
    len: usize,
}

impl Window {
    /// The address of a `T` at `offset`, or `None` if it is not inside or not aligned.
    fn address<T>(&self, offset: usize) -> Option<Address<T>> {
        let end = offset.checked_add(size_of::<T>())?;
        let is_inside = end <= self.len && offset % size_of::<T>() == 0;
        // INVARIANT: By the type invariant and the test, this is inside of the mapping.
        is_inside.then(|| Address {
            raw: self.base.raw.wrapping_byte_add(offset),
            _value: PhantomData,
        })
    }

    fn read<T: Value>(&self, offset: usize) -> Option<T> {
        Some(self.address::<T>(offset)?.read())
    }

    fn write<T: Value>(&self, offset: usize, value: T) -> Option<()> {
        self.address::<T>(offset)?.write(value);
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

impl Bar {
    /// Requests and maps base address register `index`; `name` is for `/proc/ioports` and the like.
    /// C: `pci_request_region()`, `pci_iomap()`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if somebody else has the region, `EIO` if it cannot be mapped.
    pub(crate) fn request(pci: Arc<pci::Device>, index: u32, name: &'static CStr) -> Result<Self> {
        let len = pci.resource_len(index)?;
        let index = c_int::try_from(index)?;

        let pdev = pci.as_raw();
        // SAFETY: By its type, the device is valid. `resource_len` has checked `index`, and `name`
        // is static. The region is ours when it is mapped, and when it is released.
        let base = unsafe {
            to_result(bindings::pci_request_region(
                pdev,
                index,
                name.as_char_ptr(),
            ))?;
            let base = bindings::pci_iomap(pdev, index, 0);
            if base.is_null() {
                bindings::pci_release_region(pdev, index);
                return Err(EIO);
            }
            base
        };

        // INVARIANT: It was mapped above, until this is dropped.
        let base = Address {
            raw: base,
            _value: PhantomData,
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

    /// Reads a `T` at `offset`, or `None` if it is not inside or not aligned.
    pub(crate) fn read<T: Value>(&self, offset: usize) -> Option<T> {
        self.window.read(offset)
    }

    /// Writes `value` at `offset`, or returns `None` if it is not inside or not aligned.
    pub(crate) fn write<T: Value>(&self, offset: usize, value: T) -> Option<()> {
        self.window.write(offset, value)
    }
}

/// One register of a [`Bar`], whose offset was checked before.
///
/// # Invariants
///
/// `address` is in the mapping of `_bar`.
pub(crate) struct Port<T> {
    address: Address<T>,
    _bar: Arc<Bar>,
}

impl<T: Value> Port<T> {
    /// The register at `offset`, or `None` if it is not inside or not aligned.
    pub(crate) fn new(bar: Arc<Bar>, offset: usize) -> Option<Self> {
        // INVARIANT: That is what `address` gives.
        Some(Self {
            address: bar.window.address(offset)?,
            _bar: bar,
        })
    }

    /// Reads it.
    #[inline(always)]
    pub(crate) fn read(&self) -> T {
        self.address.read()
    }

    /// Its address, for [`Port::write_raw`].
    pub(super) fn as_raw(&self) -> *mut c_void {
        self.address.raw
    }

    /// Writes `value` to the port with the address `raw`.
    ///
    /// # Safety
    ///
    /// `raw` must be from [`Port::as_raw`] of a port that is still there.
    #[inline(always)]
    pub(super) unsafe fn write_raw(raw: *mut c_void, value: T) {
        // INVARIANT: By the safety requirements.
        let address = Address {
            raw,
            _value: PhantomData,
        };
        address.write(value);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        let pdev = self.pci.as_raw();
        // SAFETY: By its type, the device is valid. By the type invariant, the mapping and the
        // region are ours; by that of `Port`, no register is used any more.
        unsafe {
            bindings::pci_iounmap(pdev, self.window.base.raw);
            bindings::pci_release_region(pdev, self.index);
        }
    }
}

#[kunit_tests(virtio_pci_rs_io)]
mod tests {
    use super::*;

    /// Sixteen bytes of memory that stand for registers: 0x00, 0x11, 0x22 and so on.
    fn with_registers(f: impl FnOnce(Window)) {
        let mut memory: [u64; 2] = [0x7766_5544_3322_1100, 0xffee_ddcc_bbaa_9988].map(u64::to_le);
        // INVARIANT: The memory is there until this returns.
        let base = Address {
            raw: (&raw mut memory).cast(),
            _value: PhantomData,
        };
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
