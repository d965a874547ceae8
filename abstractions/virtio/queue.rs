// SPDX-License-Identifier: GPL-2.0

//! Virtqueues.
//!
//! Upstream: `rust/kernel/virtio/virtqueue.rs`, with the virtqueue of the virtio bindings that
//! drivers use; this is the side that makes it.

use core::ptr::NonNull;

use kernel::{
    bindings as kernel_bindings,
    device,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

use super::{
    config_ops::Ops,
    ConfigOps,
    Device, //
};
use crate::{
    abstractions::{
        compat::{
            irqreturn,
            Core, //
        },
        io::{
            Bar,
            Port, //
        },
        irq, //
    },
    bindings, //
};

/// Notifies the device that a virtqueue has available buffers; whether that was possible.
type NotifyCallback = unsafe extern "C" fn(*mut bindings::virtqueue) -> bool;

/// The virtqueues that a virtio driver asks for, in order, and the room for the answers. C: the
/// arguments of `find_vqs`.
///
/// # Invariants
///
/// `requests` are by the driver of `device`, and `announced` is for the transport of `device`.
pub(crate) struct FindVqs<'a> {
    requests: &'a [bindings::virtqueue_info],
    answers: &'a mut [*mut bindings::virtqueue],
    vqs: &'a mut KVec<Arc<Virtqueue>>,
    device: &'a Device,
    affinity: Option<&'a irq::Affinity>,
    /// By [`Announce`].
    announced: fn(Announce) -> NotifyCallback,
}

/// A driver has been given the virtqueues that it asked for.
pub(crate) struct Fulfilled(());

impl<'a> FindVqs<'a> {
    /// # Safety
    ///
    /// `requests` must be valid for reads, `answers` for writes of `count` elements, `affinity` for
    /// reads or null, for `'a`; the driver that asks must be that of `device`, which is one of `T`.
    pub(super) unsafe fn from_raw<T: ConfigOps>(
        device: &'a Device,
        count: usize,
        answers: *mut *mut bindings::virtqueue,
        requests: *const bindings::virtqueue_info,
        affinity: *const kernel_bindings::irq_affinity,
        vqs: &'a mut KVec<Arc<Virtqueue>>,
    ) -> Self {
        // SAFETY: By the safety requirements. Any pointers are valid as initial answers. `Affinity`
        // is a transparent wrapper.
        let (requests, answers, affinity) = unsafe {
            let (requests, answers): (&[_], &mut [_]) = if count == 0 {
                (&[], &mut [])
            } else {
                core::ptr::write_bytes(answers, 0, count);
                (
                    core::slice::from_raw_parts(requests, count),
                    core::slice::from_raw_parts_mut(answers, count),
                )
            };
            (requests, answers, affinity.cast::<irq::Affinity>().as_ref())
        };
        // INVARIANT: By the safety requirements.
        Self {
            requests,
            answers,
            vqs,
            device,
            affinity,
            announced: announced_callback::<T>,
        }
    }

