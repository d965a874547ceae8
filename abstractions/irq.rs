// SPDX-License-Identifier: GPL-2.0

//! Interrupts of PCI devices: vectors with affinity, and handlers with names made at run time.
//!
//! Upstream: `rust/kernel/pci/irq.rs` would take `struct irq_affinity`, and `rust/kernel/irq.rs` a
//! name that is not static, a C function as a handler, and data that are published to a handler.
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
    str::CString,
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
#[repr(transparent)]
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
    /// What can be compared; `None` if a function of the virtio driver decides each time.
    pub(crate) fn spread(&self) -> Option<Spread> {
        self.0.calc_sets.is_none().then_some(Spread {
            pre_vectors: self.0.pre_vectors,
            post_vectors: self.0.post_vectors,
            nr_sets: self.0.nr_sets,
            set_size: self.0.set_size,
        })
    }

    /// A copy with `count` more vectors in front that are not to be spread.
    fn with_reserved(&self, count: u32) -> Self {
        Self(bindings::irq_affinity {
            pre_vectors: self.0.pre_vectors.saturating_add(count),
            ..self.0
        })
    }
}

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
    /// Allocates `count` vectors and enables MSI-X. The first `reserved` of them are not spread, if
    /// the others are. C: `pci_alloc_irq_vectors_affinity()`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there are [`Vectors`] already, `ENOSPC` if the device has fewer, otherwise that
    /// of the PCI core.
    pub(crate) fn allocate(
        pci: Arc<pci::Device>,
        count: u16,
        affinity: Option<&Affinity>,
        reserved: u32,
    ) -> Result<Self> {
        let mut affinity = affinity.map(|affinity| affinity.with_reserved(reserved));
        pci.alloc_vectors(count, affinity.as_mut().map(|affinity| &mut affinity.0))?;
        // INVARIANT: They were allocated above.
        Ok(Self { pci, count })
    }

    /// The Linux interrupt number of `vector`.
    fn irq(&self, vector: u16) -> Result<c_uint> {
        if vector >= self.count {
            return Err(EINVAL);
        }
        self.pci.irq_vector(vector)
    }
}

impl Drop for Vectors {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the vectors are ours. Each `Irq` that uses one of them
        // holds a reference to this, hence all handlers are freed.
        unsafe { self.pci.free_vectors() };
    }
}

/// One of the [`Vectors`] of a device.
pub(crate) struct Vector {
    vectors: Arc<Vectors>,
    number: u16,
}

impl Vector {
    /// Vector `number` of `vectors`.
    pub(crate) fn new(vectors: &Arc<Vectors>, number: u16) -> Self {
        Self {
            vectors: vectors.clone(),
            number,
        }
    }

    /// The processors that the interrupt core has spread the vector to, or null.
    pub(super) fn spread(&self) -> *const bindings::cpumask {
        self.vectors.pci.irq_affinity(self.number)
    }
}

/// Where interrupts come from.
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
        (pci.irq() != 0).then(|| Self::Intx(pci.clone()))
    }

    fn number_and_flags(&self) -> Result<(c_uint, usize)> {
        match self {
            Self::Vector(Vector { vectors, number }) => Ok((vectors.irq(*number)?, 0)),
            Self::Intx(pci) => Ok((pci.irq(), usize::try_from(bindings::IRQF_SHARED)?)),
            #[cfg(CONFIG_KUNIT = "y")]
            Self::Number(number) => Ok((*number, 0)),
        }
    }
}

/// A C function that handles interrupts.
pub(crate) type HandlerFn = unsafe extern "C" fn(c_int, *mut c_void) -> bindings::irqreturn_t;

/// A reference to something that handles interrupts.
///
/// # Safety
///
/// [`Target::HANDLER`] must be safe to call, in interrupt context and on any processor, with
/// [`Target::cookie`] for as long as the reference is held.
pub(crate) unsafe trait Target: Send + Sync {
    /// The function that the interrupt core calls.
    const HANDLER: HandlerFn;

    /// What it is called with.
    fn cookie(&self) -> *mut c_void;
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
unsafe impl<T: Handler> Target for Arc<Handling<T>> {
    const HANDLER: HandlerFn = handle_callback::<T>;

    fn cookie(&self) -> *mut c_void {
        Arc::as_ptr(self).cast_mut().cast()
    }
}

/// # Safety
///
/// Only for use as [`Target::HANDLER`] of `Arc<Handling<T>>`.
unsafe extern "C" fn handle_callback<T: Handler>(
    _irq: c_int,
    cookie: *mut c_void,
) -> bindings::irqreturn_t {
    // SAFETY: By the safety requirements, `cookie` is that of a `Handling` that is kept alive.
    // `Irq::revoke` waits for the handlers of the interrupt, of which this is one.
    let (this, shared) = unsafe {
        let this = &*cookie.cast_const().cast::<Handling<T>>();
        (this, this.shared.published())
    };
    irqreturn(this.handler.handle(shared))
}

/// A C function that is registered as a handler.
///
/// # Invariants
///
/// A handler is registered for interrupt `number` with the name `name` and the cookie `cookie`.
struct Registration {
    number: c_uint,
    cookie: *mut c_void,
    /// What the affinity hint points to, if there is one; boxed, so that it does not move.
    hint: Option<KBox<CpumaskVar>>,
    _name: CString,
    _line: Line,
}

// SAFETY: All fields are data that may be used by any thread.
unsafe impl Send for Registration {}

impl Registration {
    /// # Safety
    ///
    /// `handler` must be safe to call with `cookie`, in interrupt context and on any processor,
    /// until the result was dropped.
    unsafe fn new(
        line: Line,
        name: CString,
        handler: HandlerFn,
        cookie: *mut c_void,
    ) -> Result<Self> {
        let (number, flags) = line.number_and_flags()?;
        // SAFETY: By the safety requirements. The bytes of `name` are on the heap and do not move;
        // it is kept in `Self`, whose `Drop` frees the interrupt first.
        to_result(unsafe {
            bindings::request_irq(number, Some(handler), flags, name.as_char_ptr(), cookie)
        })?;
        // INVARIANT: The handler was registered above.
        Ok(Self {
            number,
            cookie,
            hint: None,
            _name: name,
            _line: line,
        })
    }

