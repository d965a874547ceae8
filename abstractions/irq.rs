// SPDX-License-Identifier: GPL-2.0

//! Interrupts of PCI devices: vectors with affinity, and handlers with names made at run time.
//!
//! What [`kernel::irq`] and [`kernel::pci::IrqVector`] lack for a virtio transport: names that are
//! not static, `struct irq_affinity`, a handler that is a C function, and INTx without an
//! allocation.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)

use kernel::{
    bindings,
    cpumask::{
        Cpumask,
        CpumaskVar, //
    },
    error::to_result,
    prelude::*,
    sync::Arc,
    task::might_sleep, //
};

use super::{
    compat::irqreturn,
    pci,
    shared::Shared, //
};

pub(crate) use kernel::irq::IrqReturn;

/// How the vectors of a device are to be spread over the processors.
#[derive(Clone, Copy)]
pub(crate) struct Affinity(bindings::irq_affinity);

/// What makes two [`Affinity`] spread vectors in the same way.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pre_vectors: c_uint,
    post_vectors: c_uint,
    nr_sets: c_uint,
    set_size: [c_uint; 4],
}

impl Affinity {
    /// Copies `raw`.
    ///
    /// # Safety
    ///
    /// `raw` must be null or valid for a read.
    pub(super) unsafe fn from_raw(raw: *const bindings::irq_affinity) -> Option<Self> {
        // SAFETY: By the safety requirements.
        unsafe { raw.as_ref() }.map(|&raw| Self(raw))
    }

    /// What can be compared; `None` if a function of the virtio driver decides each time.
    pub(crate) fn spread(&self) -> Option<Spread> {
        self.0.calc_sets.is_none().then_some(Spread {
            pre_vectors: self.0.pre_vectors,
            post_vectors: self.0.post_vectors,
            nr_sets: self.0.nr_sets,
            set_size: self.0.set_size,
        })
    }

    /// With `count` more vectors in front that are not to be spread.
    pub(crate) fn with_reserved(mut self, count: u32) -> Self {
        self.0.pre_vectors = self.0.pre_vectors.saturating_add(count);
        self
    }
}

/// Allocates `count` MSI-X vectors, no more and no less; 0 or more is success.
///
/// # Safety
///
/// `pdev` must be valid, and `affinity` too or null.
#[cfg(CONFIG_PCI_MSI)]
unsafe fn allocate_vectors(
    pdev: *mut bindings::pci_dev,
    count: c_uint,
    flags: c_uint,
    affinity: *mut bindings::irq_affinity,
) -> c_int {
    // SAFETY: By the safety requirements.
    unsafe { bindings::pci_alloc_irq_vectors_affinity(pdev, count, count, flags, affinity) }
}

/// Refuses: this kernel has no MSI-X, and this is what its inline function in C returns.
///
/// # Safety
///
/// None; it has the type of the other one.
#[cfg(not(CONFIG_PCI_MSI))]
unsafe fn allocate_vectors(
    _pdev: *mut bindings::pci_dev,
    _count: c_uint,
    _flags: c_uint,
    _affinity: *mut bindings::irq_affinity,
) -> c_int {
    ENOSPC.to_errno()
}

/// Sets the affinity hint of an interrupt to `mask` or to null, and its affinity if `apply`.
///
/// As in C, a mask that the interrupt controller refuses stays a hint.
///
/// # Safety
///
/// `number` must be that of a registered interrupt, and `mask` valid until the next hint, or null.
#[cfg(CONFIG_SMP)]
unsafe fn set_hint(number: c_uint, mask: *const bindings::cpumask, apply: bool) {
    // SAFETY: By the safety requirements.
    unsafe { bindings::__irq_apply_affinity_hint(number, mask, apply) };
}

/// Does nothing: this kernel has one processor, and its inline function in C does the same.
///
/// # Safety
///
/// None; it has the type of the other one.
#[cfg(not(CONFIG_SMP))]
unsafe fn set_hint(_number: c_uint, _mask: *const bindings::cpumask, _apply: bool) {}

/// The MSI-X vectors of a device.
///
/// # Invariants
///
/// `count` MSI-X vectors of `pci` are allocated, by this.
pub(crate) struct Vectors {
    pci: Arc<pci::Device>,
    count: u16,
}