    /// The device.
    pub(crate) fn device(&self) -> &'a Device {
        self.device
    }

    /// How the driver wants the vectors to be spread over the processors.
    pub(crate) fn affinity(&self) -> Option<&'a irq::Affinity> {
        self.affinity
    }

    /// The virtqueues that the driver wants, without the places that it leaves out.
    pub(crate) fn requests(&self) -> impl Iterator<Item = Request<'_>> {
        let named = self.requests.iter().filter(|info| !info.name.is_null());
        named.map(|info| Request { info, find: self })
    }

    /// Number of [`FindVqs::requests`], and of those that have a callback.
    pub(crate) fn count(&self) -> (usize, usize) {
        self.requests()
            .fold((0, 0), |(all, callbacks): (usize, usize), request| {
                let callback = usize::from(request.has_callback());
                // As many as there are in memory.
                (all.wrapping_add(1), callbacks.wrapping_add(callback))
            })
    }

    /// Gives the driver its virtqueues, in the order of [`FindVqs::requests`].
    ///
    /// The driver may use them until it has them deleted, and they are kept until
    /// [`super::ConfigOps::del_vqs`] has returned.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or `EINVAL` if there are more or fewer than requested, or of another device; the
    /// driver gets no virtqueue.
    pub(crate) fn fulfil<'b>(
        mut self,
        virtqueues: impl Iterator<Item = &'b Arc<Virtqueue>>,
    ) -> Result<Fulfilled> {
        if let Err(error) = self.keep(virtqueues) {
            // They refer to the device, which keeps them.
            self.vqs.clear();
            return Err(error);
        }
        let mut virtqueues = self.vqs.iter();
        for (request, answer) in self.requests.iter().zip(self.answers.iter_mut()) {
            if !request.name.is_null() {
                if let Some(virtqueue) = virtqueues.next() {
                    *answer = virtqueue.raw.as_ptr();
                }
            }
        }
        Ok(Fulfilled(()))
    }

    /// Keeps the virtqueues for the driver, if they are what it asks for.
    fn keep<'b>(&mut self, virtqueues: impl Iterator<Item = &'b Arc<Virtqueue>>) -> Result {
        self.vqs.clear();
        for virtqueue in virtqueues {
            if virtqueue.device.as_raw() != self.device.as_raw() {
                return Err(EINVAL);
            }
            self.vqs.push(virtqueue.clone(), GFP_KERNEL)?;
        }
        if self.vqs.len() != self.count().0 {
            return Err(EINVAL);
        }
        Ok(())
    }
}

/// A virtqueue that a virtio driver asks for.
///
/// # Invariants
///
/// `info` is one of the requests of `find`.
pub(crate) struct Request<'a> {
    info: &'a bindings::virtqueue_info,
    find: &'a FindVqs<'a>,
}

impl Request<'_> {
    /// The name.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: The virtio driver gives a valid string; requests without one are left out.
        unsafe { CStr::from_char_ptr(self.info.name) }
    }

    /// Whether the driver wants to know of used buffers.
    pub(crate) fn has_callback(&self) -> bool {
        self.info.callback.is_some()
    }
}

/// How a virtqueue notifies the device: by a 16-bit write of its index.
pub(crate) struct Doorbell<'a> {
    /// The BAR that is written to.
    pub(crate) bar: &'a Arc<Bar>,
    /// The offset in it, in bytes.
    pub(crate) offset: usize,
    /// Whether, and why, [`super::Transport::announce`] is called each time; if not, it is not even
    /// tested for.
    pub(crate) announce: Option<Announce>,
}

/// Why a transport wants to know of each notification of a virtqueue, before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announce {
    /// It checks the virtio driver.
    Check,
    /// The virtio driver spins after it, until the device has used a buffer.
    Spins,
}

/// Length of the copy of a virtqueue's name; longer names are cut.
const NAME_LEN: usize = 32;

/// A virtqueue with a split ring in memory.
///
/// # Invariants
///
/// `raw` was made by `vring_create_virtqueue` and is deleted only by this.
pub(crate) struct Virtqueue {
    raw: NonNull<bindings::virtqueue>,
    index: u16,
    num: u16,
    /// The name, for debugfs, zero-padded.
    name: [u8; NAME_LEN],
    /// What `raw` belongs to.
    device: ARef<Device>,
    /// The device above that, for which the ring is mapped.
    _parent: ARef<device::Device>,
    /// Where `raw` notifies the device, if it does.
    _port: Option<Port<u16>>,
}

// SAFETY: The virtio core lets a virtqueue be used and deleted by any thread.
unsafe impl Send for Virtqueue {}

// SAFETY: The methods only read what does not change, or may be called by any thread.
unsafe impl Sync for Virtqueue {}

