// SPDX-License-Identifier: GPL-2.0

//! PCI drivers with power management and reset callbacks, and PCI devices that they enable.
//!
//! Upstream: `rust/kernel/pci.rs`. [`kernel::pci::Adapter`] has probe and unbind only; it would set
//! `device_driver::pm` ([`super::pm`]) and `err_handler`. [`Device`] would be methods of
//! `pci::Device<Bound>`, with the enable count and the COMMAND register in a guard.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use kernel::{
    bindings,
    device,
    driver,
    error::{
        to_result,
        VTABLE_DEFAULT_ERROR, //
    },
    fmt,
    pci,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Full,
            Relaxed,
            Release, //
        },
        Arc, //
    },
    types::Opaque,
    ThisModule, //
};

use super::{
    command::{
        self,
        Command,
        Known, //
    },
    compat::{
        device_name,
        driver_data,
        new_spinlock_irq,
        AtomicFlag,
        Core,
        CoreInternal,
        SpinLockIrq, //
    },
    pm, //
};

pub(crate) use super::compat::pci_device_table;
pub(crate) use kernel::pci::{
    DeviceId,
    IdTable,
    Vendor, //
};

/// A PCI device that is being probed.
pub(crate) type Probed<'a> = pci::Device<Core<'a>>;

/// The callbacks of a PCI driver.
///
/// All but [`Driver::probe`] are called for a device that was probed with success, with the data
/// that its probe returned, and never two of them at a time for a device: the driver core holds
/// the device lock. Those that are optional are null pointers in C if they are not there.
#[vtable]
pub(crate) trait Driver {
    /// What the driver keeps for a device it is bound to; it has the callbacks for system sleep.
    type Data: pm::Operations;

    /// The devices that this driver may be tried on.
    const ID_TABLE: IdTable<()>;

