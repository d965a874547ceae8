// SPDX-License-Identifier: GPL-2.0

//! What only a device sees of a breach; the other rules are those of the crate `virtio-check`.

use virtio_check::Rule;

macro_rules! rules {
    ($($name:ident, $id:literal, $section:literal, $text:literal;)*) => {
        $(pub(crate) const $name: Rule = Rule { id: $id, section: $section, text: $text };)*

        /// The rules that only a device can judge.
        pub const DEVICE_RULES: &[Rule] = &[$($name),*];
    };
}

rules! {
    BUS_MASTER, "bus-master", "PCI Local Bus 3.0, 6.2.2 Device Control",
        "bus mastering is on when DRIVER_OK is set and when a virtqueue is notified";
    CONFIG_LENGTH, "config-length", "4.1.4.10 Legacy Interfaces: PCI Device Layout",
        "the device configuration, at 20 or with MSI-X enabled at 24, is accessed as far as it goes";
    VECTOR_RANGE, "vector-range", "4.1.5.1.2 MSI-X Vector Configuration",
        "a vector is one of those in the MSI-X table";
    RING_MEMORY, "ring-memory", "2.7.2 Legacy Interfaces: A Note on Virtqueue Layout",
        "all parts of a ring are in memory";
    BUFFER_MEMORY, "buffer-memory", "2.7.5 The Virtqueue Descriptor Table",
        "the descriptors of a buffer are in their table and the buffer is in memory";
    AVAILABLE_AFTER_RESET, "available-after-reset", "3.3 Device Cleanup",
        "no buffer is made available between a reset and the read that shows it complete";
}
