// SPDX-License-Identifier: GPL-2.0

//! Feature negotiation: 32 bits on the legacy interface.

use kernel::prelude::*;

use super::{
    handshake,
    transport::{
        reset_errno,
        Transport, //
    }, //
};
use crate::abstractions::virtio::Device;

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
    /// `ENODEV` or `EIO` if the device did not complete its reset, `EINVAL` for features that do
    /// not exist on the legacy interface.
    pub(super) fn accept_features_of(&self, device: &Device) -> Result {
        if let Some(error) = self.known.lock().reset_error {
            return Err(reset_errno(error));
        }
        let features = legacy_features(self, device)?;
        handshake::Device::accept_features(self, features);
        Ok(())
    }
}
