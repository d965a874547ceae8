// SPDX-License-Identifier: GPL-2.0

//! What the specification asks of a driver of the legacy interface.

use serde::Serialize;

/// A rule that the checker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// A short name.
    pub id: &'static str,
    /// The section of the specification.
    pub section: &'static str,
    /// The rule.
    pub text: &'static str,
}

macro_rules! rules {
    ($($name:ident, $id:literal, $section:expr, $text:literal;)*) => {
        $(pub(crate) const $name: Rule = Rule { id: $id, section: $section, text: $text };)*

        /// All rules.
        pub const RULES: &[Rule] = &[$($name),*];
    };
}

/// A breach that is no failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The id of the rule.
    pub rule: &'static str,
    /// The kind of device, which is part of its name.
    pub device: &'static str,
    /// Whether it is a failure of the Rust driver nevertheless.
    pub c_only: bool,
    /// Why it is so.
    pub reason: &'static str,
}

/// What the C driver does, or the virtio drivers above both.
pub const KNOWN: &[Known] = &[
    Known {
        rule: NOTIFY_EARLY.id,
        device: "balloon",
        c_only: false,
        reason: "virtio_balloon sends its statistics buffer while it sets up its virtqueues",
    },
    Known {
        rule: QUEUES_BEFORE_OK.id,
        device: "9p",
        c_only: true,
        reason: "9p has no restore, and the C driver sets it live without its virtqueue",
    },
];

const STATUS: &str = "2.1 Device Status Field";
const FEATURES: &str = "2.2 Feature Bits";
const INIT: &str = "3.1.1 Device Initialization";
const LEGACY_INIT: &str = "3.1.2 Legacy Interface: Device Initialization";
const LAYOUT_SECTION: &str = "4.1.4.10 Legacy Interfaces: PCI Device Layout";
const VECTORS: &str = "4.1.5.1.2 MSI-X Vector Configuration";
const LEGACY_QUEUE: &str = "4.1.5.1.3.1 Legacy Interface: Virtqueue Configuration";

rules! {
    WIDTH, "width", LAYOUT_SECTION,
        "a register is accessed in its own width";
    LAYOUT, "layout", LAYOUT_SECTION,
        "an access begins at a register; the configuration is at 20, or 24 with MSI-X";
    READ_ONLY, "read-only", LAYOUT_SECTION,
        "HOST_FEATURES, QUEUE_NUM and ISR are not written";
    RESET_FIRST, "reset-first", INIT,
        "the device is reset before anything else is done with it";
    RESET_COMPLETE, "reset-complete", "2.4 Device Reset",
        "after a reset the driver goes on only when the status was read as 0";
    STATUS_CLEARED, "status-cleared", STATUS,
        "no status bit is cleared but by a reset";
    STATUS_BITS, "status-bits", LEGACY_INIT,
        "only ACKNOWLEDGE, DRIVER, DRIVER_OK and FAILED exist; there is no FEATURES_OK";
    STATUS_LOST, "status-lost", STATUS,
        "the device still has the status bits that the driver set";
    FAILED_CONTINUES, "failed-continues", STATUS,
        "a driver that set FAILED resets the device before it goes on";
    ACK_BEFORE_DRIVER, "ack-before-driver", INIT,
        "ACKNOWLEDGE is set before DRIVER";
    DRIVER_BEFORE_FEATURES, "driver-before-features", INIT,
        "DRIVER is set before features are read or written";
    DRIVER_BEFORE_CONFIG, "driver-before-config", INIT,
        "DRIVER is set before the device configuration is read or written";
    FEATURES_BEFORE_CONFIG_WRITE, "features-before-config-write", INIT,
        "features are accepted before the device configuration is written";
    DRIVER_BEFORE_QUEUES, "driver-before-queues", INIT,
        "DRIVER is set before virtqueues and vectors are set up";
    FEATURES_BEFORE_QUEUES, "features-before-queues", INIT,
        "features are accepted before virtqueues and vectors are set up";
    DRIVER_BEFORE_OK, "driver-before-ok", INIT,
        "DRIVER is set before DRIVER_OK";
    FEATURES_BEFORE_OK, "features-before-ok", INIT,
        "features are accepted before DRIVER_OK";
    QUEUES_BEFORE_OK, "queues-before-ok", INIT,
        "there is a live virtqueue at DRIVER_OK";
    QUEUES_LATE, "queues-late", INIT,
        "no virtqueue or vector is set up after DRIVER_OK";
    FEATURES_LATE, "features-late", INIT,
        "features are not written after a virtqueue is live, nor after DRIVER_OK";
    FEATURES_OFFERED, "features-offered", FEATURES,
        "only features that were read as offered are accepted";
    BIT_30, "bit-30", "6.2 Legacy Interface: Reserved Feature Bits",
        "bit 30 is not accepted";
    QUEUE_SELECT, "queue-select", LEGACY_QUEUE,
        "QUEUE_SEL is written, since the reset, before a virtqueue is accessed";
    QUEUE_SIZE, "queue-size", "2.7.2 Legacy Interfaces: A Note on Virtqueue Layout",
        "the size of a virtqueue is read, and is not 0, before it is given a ring";
    QUEUE_LIVE, "queue-live", LEGACY_QUEUE,
        "a virtqueue that has a ring is not given another";
    VECTOR_READ_BACK, "vector-read-back", VECTORS,
        "a vector is read back right after it is written";
    VECTOR_REFUSED, "vector-refused", VECTORS,
        "a vector that was read back otherwise is not used";
    TEARDOWN_LIVE, "teardown-live", "3.3 Device Cleanup",
        "the device is reset before its virtqueues are taken down";
    PFN_ZERO, "no-reset-after-pfn-0", "3.3 Device Cleanup",
        "after a ring address of 0, which resets devices, the handshake begins anew";
    NOTIFY_EARLY, "notify-early", INIT,
        "no notification before DRIVER_OK";
    NOTIFY_DEAD, "notify-dead", "4.1.5.2 Available Buffer Notifications",
        "only live virtqueues are notified";
    ISR_MSIX, "isr-with-msix", "4.1.4.5 ISR Status Capability",
        "ISR is not read on interrupts while MSI-X is enabled";
    FROZEN, "frozen", "3.3 Device Cleanup",
        "between freeze and restore the device is left alone, but for its teardown";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique() {
        let ids: BTreeSet<_> = RULES.iter().map(|r| r.id).collect();
        assert_eq!(ids.len(), RULES.len());
    }
}