    /// Sets the affinity hint, and the affinity, to `mask`, or removes the hint.
    ///
    /// As in C, a mask that the interrupt controller refuses stays a hint.
    fn set_hint(&mut self, mask: Option<KBox<CpumaskVar>>) {
        if mask.is_none() && self.hint.is_none() {
            return;
        }
        let raw: *const bindings::cpumask = match &mask {
            Some(mask) => mask.as_raw(),
            None => core::ptr::null(),
        };
        #[cfg(CONFIG_SMP)]
        // SAFETY: By the type invariant, `number` is a registered interrupt. The mask is valid
        // until the next hint, at the latest in `Drop`; the one before it is dropped below.
        unsafe {
            bindings::__irq_apply_affinity_hint(self.number, raw, mask.is_some())
        };
        // The inline function in C does nothing on a kernel for one processor.
        #[cfg(not(CONFIG_SMP))]
        let _ = raw;
        self.hint = mask;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // The interrupt core warns of a handler that is freed with a hint.
        self.set_hint(None);
        // SAFETY: By the type invariant, the handler is registered with this cookie.
        unsafe { bindings::free_irq(self.number, self.cookie) };
    }
}

/// A handler that is registered with the interrupt core.
///
/// One that is forgotten goes on with all that it uses, until the module is unloaded, which must
/// not be then. Fields are dropped in order: the handler is freed before its target.
pub(crate) struct Irq<T: Target> {
    registration: Registration,
    target: T,
}

impl<T: Target> Irq<T> {
    /// Registers `target` as the handler of `line`. C: `request_irq()`.
    ///
    /// # Errors
    ///
    /// Those of the interrupt core.
    pub(crate) fn request(line: Line, name: CString, target: T) -> Result<Self> {
        // SAFETY: By the contract of `Target`, the handler may be called with the cookie for as
        // long as `target` is held; it is dropped, or forgotten, with the registration or later.
        let registration = unsafe { Registration::new(line, name, T::HANDLER, target.cookie()) }?;
        Ok(Self {
            registration,
            target,
        })
    }

    /// The Linux interrupt number.
    pub(crate) fn number(&self) -> c_uint {
        self.registration.number
    }

    /// Waits for the running handlers of this interrupt. C: `synchronize_irq()`.
    pub(crate) fn synchronize(&self) {
        // SAFETY: By the type invariant, `number` is a registered interrupt.
        unsafe { bindings::synchronize_irq(self.number()) };
    }

    /// Sets the affinity and its hint to `mask`, or removes the hint. C:
    /// `irq_set_affinity_and_hint()`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; the hint stays.
    pub(crate) fn set_affinity(&mut self, mask: Option<&Cpumask>) -> Result {
        let hint = match mask {
            Some(mask) => {
                let mut copy = CpumaskVar::new_zero(GFP_KERNEL)?;
                mask.copy(&mut copy);
                Some(KBox::new(copy, GFP_KERNEL)?)
            }
            None => None,
        };
        self.registration.set_hint(hint);
        Ok(())
    }
}

impl<T: Handler> Irq<Arc<Handling<T>>> {
    /// Registers `handler` for `line`; nothing is published to it yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or that of [`Irq::request`].
    pub(crate) fn handle(line: Line, name: CString, handler: T, shared: T::Shared) -> Result<Self> {
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

    /// Ends what [`Irq::publish`] began, and waits for running handlers.
    pub(crate) fn revoke(&mut self) {
        self.target.shared.revoke(|| self.synchronize());
    }

    /// What the handler may use; not until [`Irq::publish`] from now on.
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
        unsafe { &mut *self.target.shared.as_ptr() }
    }
}

#[cfg(CONFIG_X86)]
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

    fn request() -> Result<Irq<Arc<Handling<Nothing>>>> {
        let name = CString::try_from_fmt(fmt!("virtio_pci_rs_irq"))?;
        Irq::handle(Line::Number(FREE), name, Nothing, 0)
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
        let name = CString::try_from_fmt(fmt!("virtio_pci_rs_irq"))?;
        let mut irq = Irq::handle(Line::Number(FREE), name, Knows(7), 0)?;
        let knows = |irq: &Irq<Arc<Handling<Knows>>>| {
            // SAFETY: The cookie is that of the handler, which `irq` keeps.
            let handled = unsafe { handle_callback::<Knows>(0, irq.target.cookie()) };
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