    /// Binds the driver to `pdev`. C: `pci_driver::probe`.
    ///
    /// # Errors
    ///
    /// The device is not bound; the driver core tries others, or again later for `EPROBE_DEFER`.
    fn probe(pdev: &Probed<'_>) -> Result<Self::Data>;

    /// Unbinds the driver; the data is dropped when this has returned. C: `pci_driver::remove`.
    fn unbind(data: &Self::Data);

    /// The device is about to be reset by the PCI core. C: `pci_error_handlers::reset_prepare`.
    fn reset_prepare(_data: &Self::Data) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The device was reset by the PCI core. C: `pci_error_handlers::reset_done`.
    fn reset_done(_data: &Self::Data) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// An adapter for the registration of a [`Driver`] with [`driver::Registration`].
pub(crate) struct Adapter<T: Driver>(T);

// SAFETY:
// - `bindings::pci_driver` is a C type declared as `repr(C)`.
// - `T::Data` is the type of the driver's device private data.
// - `struct pci_driver` embeds a `struct device_driver` at `DEVICE_DRIVER_OFFSET`.
unsafe impl<T: Driver> driver::DriverLayout for Adapter<T> {
    type DriverType = bindings::pci_driver;
    driver_data!(T::Data);
    const DEVICE_DRIVER_OFFSET: usize = core::mem::offset_of!(bindings::pci_driver, driver);
}

// SAFETY: `unregister` undoes exactly what a successful `register` did.
unsafe impl<T: Driver> driver::RegistrationOps for Adapter<T> {
    unsafe fn register(
        pdrv: &Opaque<bindings::pci_driver>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        let pdrv = pdrv.get();
        // SAFETY: `pdrv` is valid and not registered yet, hence nothing else accesses it. The
        // tables are `'static`. It is filled in when it is registered, and stays pinned until
        // `unregister`.
        to_result(unsafe {
            (*pdrv).name = name.as_char_ptr();
            (*pdrv).probe = Some(Self::probe_callback);
            (*pdrv).remove = Some(Self::unbind_callback);
            (*pdrv).id_table = T::ID_TABLE.as_ptr();
            (*pdrv).err_handler = &Self::ERROR_HANDLERS;
            (*pdrv).driver.pm = &Self::PM_OPS;
            bindings::__pci_register_driver(pdrv, module.as_ptr(), name.as_char_ptr())
        })
    }

    unsafe fn unregister(pdrv: &Opaque<bindings::pci_driver>) {
        // SAFETY: By the safety requirements, `pdrv` was registered.
        unsafe { bindings::pci_unregister_driver(pdrv.get()) }
    }
}

/// Defines trampolines for methods of [`Driver`] that take its data.
macro_rules! callbacks {
    ($($callback:ident => $method:ident),* $(,)?) => {$(
        /// # Safety
        ///
        /// Only for use in a `struct pci_driver` of `T`.
        unsafe extern "C" fn $callback(pdev: *mut bindings::pci_dev) {
            // SAFETY: The PCI core calls this with a device that is bound to this driver, for which
            // `probe_callback` has stored a `T::Data`.
            T::$method(unsafe { pm::driver_data(&raw mut (*pdev).dev) });
        }
    )*};
}

impl<T: Driver> Adapter<T> {
    const PM_OPS: bindings::dev_pm_ops = {
        // SAFETY: `probe_callback` stores a `T::Data`.
        unsafe { pm::table::<T::Data>() }
    };

    const ERROR_HANDLERS: bindings::pci_error_handlers = bindings::pci_error_handlers {
        reset_prepare: if T::HAS_RESET_PREPARE {
            Some(Self::reset_prepare_callback)
        } else {
            None
        },
        reset_done: if T::HAS_RESET_DONE {
            Some(Self::reset_done_callback)
        } else {
            None
        },
        ..pin_init::zeroed()
    };

    callbacks! {
        unbind_callback => unbind,
        reset_prepare_callback => reset_prepare,
        reset_done_callback => reset_done,
    }

    /// # Safety
    ///
    /// Only for use as `pci_driver::probe`.
    unsafe extern "C" fn probe_callback(
        pdev: *mut bindings::pci_dev,
        _id: *const bindings::pci_device_id,
    ) -> c_int {
        // SAFETY: The PCI core calls this with a valid device, which stays valid for the call.
        // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
        let pdev = unsafe { &*pdev.cast::<pci::Device<CoreInternal<'_>>>() };

        let data: Result<T::Data> = T::probe(pdev);
        pm::errno(pdev.as_ref().set_drvdata(data))
    }
}

/// Which device this is, by the configuration space.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct HardwareId {
    /// Vendor id, and device id in the upper half.
    id: u32,
    /// Those of the subsystem.
    subsystem: u32,
}

impl fmt::Display for HardwareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = |id: u32| (id & 0xffff, id >> 16);
        let ((vendor, device), (subvendor, subdevice)) = (parts(self.id), parts(self.subsystem));
        write!(
            f,
            "{vendor:04x}:{device:04x} (subsystem {subvendor:04x}:{subdevice:04x})"
        )
    }
}

/// A capability in the configuration space of a device.
#[derive(Clone, Copy)]
pub(crate) struct Capability {
    position: u8,
    id: c_int,
}

/// What the configuration space says of a device whose registers read as all ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It reads as all ones as well.
    Absent,
    /// The device does not decode the addresses of its BARs; the COMMAND register.
    NotDecoding(u16),
    /// It answers.
    Present,
}

/// Reads a field of the `struct pci_dev` of a [`Device`].
macro_rules! field {
    ($device:expr, $($field:tt)+) => {
        // SAFETY: By its type, the device is valid. The field is an integer that was set when the
        // device was found and does not change while it is enabled.
        unsafe { (*$device.as_raw()).$($field)+ }
    };
}

/// The COMMAND register of a device.
struct CommandRegister<'a>(&'a Device);