impl Virtqueue {
    /// Makes virtqueue `index` of a device, with a ring of `num` entries that is aligned to
    /// `align` bytes, a power of two, for its driver, which asks for it by `request`.
    ///
    /// The device is notified by `doorbell`. Without one, the first notification breaks the
    /// virtqueue.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or `EINVAL` if the offset is not inside of the BAR, or for another alignment.
    pub(crate) fn new(
        index: u16,
        num: u16,
        align: u32,
        request: &Request<'_>,
        doorbell: Option<Doorbell<'_>>,
    ) -> Result<Arc<Self>> {
        if !align.is_power_of_two() {
            return Err(EINVAL);
        }
        let (notify, port): (NotifyCallback, _) = match doorbell {
            Some(doorbell) => {
                let port = Port::<u16>::new(doorbell.bar.clone(), doorbell.offset);
                let announced = doorbell.announce.map(request.find.announced);
                let notify = announced.unwrap_or(notify_callback);
                (notify, Some(port.ok_or(EINVAL)?))
            }
            None => (notify_none_callback, None),
        };
        let address = port.as_ref().map_or(core::ptr::null_mut(), Port::as_raw);
        let mut name = [0; NAME_LEN];
        for (place, &byte) in name.iter_mut().zip(request.name().to_bytes()) {
            *place = byte;
        }

        let device = request.find.device;
        // SAFETY: By the invariants of `Request` and `FindVqs`, it is by the driver of the device,
        // whose name and callback are valid until it has had its virtqueues deleted. Nothing else
        // uses the two fields, of which the virtio core knows nothing yet.
        let raw = unsafe {
            let raw = bindings::vring_create_virtqueue(
                index.into(),
                num.into(),
                align,
                device.as_raw(),
                true,
                false,
                request.info.ctx,
                Some(notify),
                request.info.callback,
                request.info.name,
            );
            let raw = NonNull::new(raw).ok_or(ENOMEM)?;
            (*raw.as_ptr()).num_max = num.into();
            (*raw.as_ptr()).priv_ = address;
            raw
        };

        // INVARIANT: See above.
        let virtqueue = Self {
            raw,
            index,
            num,
            name,
            device: device.into(),
            _parent: device.parent(),
            _port: port,
        };
        Ok(Arc::new(virtqueue, GFP_KERNEL)?)
    }

    /// Number of entries.
    pub(crate) fn num(&self) -> u16 {
        self.num
    }

    /// The index by which the device knows it.
    pub(crate) fn index(&self) -> u32 {
        self.index.into()
    }

    /// The name that the virtio driver has given it, or `?` if that is no text.
    pub(crate) fn name(&self) -> &str {
        let name = self.name.split(|&byte| byte == 0).next();
        core::str::from_utf8(name.unwrap_or_default()).unwrap_or("?")
    }

    /// Number of entries that are not in use, as the virtio core knew it a moment ago.
    pub(crate) fn num_free(&self) -> u32 {
        // SAFETY: By the type invariant, the virtqueue is valid. The number may change at any time.
        unsafe { (&raw const (*self.raw.as_ptr()).num_free).read_volatile() }
    }

    /// Stops the callback of the driver for later interrupts.
    pub(super) fn end_callbacks(&self) {
        // SAFETY: By the type invariant, the virtqueue is valid. The virtio core reads the field
        // once for each interrupt.
        unsafe { (&raw mut (*self.raw.as_ptr()).callback).write_volatile(None) };
    }

    /// Whether it was marked broken.
    pub(crate) fn is_broken(&self) -> bool {
        // SAFETY: By the type invariant, the virtqueue is valid. The function reads one field once.
        unsafe { bindings::virtqueue_is_broken(self.raw.as_ptr()) }
    }

    /// DMA address of the ring.
    pub(crate) fn ring_address(&self) -> u64 {
        // SAFETY: By the type invariant, the virtqueue is valid; its ring does not move.
        unsafe { bindings::virtqueue_get_desc_addr(self.raw.as_ptr()) }
    }