impl Vectors {
    /// Allocates `count` vectors and enables MSI-X.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if the device has fewer vectors, otherwise that of the PCI core.
    pub(crate) fn allocate(
        pci: Arc<pci::Device>,
        count: u16,
        affinity: Option<Affinity>,
    ) -> Result<Self> {
        let (flags, mut affinity) = match affinity {
            Some(affinity) => (
                bindings::PCI_IRQ_MSIX | bindings::PCI_IRQ_AFFINITY,
                affinity.0,
            ),
            None => (bindings::PCI_IRQ_MSIX, pin_init::zeroed()),
        };
        let descriptor = if flags & bindings::PCI_IRQ_AFFINITY != 0 {
            &raw mut affinity
        } else {
            core::ptr::null_mut()
        };

        // SAFETY: The device is valid, and so is the descriptor or null for this call.
        let allocated = unsafe { allocate_vectors(pci.as_raw(), count.into(), flags, descriptor) };
        to_result(allocated)?;

        // INVARIANT: The minimum and the maximum were `count`, and it did not fail.
        Ok(Self { pci, count })
    }

    /// The Linux interrupt number of `vector`.
    fn irq(&self, vector: u16) -> Result<c_uint> {
        if vector >= self.count {
            return Err(EINVAL);
        }
        // SAFETY: The device is valid.
        let irq = unsafe { bindings::pci_irq_vector(self.pci.as_raw(), vector.into()) };
        to_result(irq)?;
        Ok(irq.unsigned_abs())
    }
}

impl Drop for Vectors {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the vectors are ours. Each `Irq` that uses one of them
        // holds a reference to this, hence all handlers are freed.
        unsafe { bindings::pci_free_irq_vectors(self.pci.as_raw()) };
    }
}

/// One of the [`Vectors`] of a device.
#[derive(Clone)]
pub(crate) struct Vector {
    /// The vectors it is one of.
    pub(crate) vectors: Arc<Vectors>,
    /// Its number.
    pub(crate) number: u16,
}

impl Vector {
    /// The processors that the interrupt core has spread the vector to, or null.
    #[cfg(CONFIG_PCI_MSI)]
    pub(super) fn spread(&self) -> *const bindings::cpumask {
        // SAFETY: The device is valid, and a number without a vector gives null.
        unsafe { bindings::pci_irq_get_affinity(self.vectors.pci.as_raw(), self.number.into()) }
    }

    /// Null: there are no vectors.
    #[cfg(not(CONFIG_PCI_MSI))]
    pub(super) fn spread(&self) -> *const bindings::cpumask {
        core::ptr::null()
    }
}

/// Where interrupts come from.
#[derive(Clone)]
pub(crate) enum Line {
    /// An MSI-X vector.
    Vector(Vector),
    /// The INTx pin of a device, shared with other devices.
    Intx(Arc<pci::Device>),
    /// A line that is not shared, by its number.
    #[cfg(CONFIG_KUNIT = "y")]
    Number(c_uint),
}

impl Line {
    /// The INTx pin of `pci`, if it is connected.
    pub(crate) fn intx(pci: &Arc<pci::Device>) -> Option<Self> {
        // SAFETY: The device is valid, and its number is fixed while it is enabled.
        (unsafe { (*pci.as_raw()).irq } != 0).then(|| Self::Intx(pci.clone()))
    }

    fn number_and_flags(&self) -> Result<(c_uint, usize)> {
        match self {
            Self::Vector(Vector { vectors, number }) => Ok((vectors.irq(*number)?, 0)),
            Self::Intx(pci) => Ok((
                // SAFETY: The device is valid, and its number is fixed while it is enabled.
                unsafe { (*pci.as_raw()).irq },
                usize::try_from(bindings::IRQF_SHARED)?,
            )),
            #[cfg(CONFIG_KUNIT = "y")]
            Self::Number(number) => Ok((*number, 0)),
        }
    }
}

/// The name of an interrupt, for `/proc/interrupts`.
///
/// # Invariants
///
/// The bytes end with the only zero byte.
pub(crate) struct Name(KVec<u8>);

impl Name {
    /// Puts the name together; that costs less than to format it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(parts: &[&CStr]) -> Result<Self> {
        let lens = parts.iter().map(|part| part.count_bytes());
        let mut bytes = KVec::with_capacity(lens.fold(1, usize::saturating_add), GFP_KERNEL)?;
        for part in parts {
            bytes.extend_from_slice(part.to_bytes(), GFP_KERNEL)?;
        }
        bytes.push(0, GFP_KERNEL)?;
        // INVARIANT: The parts have no zero bytes, and one is pushed last.
        Ok(Self(bytes))
    }
}

/// Something that handles interrupts.
///
/// # Safety
///
/// [`Target::HANDLER`] must be safe to call, in interrupt context and on any processor, with
/// [`Target::cookie`] for as long as the [`Arc`] is held.
pub(crate) unsafe trait Target: Send + Sync {
    /// The function that the interrupt core calls.
    const HANDLER: unsafe extern "C" fn(c_int, *mut c_void) -> bindings::irqreturn_t;

    /// What it is called with.
    fn cookie(this: &Arc<Self>) -> *mut c_void;
}

