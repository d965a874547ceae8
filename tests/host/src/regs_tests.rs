// SPDX-License-Identifier: GPL-2.0

//! The register map.

use std::mem::size_of;
use std::ops::Range;

use crate::legacy::regs::{self, config_offset, Register};

/// The bytes that a register occupies.
fn bytes<W>(register: &Register<W>) -> Range<usize> {
    register.offset()..register.offset() + size_of::<W>()
}

/// All registers, in the order of their offsets.
fn map() -> [(&'static str, Range<usize>); 10] {
    [
        ("HOST_FEATURES", bytes(&regs::HOST_FEATURES)),
        ("GUEST_FEATURES", bytes(&regs::GUEST_FEATURES)),
        ("QUEUE_PFN", bytes(&regs::QUEUE_PFN)),
        ("QUEUE_NUM", bytes(&regs::QUEUE_NUM)),
        ("QUEUE_SEL", bytes(&regs::QUEUE_SEL)),
        ("QUEUE_NOTIFY", bytes(&regs::QUEUE_NOTIFY)),
        ("STATUS", bytes(&regs::STATUS)),
        ("ISR", bytes(&regs::ISR)),
        ("MSI_CONFIG_VECTOR", bytes(&regs::MSI_CONFIG_VECTOR)),
        ("MSI_QUEUE_VECTOR", bytes(&regs::MSI_QUEUE_VECTOR)),
    ]
}

#[test]
fn registers_are_where_the_specification_has_them() {
    let widths_in_bits = [32, 32, 32, 16, 16, 16, 8, 8, 16, 16];
    let offsets = [0, 4, 8, 12, 14, 16, 18, 19, 20, 22];
    for ((name, bytes), (bits, offset)) in map()
        .into_iter()
        .zip(widths_in_bits.into_iter().zip(offsets))
    {
        assert_eq!(bytes.start, offset, "{name}");
        assert_eq!(bytes.len() * 8, bits, "{name}");
    }
}

#[test]
fn registers_do_not_overlap_and_leave_no_gap() {
    let mut end = 0;
    for (name, bytes) in map() {
        assert_eq!(bytes.start, end, "{name}");
        assert_eq!(bytes.start % bytes.len(), 0, "{name} is aligned");
        end = bytes.end;
    }
}

#[test]
fn device_configuration_follows_the_registers() {
    let end = |name| {
        let (_, bytes) = map()
            .into_iter()
            .find(|(register, _)| *register == name)
            .expect("there is such a register");
        bytes.end
    };
    assert_eq!(config_offset(false), 20);
    assert_eq!(config_offset(false), end("ISR"));
    assert_eq!(config_offset(true), 24);
    assert_eq!(config_offset(true), end("MSI_QUEUE_VECTOR"));
}

#[test]
fn isr_bit_of_configuration_changes() {
    assert_eq!(regs::ISR_CONFIG, 1 << 1);
}
