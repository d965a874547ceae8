// SPDX-License-Identifier: GPL-2.0

//! The transition table and the texts of the device status.

use crate::legacy::status::{check_write, next_status, Status, WriteError};
use crate::size::thinned;

/// The bits, by number and name, as the specification has them.
const BITS: [(u8, &str); 6] = [
    (1, "ACKNOWLEDGE"),
    (2, "DRIVER"),
    (4, "DRIVER_OK"),
    (8, "FEATURES_OK"),
    (64, "NEEDS_RESET"),
    (128, "FAILED"),
];

/// What a driver may add on the legacy interface: each bit, and the bit that it needs.
const MAY_BE_ADDED: [(u8, u8); 5] = [(1, 0), (2, 1), (4, 2), (64, 0), (128, 0)];

fn check(current: u8, features_accepted: bool, wanted: u8) -> Result<(), WriteError> {
    check_write(
        Status::from_raw(current),
        features_accepted,
        Status::from_raw(wanted),
    )
}

/// Every status that may be written after `current`, by adding bits to it in every possible way.
fn successors(current: u8, features_accepted: bool) -> [bool; 256] {
    let mut allowed = [false; 256];
    for choice in 0..1u8 << MAY_BE_ADDED.len() {
        let chosen = || {
            MAY_BE_ADDED
                .iter()
                .enumerate()
                .filter(move |(index, (bit, _))| choice & (1 << index) != 0 && current & bit == 0)
                .map(|(_, pair)| *pair)
        };
        let wanted = chosen().fold(current, |status, (bit, _)| status + bit);
        let in_order = chosen().all(|(bit, needs)| {
            (needs == 0 || wanted & needs != 0) && (bit != 4 || features_accepted)
        });
        allowed[usize::from(wanted)] |= in_order;
    }
    allowed[0x00] = false;
    allowed[0xff] = false;
    allowed
}

/// Whether the reason for a refusal is a fact.
fn is_true(refusal: WriteError, current: u8, features_accepted: bool, wanted: u8) -> bool {
    let adds = |bit| wanted & bit != 0 && current & bit == 0;
    match refusal {
        WriteError::Zero => wanted == 0,
        WriteError::Gone => wanted == 255,
        WriteError::ClearsBits => (0..8).any(|n| current & (1 << n) != 0 && wanted & (1 << n) == 0),
        WriteError::UnknownBit => adds(8) || adds(16) || adds(32),
        WriteError::DriverBeforeAcknowledge => adds(2) && wanted & 1 == 0,
        WriteError::LiveBeforeDriver => adds(4) && wanted & 2 == 0,
        WriteError::LiveBeforeFeatures => adds(4) && !features_accepted,
    }
}

#[test]
fn constants_are_those_of_the_specification() {
    let constants = [
        (Status::RESET, 0),
        (Status::ACKNOWLEDGE, 1),
        (Status::DRIVER, 2),
        (Status::DRIVER_OK, 4),
        (Status::NEEDS_RESET, 64),
        (Status::FAILED, 128),
        (Status::GONE, 255),
    ];
    for (status, raw) in constants {
        assert_eq!(status.raw(), raw);
        assert_eq!(Status::from_raw(raw), status);
    }
}