/// A handler of interrupts in Rust.
pub(crate) trait Handler: Send + Sync {
    /// What the owner of the interrupt publishes to the handler, which needs no lock to use it.
    type Shared: Send + Sync;

    /// Handles an interrupt, in interrupt context, with what is published at the moment, if
    /// anything is.
    fn handle(&self, shared: Option<&Self::Shared>) -> IrqReturn;
}

/// A handler with what is published to it.
///
/// # Invariants
///
/// This belongs to one [`Irq`], which alone publishes, revokes and changes `shared`.
pub(crate) struct Handling<T: Handler> {
    handler: T,
    shared: Shared<T::Shared>,
}

// SAFETY: The cookie is a shared reference to a `Handling`, which may be used by any thread.
unsafe impl<T: Handler> Target for Handling<T> {
    const HANDLER: unsafe extern "C" fn(c_int, *mut c_void) -> bindings::irqreturn_t =
        handle_callback::<T>;

    fn cookie(this: &Arc<Self>) -> *mut c_void {
        Arc::as_ptr(this).cast_mut().cast()
    }
}

/// # Safety
///
/// Only for use as [`Target::HANDLER`] of `Handling<T>`.
unsafe extern "C" fn handle_callback<T: Handler>(
    _irq: c_int,
    cookie: *mut c_void,
) -> bindings::irqreturn_t {
    // SAFETY: By the safety requirements, `cookie` is that of a `Handling` that is kept alive.
    let this = unsafe { &*cookie.cast_const().cast::<Handling<T>>() };
    // SAFETY: `Irq::revoke` waits for the handlers of the interrupt, of which this is one.
    let shared = unsafe { this.shared.published() };
    irqreturn(this.handler.handle(shared))
}

/// A handler that is registered with the interrupt core.
///
/// # Invariants
///
/// `T::HANDLER` is registered for interrupt `number` with the name `name` and `target`'s cookie.
pub(crate) struct Irq<T: Target> {
    number: c_uint,
    target: Arc<T>,
    /// What the affinity hint points to, if there is one; boxed, so that it does not move.
    hint: Option<KBox<CpumaskVar>>,
    _name: Name,
    _line: Line,
}

// SAFETY: All fields are data that may be used by any thread.
unsafe impl<T: Target> Send for Irq<T> {}

impl<T: Target> Irq<T> {
    /// Has `target` handle the interrupts of `line`.
    pub(crate) fn request(line: Line, name: Name, target: Arc<T>) -> Result<Self> {
        let (number, flags) = line.number_and_flags()?;

        // SAFETY: By the contract of `Target`, the handler may be called with the cookie as long
        // as `target` is held. By its type invariant, `name` is a C string, whose bytes are
        // on the heap and do not move. Both are kept in `Self`, whose `Drop` frees the interrupt
        // first.
        to_result(unsafe {
            bindings::request_irq(
                number,
                Some(T::HANDLER),
                flags,
                name.0.as_ptr().cast(),
                T::cookie(&target),
            )
        })?;

        // INVARIANT: The handler was registered above.
        Ok(Self {
            number,
            target,
            hint: None,
            _name: name,
            _line: line,
        })
    }

    /// The Linux interrupt number.
    pub(crate) fn number(&self) -> c_uint {
        self.number
    }

    /// Waits until no handler of this interrupt runs any more.
    pub(crate) fn synchronize(&self) {
        // SAFETY: By the type invariant, `number` is a registered interrupt.
        unsafe { bindings::synchronize_irq(self.number) };
    }

    /// Sets the affinity and its hint to `mask`, or removes the hint.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, with the hint of before.
    pub(crate) fn set_affinity(&mut self, mask: Option<&Cpumask>) -> Result {
        let new = match mask {
            Some(mask) => {
                let mut copy = CpumaskVar::new_zero(GFP_KERNEL)?;
                mask.copy(&mut copy);
                Some(KBox::new(copy, GFP_KERNEL)?)
            }
            None => None,
        };
        self.clear_hint();
        if let Some(new) = new {
            let hint = self.hint.insert(new);
            // SAFETY: By the type invariant, `number` is a registered interrupt. The mask is valid
            // until the hint is removed, at the latest in `Drop`.
            unsafe { set_hint(self.number, hint.as_raw(), true) };
        }
        Ok(())
    }

    fn clear_hint(&mut self) {
        if self.hint.is_some() {
            // SAFETY: By the type invariant, `number` is a registered interrupt.
            unsafe { set_hint(self.number, core::ptr::null(), false) };
            self.hint = None;
        }
    }
}

