// SPDX-License-Identifier: GPL-2.0

//! The PCI driver.
//!
//! C: `virtio_pci_probe()` in drivers/virtio/virtio_pci_common.c and `vp_legacy_probe()` in
//! drivers/virtio/virtio_pci_legacy_dev.c.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    core::{
        identity::{
            self,
            Identity, //
        },
        journal::Phase,
        life::Life, //
    },
    debugfs,
    device::LegacyDevice,
    negotiate::reset_errno,
    pm::Bound,
    recovery, //
};
use crate::{
    abstractions::{
        compat::Parameter,
        io::Bar,
        pci,
        virtio::{
            Id,
            Registration, //
        },
    },
    module_parameters, //
};

/// The base address register with the legacy registers.
const BAR: u32 = 0;

/// In a vendor-specific capability of a virtio device: which structure it is about.
const CAPABILITY_CFG_TYPE: u8 = 3;

/// The capability is about the common configuration (`VIRTIO_PCI_CAP_COMMON_CFG`), which each
/// device with the modern interface has.
const CFG_TYPE_COMMON: u8 = 1;

/// As many capabilities fit into the configuration space; a list that is longer has a loop.
const CAPABILITIES_MAX: usize = 48;

/// Address bits that a ring may have: 32 bits for the page, 12 for the offset.
const RING_ADDRESS_BITS: u32 = 44;

/// The PCI driver for legacy virtio devices.
pub(crate) struct Legacy;

pci::pci_device_table!(
    PCI_TABLE,
    (),
    [(pci::DeviceId::from_id(pci::Vendor::REDHAT_QUMRANET, !0), ())]
);

impl Legacy {
    /// Refuses a device that is another one than the PCI core has found in the slot, as after a
    /// hibernation; C drives it as what was there before.
    fn check_slot(pci: &pci::Device) -> Result {
        let known = pci.identity();
        match pci.read_identity() {
            Ok(identity) if identity == known => return Ok(()),
            Ok(identity) => dev_err!(pci, "not driven: {identity} in the slot of {known}\n"),
            Err(_) => dev_err!(pci, "not driven: device is gone: it reads as all ones\n"),
        }
        Err(ENODEV)
    }

    /// Refuses devices that are not for this transport, with one line that says why.
    fn check_identity(pci: &pci::Device) -> Result {
        let identity = Identity {
            device: pci.device_id(),
            revision: pci.revision_id(),
            bar0_len: pci.resource_len(BAR)?.try_into()?,
            has_msix: pci.has_msix(),
            is_transitional: Self::has_modern_interface(pci),
        };
        identity::check(&identity, module_parameters::transitional.get()).map_err(|refusal| {
            dev_info!(pci, "not driven: {refusal}\n");
            ENODEV
        })
    }

    /// Whether the device has the capabilities of the modern interface.
    fn has_modern_interface(pci: &pci::Device) -> bool {
        let first = pci.first_vendor_capability();
        core::iter::successors(first, |&last| pci.next_capability(last))
            .take(CAPABILITIES_MAX)
            .any(|capability| {
                pci.read_capability(capability, CAPABILITY_CFG_TYPE) == CFG_TYPE_COMMON
            })
    }

    /// Sets the DMA masks: rings are limited, buffers are not.
    ///
    /// As in C, a platform that cannot do with any mask is only warned of.
    fn set_dma_masks(pci: &pci::Device, pdev: &pci::Probed<'_>) {
        if pci
            .set_dma_bits(pdev, 64, RING_ADDRESS_BITS)
            .or_else(|_| pci.set_dma_bits(pdev, 32, 32))
            .is_err()
        {
            dev_warn!(
                pci,
                "no DMA mask of 64 or 32 bits can be set: DMA may fail\n"
            );
        }
    }
}

#[vtable]
impl pci::Driver for Legacy {
    type Data = Bound;

    const ID_TABLE: pci::IdTable<()> = &PCI_TABLE;

    fn probe(pdev: &pci::Probed<'_>) -> Result<Bound> {
        let pci = pci::Device::new(pdev)?;
        Self::check_slot(&pci)?;
        Self::check_identity(&pci)?;
        pci.enable().inspect_err(|error| {
            dev_err!(&*pci, "not enabled: {error:?}\n");
        })?;
        Self::set_dma_masks(&pci, pdev);

        let bar = Bar::request(pci.clone(), BAR, c"virtio-pci-legacy").inspect_err(|error| {
            dev_err!(&*pci, "not driven: failed to request BAR0: {error:?}\n");
        })?;
        let dev = LegacyDevice::new(pci.clone(), Arc::new(bar, GFP_KERNEL)?)?;

        let id = Id {
            device: pci.subsystem_device_id().into(),
            vendor: pci.subsystem_vendor_id().into(),
        };
        let registration = Registration::new(&pci, id, dev.clone())
            .inspect_err(|error| dev_err!(&*pci, "virtio device not registered: {error:?}\n"))?;

        // The virtio core resets the device when it is registered, and does not ask how it went.
        match (dev.life.get(), dev.state.reset_error()) {
            (Life::New, Some(error)) => {
                let why = match pci.presence() {
                    pci::Presence::Absent => "and so does the configuration space",
                    pci::Presence::NotDecoding(_) => "BAR0 is not decoded",
                    pci::Presence::Present => "does a bridge above lack an I/O window?",
                };
                dev_err!(&*pci, "not driven: registers read as all ones, {why}\n");
                Err(reset_errno(error))
            }
            _ => {
                // A first reset that takes long is awaited.
                recovery::watch(&dev, registration.device());
                Ok(Bound {
                    _files: debugfs::files(&dev),
                    registration,
                })
            }
        }
    }

    fn unbind(bound: &Bound) {
        bound.unbind();
    }

    fn reset_prepare(bound: &Bound) {
        // The PCI core resets the device in any case.
        let _ = bound.trace_phase(Phase::ResetPrepare, &Bound::reset_prepare);
    }

    fn reset_done(bound: &Bound) {
        // The PCI core does not ask how it went.
        let _ = bound.trace_phase(Phase::ResetDone, &Bound::reset_done);
    }
}