#[test]
fn table_allows_what_the_rules_allow_and_nothing_else() {
    for features_accepted in [false, true] {
        for current in 0..=255 {
            let allowed = successors(current, features_accepted);
            for wanted in thinned(0..=255) {
                let context = format!("{current:#04x} -> {wanted:#04x}, {features_accepted}");
                match check(current, features_accepted, wanted) {
                    Ok(()) => assert!(allowed[usize::from(wanted)], "allowed: {context}"),
                    Err(refusal) => {
                        assert!(!allowed[usize::from(wanted)], "{refusal:?}: {context}");
                        assert!(
                            is_true(refusal, current, features_accepted, wanted),
                            "{refusal:?} is not why: {context}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn handshake_of_the_virtio_core_is_allowed() {
    for (current, features_accepted, wanted) in [
        (0x00, false, 0x01),
        (0x01, false, 0x03),
        (0x03, true, 0x07),
        (0x03, false, 0x83),
        (0x07, true, 0x87),
        (0x01, false, 0x81),
        (0x81, false, 0x83),
        (0x83, true, 0x87),
        (0x07, true, 0x47),
        (0x07, false, 0x07),
    ] {
        assert_eq!(check(current, features_accepted, wanted), Ok(()));
    }
}

#[test]
fn the_first_thing_wrong_is_the_reason() {
    for (current, features_accepted, wanted, refusal) in [
        (0x07, true, 0x00, WriteError::Zero),
        (0x00, false, 0x00, WriteError::Zero),
        (0x03, false, 0xff, WriteError::Gone),
        (0xff, true, 0xff, WriteError::Gone),
        (0x07, true, 0x03, WriteError::ClearsBits),
        (0x81, true, 0x03, WriteError::ClearsBits),
        (0x01, false, 0x0a, WriteError::ClearsBits),
        (0x03, true, 0x0b, WriteError::UnknownBit),
        (0x03, false, 0x17, WriteError::UnknownBit),
        (0x00, true, 0x02, WriteError::DriverBeforeAcknowledge),
        (0x00, false, 0x06, WriteError::DriverBeforeAcknowledge),
        (0x01, true, 0x05, WriteError::LiveBeforeDriver),
        (0x00, false, 0x04, WriteError::LiveBeforeDriver),
        (0x03, false, 0x07, WriteError::LiveBeforeFeatures),
        (0x00, false, 0x07, WriteError::LiveBeforeFeatures),
    ] {
        assert_eq!(
            check(current, features_accepted, wanted),
            Err(refusal),
            "{current:#04x} -> {wanted:#04x}"
        );
    }
}

#[test]
fn with_and_contains_are_set_operations() {
    for a in 0..=255 {
        for b in thinned(0..=255) {
            let (left, right) = (Status::from_raw(a), Status::from_raw(b));
            assert_eq!(left.with(right).raw(), a | b);
            assert_eq!(left.contains(right), b & !a == 0);
            let shared = (0..8).any(|bit| (a >> bit) & (b >> bit) & 1 == 1);
            assert_eq!(left.has_any(right), shared);
        }
    }
}

#[test]
fn only_what_was_written_or_what_devices_set_is_believed() {
    for given in 0..=255 {
        for written in thinned(0..=255u8) {
            let believed = Status::from_raw(given)
                .mask_unwritten(Status::from_raw(written))
                .raw();
            for bit in (0..8).map(|n| 1 << n) {
                let set_by_device = bit == 64 || bit == 128;
                let expected = given & bit != 0 && (written & bit != 0 || set_by_device);
                assert_eq!(
                    believed & bit != 0,
                    expected,
                    "bit {bit:#x} of {given:#04x} after {written:#04x}"
                );
            }
        }
    }
}

#[test]
fn display_has_the_value_and_the_names() {
    for (raw, text) in [
        (0x00, "0x00"),
        (0x01, "0x01 (ACKNOWLEDGE)"),
        (0x07, "0x07 (ACKNOWLEDGE|DRIVER|DRIVER_OK)"),
        (0x0f, "0x0f (ACKNOWLEDGE|DRIVER|DRIVER_OK|FEATURES_OK)"),
        (0x10, "0x10"),
        (0x47, "0x47 (ACKNOWLEDGE|DRIVER|DRIVER_OK|NEEDS_RESET)"),
        (0x80, "0x80 (FAILED)"),
        (0x83, "0x83 (ACKNOWLEDGE|DRIVER|FAILED)"),
        (0xff, "0xff (all ones: no device answers)"),
    ] {
        assert_eq!(Status::from_raw(raw).to_string(), text);
    }
}

#[test]
fn display_of_every_status_tells_its_bits() {
    for raw in 0..=254u8 {
        let names: Vec<_> = BITS
            .iter()
            .filter(|(bit, _)| raw & bit != 0)
            .map(|(_, name)| *name)
            .collect();
        let names = match names.is_empty() {
            true => String::new(),
            false => format!(" ({})", names.join("|")),
        };
        assert_eq!(
            Status::from_raw(raw).to_string(),
            format!("0x{raw:02x}{names}")
        );
    }
}

#[test]
fn display_of_refusals_tells_the_order() {
    for (refusal, text) in [
        (WriteError::Zero, "a status of 0 is a reset"),
        (WriteError::Gone, "no device answers"),
        (WriteError::ClearsBits, "only a reset clears status bits"),
        (
            WriteError::UnknownBit,
            "not a status bit of the legacy interface",
        ),
        (
            WriteError::DriverBeforeAcknowledge,
            "DRIVER before ACKNOWLEDGE",
        ),
        (WriteError::LiveBeforeDriver, "DRIVER_OK before DRIVER"),
        (
            WriteError::LiveBeforeFeatures,
            "DRIVER_OK before the features are accepted",
        ),
    ] {
        assert_eq!(refusal.to_string(), text);
    }
}

#[test]
fn failed_is_added_also_to_a_device_that_lost_its_bits() {
    for (current, wanted, features_accepted) in (0..=255u8)
        .flat_map(|current| thinned(0..=255u8).map(move |wanted| (current, wanted)))
        .flat_map(|(current, wanted)| [(current, wanted, false), (current, wanted, true)])
    {
        let next = next_status(
            Status::from_raw(current),
            features_accepted,
            Status::from_raw(wanted),
        );
        let lost = current & !wanted != 0;
        let fails = wanted & !current & 0x80 != 0 && wanted != 0xff;
        let expected = match check(current, features_accepted, wanted) {
            Ok(()) => Ok(wanted),
            Err(_) if lost && fails => Ok(current | 0x80),
            Err(refusal) => Err(refusal),
        };
        assert_eq!(next.map(Status::raw), expected, "{current:#x} {wanted:#x}");
    }
}