impl command::Register for CommandRegister<'_> {
    fn read(&self) -> Known {
        let command = self.0.read_config_word(bindings::PCI_COMMAND);
        let command = u32::from(command.unwrap_or(u16::MAX));
        Known {
            intx_disabled: command & bindings::PCI_COMMAND_INTX_DISABLE != 0,
            master: command & bindings::PCI_COMMAND_MASTER != 0,
        }
    }

    fn set_intx(&self, on: bool) {
        // SAFETY: By its type, the device is valid. The PCI core takes a spinlock at the most.
        unsafe { bindings::pci_intx(self.0.as_raw(), on.into()) };
    }

    fn mask_asserted_intx(&self) -> bool {
        // SAFETY: By its type, the device is valid. The PCI core takes a raw spinlock.
        unsafe { bindings::pci_check_and_mask_intx(self.0.as_raw()) }
    }

    fn set_master(&self, on: bool) {
        let pdev = self.0.as_raw();
        // SAFETY: By its type, the device is valid. The functions take no lock that sleeps.
        unsafe {
            if on {
                bindings::pci_set_master(pdev);
            } else {
                bindings::pci_clear_master(pdev);
            }
        }
    }
}

/// A PCI device that a driver of this module was or is bound to, with an enable count that is
/// always balanced.
#[pin_data(PinnedDrop)]
pub(crate) struct Device {
    pdev: ARef<pci::Device>,
    enabled: AtomicFlag,
    /// Whether there are [`super::irq::Vectors`].
    has_vectors: AtomicFlag,
    intx_masked: AtomicFlag,
    #[pin]
    command: SpinLockIrq<Known>,
}