    /// Calls the driver's callback if the device has used buffers. Returns whether it had.
    #[inline(always)]
    fn interrupt(&self) -> bool {
        // SAFETY: By the type invariant, the virtqueue is valid. The function is a handler of
        // interrupts, for any context in which they are handled, and ignores their number.
        let handled = unsafe { bindings::vring_interrupt(0, self.raw.as_ptr().cast()) };
        handled == irqreturn(irq::IrqReturn::Handled)
    }
}

impl Drop for Virtqueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the virtqueue is valid and ours to delete. Handlers that
        // use it hold it, as does the virtio driver until it has it deleted.
        unsafe { bindings::vring_del_virtqueue(self.raw.as_ptr()) };
    }
}

// SAFETY: `vring_interrupt` is made to be an interrupt handler with a virtqueue as its cookie,
// which stays valid for as long as the `Arc` is held.
unsafe impl irq::Target for Arc<Virtqueue> {
    const HANDLER: irq::HandlerFn = bindings::vring_interrupt;

    fn cookie(&self) -> *mut c_void {
        self.raw.as_ptr().cast()
    }
}

/// Notifies the device that a virtqueue has available buffers.
///
/// # Safety
///
/// Only for use by virtqueues that [`Virtqueue::new`] has made.
unsafe extern "C" fn notify_callback(vq: *mut bindings::virtqueue) -> bool {
    // SAFETY: By the safety requirements, `vq` is valid and `priv` is an I/O mapping, which the
    // `Virtqueue` keeps.
    unsafe {
        let index = (*vq).index as u16; // CAST: The index was made from a `u16`.
        Port::write_raw((*vq).priv_, index);
    }
    true
}

/// The function that notifies the device if the transport agrees.
fn announced_callback<T: ConfigOps>(reason: Announce) -> NotifyCallback {
    match reason {
        Announce::Check => notify_announced_callback::<T, false>,
        Announce::Spins => notify_announced_callback::<T, true>,
    }
}

/// As [`notify_callback`], if the transport agrees.
///
/// # Safety
///
/// Only for use by virtqueues that [`Virtqueue::new`] has made for a device of `T`.
unsafe extern "C" fn notify_announced_callback<T: ConfigOps, const SPINS: bool>(
    vq: *mut bindings::virtqueue,
) -> bool {
    let reason = if SPINS {
        Announce::Spins
    } else {
        Announce::Check
    };
    // SAFETY: By the safety requirements, `vq` and its device are valid, and the latter is of `T`.
    // The driver calls, hence stays until this has returned.
    unsafe {
        let vdev = (*vq).vdev;
        let device = Device::<Core<'_>>::from_raw(vdev);
        let transport = Ops::<T>::transport(vdev);
        transport.announce(device, (*vq).index, reason) && notify_callback(vq)
    }
}

/// Says that the device cannot be notified, whereupon the virtio core breaks the virtqueue.
extern "C" fn notify_none_callback(_vq: *mut bindings::virtqueue) -> bool {
    false
}

/// The virtqueues that share an interrupt.
pub(crate) struct Callbacks(KVec<Arc<Virtqueue>>);

impl Callbacks {
    /// Starts without virtqueues.
    pub(crate) fn new() -> Self {
        Self(KVec::new())
    }

    /// Adds a virtqueue.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn add(&mut self, virtqueue: Arc<Virtqueue>) -> Result {
        Ok(self.0.push(virtqueue, GFP_KERNEL)?)
    }

    /// Removes all virtqueues, and keeps the room for them.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Calls the callbacks of all virtqueues that have used buffers. Returns whether one had.
    #[inline(always)]
    pub(crate) fn interrupt(&self) -> bool {
        let mut handled = false;
        for virtqueue in &self.0 {
            handled |= virtqueue.interrupt();
        }
        handled
    }
}
