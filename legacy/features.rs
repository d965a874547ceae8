// SPDX-License-Identifier: GPL-2.0

//! Feature negotiation: 32 bits on the legacy interface.

use kernel::prelude::*;

use super::{
    handshake::{
        self,
        Acknowledged,
        FeaturesAccepted,
        Handshake, //
    },
    journal::Event,
    transport::Transport, //
};
use crate::abstractions::{
    compat::protocol_error,
    virtio::Device, //
};

/// The features of `device` as the legacy interface has them, without those that the virtqueues of
/// the virtio core do not support.
///
/// # Errors
///
/// `EINVAL` if there are more than 32 bits. C: a `BUG_ON` in `vp_finalize_features()`.
pub(super) fn legacy_features(transport: &Transport, device: &Device) -> Result<u32> {
    device.accept_ring_features();
    let features = device.features();
    u32::try_from(features).map_err(|_| {
        dev_err!(
            transport.pci(),
            "features {features:#x} do not fit in the 32 bits of the legacy interface\n"
        );
        EINVAL
    })
}

impl Transport {
    /// Has the device accept the features of `device`; the virtio core has just read the offered
    /// ones.
    ///
    /// # Errors
    ///
    /// `ENODEV` or `EIO` if the device does not complete its reset, `EINVAL` for features that do
    /// not exist on the legacy interface, `EPROTO` before ACKNOWLEDGE and DRIVER.
    pub(super) fn accept_features_of(&self, device: &Device) -> Result {
        if !self.is_connected() {
            return Err(ENODEV);
        }
        let features = legacy_features(self, device)?;
        let (reset_error, has_driver) = {
            let known = self.known.lock();
            (known.reset_error, known.has_driver())
        };
        if reset_error.is_some() {
            // It may only have been slow.
            return self.negotiate_anew(features);
        }
        if !has_driver {
            dev_err!(self.pci(), "features before ACKNOWLEDGE and DRIVER\n");
            return Err(protocol_error());
        }
        handshake::Device::accept_features(self, features);
        Ok(())
    }

    /// Takes a device that did not complete its last reset through the handshake again.
    fn negotiate_anew(&self, features: u32) -> Result {
        let acknowledged = self.begin_handshake()?.acknowledge(false);
        self.negotiate(acknowledged, features)?.hand_over();
        self.pci.set_master();
        Ok(())
    }

    /// The steps of a handshake from ACKNOWLEDGE to accepted `features`.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device does not offer them, with a line.
    pub(super) fn negotiate<'a>(
        &self,
        acknowledged: Handshake<'a, Self, Acknowledged>,
        features: u32,
    ) -> Result<Handshake<'a, Self, FeaturesAccepted>> {
        let result = acknowledged.driver().accept_features(features);
        result.map_err(|missing| {
            self.report(Event::FeaturesMissing(missing));
            ENODEV
        })
    }
}
