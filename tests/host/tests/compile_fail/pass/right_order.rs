// SPDX-License-Identifier: GPL-2.0

#[path = "../common/mod.rs"]
mod common;

use common::{
    restore, Acknowledged, DriverFound, Fake, FeaturesAccepted, Handshake, QueuesRestored, Reset,
};

fn main() {
    let device = Fake::new();
    let reset: Handshake<'_, Fake, Reset> = Handshake::begin(&device).unwrap();
    let acknowledged: Handshake<'_, Fake, Acknowledged> = reset.acknowledge(false);
    let driver_found: Handshake<'_, Fake, DriverFound> = acknowledged.driver();
    let features_accepted: Handshake<'_, Fake, FeaturesAccepted> =
        driver_found.accept_features(0).unwrap();
    let queues_restored: Handshake<'_, Fake, QueuesRestored> =
        features_accepted.restore_queues(restore).unwrap();
    queues_restored.live().unwrap();
    assert_eq!(device.status(), 0x07);
}