impl Device {
    /// Refers to `pdev`, which is not enabled by this.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(pdev: &Probed<'_>) -> Result<Arc<Self>> {
        let pdev: &pci::Device = pdev;
        Arc::pin_init(
            pin_init!(Self {
                pdev: pdev.into(),
                enabled: AtomicFlag::new(false),
                has_vectors: AtomicFlag::new(false),
                intx_masked: AtomicFlag::new(Known::DISABLED.intx_disabled),
                command <- new_spinlock_irq!(Known::DISABLED),
            }),
            GFP_KERNEL,
        )
    }

    pub(super) fn as_raw(&self) -> *mut bindings::pci_dev {
        // CAST: `pci::Device` is a transparent wrapper of `Opaque<struct pci_dev>`.
        core::ptr::from_ref::<pci::Device>(&self.pdev)
            .cast::<bindings::pci_dev>()
            .cast_mut()
    }

    pub(super) fn as_raw_dev(&self) -> *mut bindings::device {
        let offset = core::mem::offset_of!(bindings::pci_dev, dev);
        self.as_raw().wrapping_byte_add(offset).cast()
    }

    /// The PCI device id.
    pub(crate) fn device_id(&self) -> u16 {
        self.pdev.device_id()
    }

    /// The PCI revision.
    pub(crate) fn revision_id(&self) -> u8 {
        self.pdev.revision_id()
    }

    /// The PCI subsystem vendor id.
    pub(crate) fn subsystem_vendor_id(&self) -> u16 {
        self.pdev.subsystem_vendor_id()
    }

    /// The PCI subsystem device id.
    pub(crate) fn subsystem_device_id(&self) -> u16 {
        self.pdev.subsystem_device_id()
    }

    /// Length of base address register `bar` in bytes, 0 if there is none.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `bar` is out of range, `EOVERFLOW` if it has more than there are addresses.
    pub(crate) fn resource_len(&self, bar: u32) -> Result<usize> {
        Ok(usize::try_from(self.pdev.resource_len(bar)?)?)
    }

    /// Enables I/O ports, memory and INTx, if that was not done yet. Bus mastering is off then.
    pub(crate) fn enable(&self) -> Result {
        if self.is_enabled() {
            return Ok(());
        }
        // SAFETY: By its type, the device is valid. `enabled` has this undone.
        to_result(unsafe { bindings::pci_enable_device(self.as_raw()) })?;
        self.enabled.store(true, Relaxed);
        // The PCI core unmasks INTx for the first one that enables the device.
        self.command().enabled();
        Ok(())
    }

    /// Disables the device and its bus mastering, if [`Device::enable`] was successful before and
    /// no other driver has the device enabled.
    pub(crate) fn disable(&self) {
        if self.enabled.xchg(false, Full) {
            self.command().disabled();
            // SAFETY: By its type, the device is valid. By the flag, this undoes one
            // `pci_enable_device`.
            unsafe { bindings::pci_disable_device(self.as_raw()) };
        }
    }

    /// Whether the device is enabled by this driver.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    fn command(&self) -> Command<'_, CommandRegister<'_>, SpinLockIrq<Known>> {
        Command {
            register: CommandRegister(self),
            known: &self.command,
            intx_masked: &self.intx_masked,
        }
    }

    /// Lets the device access memory, or keeps it from that.
    pub(crate) fn set_master(&self, on: bool) {
        self.command().set_master(on);
    }

    /// Masks INTx if the device asserts it, until [`Device::set_intx_masked`]. Returns whether it
    /// did.
    ///
    /// May be called in interrupt context.
    pub(crate) fn mask_asserted_intx(&self) -> bool {
        self.command().mask_asserted_intx()
    }

    /// Masks or unmasks INTx.
    pub(crate) fn set_intx_masked(&self, masked: bool) {
        self.command().set_intx_masked(masked);
    }

    /// Records what the PCI core has made of the COMMAND register, as when it enables MSI-X
    /// or restores the configuration space.
    pub(crate) fn refresh_command(&self) {
        self.command().refresh();
    }

    /// Records that another device is in the slot, whose COMMAND register is left alone.
    pub(crate) fn forget_command(&self) {
        self.command().forget();
    }

    /// Whether INTx is masked, so that an interrupt of the line is another device's.
    #[inline(always)]
    pub(crate) fn intx_is_masked(&self) -> bool {
        self.intx_masked.load(Relaxed)
    }

    /// Checks in the configuration space whether the device is there and decodes its first BAR.
    /// May be called in any context.
    pub(crate) fn presence(&self) -> Presence {
        let flags = field!(self, resource[0].flags);
        // CAST: It has at least 32 bits.
        let decoded = if flags & bindings::IORESOURCE_IO as usize != 0 {
            bindings::PCI_COMMAND_IO
        } else {
            bindings::PCI_COMMAND_MEMORY
        };
        match self.read_config_word(bindings::PCI_COMMAND) {
            Ok(u16::MAX) | Err(_) => Presence::Absent,
            Ok(command) if u32::from(command) & decoded == 0 => Presence::NotDecoding(command),
            Ok(_) => Presence::Present,
        }
    }

    /// Sets the masks for streaming and for coherent DMA to that many address bits; `_probed`
    /// shows that the device is being probed, hence does no DMA yet.
    ///
    /// # Errors
    ///
    /// The platform cannot do DMA with such addresses.
    pub(crate) fn set_dma_bits(
        &self,
        _probed: &Probed<'_>,
        streaming: u32,
        coherent: u32,
    ) -> Result {
        let mask = |bits: u32| 1u64.checked_shl(bits).map_or(u64::MAX, |end| end - 1);
        let device = self.as_raw_dev();
        // SAFETY: The device is being probed, hence no DMA mapping of it exists yet.
        to_result(unsafe {
            match bindings::dma_set_mask(device, mask(streaming)) {
                0 => bindings::dma_set_coherent_mask(device, mask(coherent)),
                error => error,
            }
        })
    }

    /// The name of the device on its bus, such as `0000:00:05.0`.
    pub(crate) fn name(&self) -> &CStr {
        device_name(self.as_ref())
    }

    /// What the configuration space says now of which device this is.
    ///
    /// # Errors
    ///
    /// `ENODEV` if no device answers.
    pub(crate) fn read_identity(&self) -> Result<HardwareId> {
        // SAFETY: `as_raw` is valid, and the bit was set when the device was found.
        if unsafe { (*self.as_raw()).is_virtfn() } != 0 {
            // The ids of a virtual function read as all ones; those of its physical one count.
            return Ok(self.identity());
        }
        let id = self.read_config_dword(bindings::PCI_VENDOR_ID)?;
        if id == u32::MAX {
            return Err(ENODEV);
        }
        Ok(HardwareId {
            id,
            subsystem: self.read_config_dword(bindings::PCI_SUBSYSTEM_VENDOR_ID)?,
        })
    }

    /// What [`Device::read_identity`] said when the device was found.
    pub(crate) fn identity(&self) -> HardwareId {
        let dword = |vendor: u16, device: u16| u32::from(vendor) | u32::from(device) << 16;
        HardwareId {
            id: dword(self.pdev.vendor_id().as_raw(), self.device_id()),
            subsystem: dword(self.subsystem_vendor_id(), self.subsystem_device_id()),
        }
    }

    fn read_config_dword(&self, offset: u32) -> Result<u32> {
        let offset = c_int::try_from(offset)?;
        let mut value = u32::MAX;
        // SAFETY: By its type, the device is valid; `value` is written to before this returns.
        unsafe { bindings::pci_read_config_dword(self.as_raw(), offset, &mut value) };
        Ok(value)
    }

    fn read_config_word(&self, offset: u32) -> Result<u16> {
        let offset = c_int::try_from(offset)?;
        let mut value = u16::MAX;
        // SAFETY: As in `read_config_dword`.
        unsafe { bindings::pci_read_config_word(self.as_raw(), offset, &mut value) };
        Ok(value)
    }

    /// Whether the MSI-X capability, if there is one, says that MSI-X is enabled.
    pub(crate) fn msix_is_enabled(&self) -> bool {
        let msix_cap = field!(self, msix_cap);
        if msix_cap == 0 {
            return false;
        }
        let control = self.read_config_word(u32::from(msix_cap) + bindings::PCI_MSIX_FLAGS);
        control.is_ok_and(|control| u32::from(control) & bindings::PCI_MSIX_FLAGS_ENABLE != 0)
    }

    /// Whether the device has an MSI-X capability.
    pub(crate) fn has_msix(&self) -> bool {
        field!(self, msix_cap) != 0
    }

    /// The first vendor-specific capability. C: `pci_find_capability()`.
    pub(crate) fn first_vendor_capability(&self) -> Option<Capability> {
        let id = c_int::try_from(bindings::PCI_CAP_ID_VNDR).ok()?;
        // SAFETY: By its type, the device is valid. The function only reads.
        let position = unsafe { bindings::pci_find_capability(self.as_raw(), id) };
        (position != 0).then_some(Capability { position, id })
    }

    /// The next capability of the same kind. C: `pci_find_next_capability()`.
    pub(crate) fn next_capability(&self, last: Capability) -> Option<Capability> {
        let Capability { position, id } = last;
        // SAFETY: By its type, the device is valid. The function only reads, wherever it begins.
        let position = unsafe { bindings::pci_find_next_capability(self.as_raw(), position, id) };
        (position != 0).then_some(Capability { position, id })
    }

    /// The number of the interrupt of INTx; 0 if it is not connected.
    pub(super) fn irq(&self) -> c_uint {
        field!(self, irq)
    }

    /// Allocates `count` MSI-X vectors, no more and no less, which one owner has at a time. C:
    /// `pci_alloc_irq_vectors_affinity()`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if they are allocated, `ENOSPC` if the device has fewer or the kernel has no MSI-X,
    /// otherwise that of the PCI core.
    pub(super) fn alloc_vectors(
        &self,
        count: u16,
        affinity: Option<&mut bindings::irq_affinity>,
    ) -> Result {
        if self.has_vectors.xchg(true, Full) {
            return Err(EBUSY);
        }
        #[cfg(CONFIG_PCI_MSI)]
        let allocated = {
            let (flags, affinity): (_, *mut bindings::irq_affinity) = match affinity {
                Some(affinity) => (bindings::PCI_IRQ_AFFINITY, affinity),
                None => (0, core::ptr::null_mut()),
            };
            let (pdev, count) = (self.as_raw(), count.into());
            let flags = flags | bindings::PCI_IRQ_MSIX;
            // SAFETY: By its type, the device is valid. By the flag, it has no vectors, and nothing
            // else allocates any. `affinity` is null or borrowed for the call.
            to_result(unsafe {
                bindings::pci_alloc_irq_vectors_affinity(pdev, count, count, flags, affinity)
            })
        };
        // This is what the inline function in C returns.
        #[cfg(not(CONFIG_PCI_MSI))]
        let allocated: Result = {
            let _ = (count, affinity);
            Err(ENOSPC)
        };
        if allocated.is_err() {
            self.has_vectors.store(false, Release);
        }
        allocated
    }

    /// Frees the vectors. C: `pci_free_irq_vectors()`.
    ///
    /// # Safety
    ///
    /// The caller must have them allocated with [`Device::alloc_vectors`], and have freed all
    /// handlers.
    pub(super) unsafe fn free_vectors(&self) {
        // SAFETY: By its type, the device is valid; the rest is by the safety requirements.
        unsafe { bindings::pci_free_irq_vectors(self.as_raw()) };
        self.has_vectors.store(false, Release);
    }

    /// The number of the interrupt of `vector`. C: `pci_irq_vector()`.
    pub(super) fn irq_vector(&self, vector: u16) -> Result<c_uint> {
        // SAFETY: By its type, the device is valid; the function refuses what is no vector.
        let irq = unsafe { bindings::pci_irq_vector(self.as_raw(), vector.into()) };
        to_result(irq)?;
        Ok(irq.unsigned_abs())
    }

    /// The processors that `vector` is spread to, or null. C: `pci_irq_get_affinity()`.
    pub(super) fn irq_affinity(&self, vector: u16) -> *const bindings::cpumask {
        #[cfg(CONFIG_PCI_MSI)]
        {
            // SAFETY: By its type, the device is valid; the function refuses what is no vector.
            unsafe { bindings::pci_irq_get_affinity(self.as_raw(), vector.into()) }
        }
        #[cfg(not(CONFIG_PCI_MSI))]
        {
            let _ = vector;
            core::ptr::null()
        }
    }

    /// Reads the byte at `offset` in a capability; all ones if the device does not answer.
    pub(crate) fn read_capability(&self, capability: Capability, offset: u8) -> u8 {
        let position = c_int::from(capability.position) + c_int::from(offset);
        let mut value = 0;
        // SAFETY: As in `read_config_dword`.
        unsafe { bindings::pci_read_config_byte(self.as_raw(), position, &mut value) };
        value
    }

    /// Whether a transition from D3 to D0 keeps the state of the device (No_Soft_Reset).
    ///
    /// # Errors
    ///
    /// `ENXIO` if the device does not answer.
    pub(crate) fn keeps_state_in_d3(&self) -> Result<bool> {
        let pm_cap = field!(self, pm_cap);
        if pm_cap == 0 {
            return Ok(false);
        }
        let pmcsr = self.read_config_word(u32::from(pm_cap) + bindings::PCI_PM_CTRL)?;
        if pmcsr == u16::MAX {
            return Err(ENXIO);
        }
        Ok(u32::from(pmcsr) & bindings::PCI_PM_CTRL_NO_SOFT_RESET != 0)
    }
}

#[pinned_drop]
impl PinnedDrop for Device {
    fn drop(self: Pin<&mut Self>) {
        self.disable();
    }
}

impl AsRef<device::Device> for Device {
    fn as_ref(&self) -> &device::Device {
        self.pdev.as_ref()
    }
}