impl<T: Handler> Irq<Handling<T>> {
    /// Has `handler` handle the interrupts of `line`, without anything that is published to it yet.
    pub(crate) fn handle(line: Line, name: Name, handler: T, shared: T::Shared) -> Result<Self> {
        // INVARIANT: Only the `Irq` gets this.
        let target = Handling {
            handler,
            shared: Shared::new(shared),
        };
        Self::request(line, name, Arc::new(target, GFP_KERNEL)?)
    }

    /// Publishes to the handler what it may use, until [`Irq::revoke`] or [`Irq::shared`].
    pub(crate) fn publish(&mut self) {
        self.target.shared.publish();
    }

    /// Ends what [`Irq::publish`] began, and waits until no handler runs any more.
    pub(crate) fn revoke(&mut self) {
        self.target.shared.revoke(|| self.synchronize());
    }

    /// What the handler may use; not until [`Irq::publish`] from here on.
    ///
    /// May sleep.
    pub(crate) fn shared(&mut self) -> &mut T::Shared {
        might_sleep();
        if self.target.shared.is_published() {
            self.revoke();
        }
        // SAFETY: Only this `Irq`, which is borrowed, publishes and changes the data. They are not
        // published; handlers that have seen them so were waited for, here or by the call that
        // revoked them.
        unsafe { &mut *self.target.shared.get_mut() }
    }
}

impl<T: Target> Drop for Irq<T> {
    fn drop(&mut self) {
        // The interrupt core warns of a handler that is freed with a hint.
        self.clear_hint();
        // SAFETY: By the type invariant, the handler is registered with this cookie.
        unsafe { bindings::free_irq(self.number, T::cookie(&self.target)) };
    }
}

#[kunit_tests(virtio_pci_rs_irq)]
mod tests {
    use super::*;
    use kernel::cpu::CpuId;

    /// An interrupt of the ISA bus that no device of a test machine has.
    const FREE: c_uint = 5;

    struct Nothing;

    impl Handler for Nothing {
        type Shared = u32;

        fn handle(&self, _shared: Option<&u32>) -> IrqReturn {
            IrqReturn::None
        }
    }

    fn request() -> Result<Irq<Handling<Nothing>>> {
        let name = Name::new(&[c"virtio_pci_rs_irq"])?;
        Irq::handle(Line::Number(FREE), name, Nothing, 0)
    }

    #[test]
    fn names_are_put_together() -> Result {
        assert_eq!(&*Name::new(&[c"a", c"-", c"bc"])?.0, b"a-bc\0");
        assert_eq!(&*Name::new(&[])?.0, b"\0");
        Ok(())
    }

    #[test]
    fn a_handler_is_freed_when_it_is_dropped() -> Result {
        drop(request()?);
        let irq = request()?;
        assert_eq!(irq.number(), FREE);
        irq.synchronize();
        drop(irq);
        request().map(drop)
    }

    /// Knows whether a number is published to it.
    struct Knows(u32);

    impl Handler for Knows {
        type Shared = u32;

        fn handle(&self, shared: Option<&u32>) -> IrqReturn {
            if shared == Some(&self.0) {
                IrqReturn::Handled
            } else {
                IrqReturn::None
            }
        }
    }

    #[test]
    fn a_handler_has_what_is_published_to_it() -> Result {
        let name = Name::new(&[c"virtio_pci_rs_irq"])?;
        let mut irq = Irq::handle(Line::Number(FREE), name, Knows(7), 0)?;
        let knows = |irq: &Irq<Handling<Knows>>| {
            // SAFETY: The cookie is that of the handler, which `irq` keeps.
            let handled = unsafe { handle_callback::<Knows>(0, Handling::cookie(&irq.target)) };
            handled == irqreturn(IrqReturn::Handled)
        };
        *irq.shared() = 7;
        assert!(!knows(&irq));
        irq.publish();
        assert!(knows(&irq));
        assert_eq!(*irq.shared(), 7);
        assert!(!knows(&irq));
        *irq.shared() = 8;
        irq.publish();
        assert!(!knows(&irq));
        Ok(())
    }

    #[test]
    fn a_handler_is_freed_with_a_hint() -> Result {
        let mut irq = request()?;
        let mut mask = CpumaskVar::new_zero(GFP_KERNEL)?;
        mask.set(CpuId::from_i32(0).ok_or(EINVAL)?);
        irq.set_affinity(Some(&mask))?;
        irq.set_affinity(None)?;
        irq.set_affinity(Some(&mask))?;
        drop(irq);
        request().map(drop)
    }

    #[test]
    fn reserved_vectors_add_up() {
        let affinity = Affinity(pin_init::zeroed())
            .with_reserved(1)
            .with_reserved(2);
        assert_eq!(affinity.0.pre_vectors, 3);
        let most = affinity.with_reserved(u32::MAX);
        assert_eq!(most.0.pre_vectors, u32::MAX);
    }
}
