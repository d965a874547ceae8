// SPDX-License-Identifier: GPL-2.0

//! One legacy virtio PCI device: its parts.
//!
//! Each part owns its state in its own file. The files that do something with a device take it as
//! `dev`, and the virtio device that the virtio core knows of it as `device`.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    config::ConfigCache,
    hw::Hw,
    irqs::SavedIrqs,
    life::LifeCycle,
    log::Log,
    queues::Vqs,
    state::State, //
};
use crate::abstractions::{
    io::Bar,
    pci, //
};

/// A legacy virtio PCI device. C: `struct virtio_pci_device`.
///
/// Lock order: "Locks" in docs/architecture.md.
#[pin_data]
pub(super) struct LegacyDevice {
    pub(super) hw: Hw,
    #[pin]
    pub(super) log: Log,
    #[pin]
    pub(super) life: LifeCycle,
    #[pin]
    pub(super) state: State,
    #[pin]
    pub(super) vqs: Vqs,
    #[pin]
    pub(super) irqs: SavedIrqs,
    #[pin]
    pub(super) config: ConfigCache,
}

impl LegacyDevice {
    /// Starts with a device of which nothing is known.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(pci: Arc<pci::Device>, bar: Arc<Bar>) -> Result<Arc<Self>> {
        let len = bar.len();
        Arc::try_pin_init(
            try_pin_init!(Self {
                log <- Log::new((*pci).as_ref()),
                hw: Hw::new(pci, bar)?,
                life <- LifeCycle::new(),
                state <- State::new(),
                vqs <- Vqs::new(),
                irqs <- SavedIrqs::new(),
                config <- ConfigCache::new(len),
            }),
            GFP_KERNEL,
        )
    }
}
