// SPDX-License-Identifier: GPL-2.0

//! Which devices are driven.

use crate::legacy::identity::{check, Identity, Refusal};
use crate::size::thinned;

/// A legacy disk with as many registers as it needs.
const DISK: Identity = Identity {
    device: 0x1001,
    revision: 0,
    bar0_len: 64,
    has_msix: true,
    is_transitional: false,
};

#[test]
fn device_ids_of_the_legacy_interface_and_no_others() {
    for device in thinned(0..=u16::MAX) {
        let expected = match device >> 6 == 0x1000 >> 6 {
            true => Ok(()),
            false => Err(Refusal::ModernOnly(device)),
        };
        assert_eq!(check(&Identity { device, ..DISK }, true), expected);
    }
    for (device, driven) in [
        (0x0fff, false),
        (0x1000, true),
        (0x103f, true),
        (0x1040, false),
    ] {
        let identity = Identity { device, ..DISK };
        assert_eq!(check(&identity, true).is_ok(), driven, "{device:#06x}");
    }
}

#[test]
fn revision_0_and_no_other() {
    assert_eq!(check(&DISK, true), Ok(()));
    for revision in 1..=u8::MAX {
        assert_eq!(
            check(&Identity { revision, ..DISK }, true),
            Err(Refusal::Revision(revision))
        );
    }
}

#[test]
fn bar0_has_all_registers() {
    let short = |len, needed| Some(Refusal::ShortBar { len, needed });
    for (bar0_len, without_msix, with_msix) in [
        (0, Some(Refusal::NoBar), Some(Refusal::NoBar)),
        (1, short(1, 20), short(1, 24)),
        (19, short(19, 20), short(19, 24)),
        (20, None, short(20, 24)),
        (23, None, short(23, 24)),
        (24, None, None),
        (1 << 32, None, None),
        (u64::MAX, None, None),
    ] {
        for (has_msix, refusal) in [(false, without_msix), (true, with_msix)] {
            let identity = Identity {
                bar0_len,
                has_msix,
                ..DISK
            };
            assert_eq!(check(&identity, true).err(), refusal, "{identity:?}");
        }
    }
}

#[test]
fn transitional_devices_are_driven_if_that_is_wanted() {
    for (is_transitional, transitional, expected) in [
        (false, false, Ok(())),
        (false, true, Ok(())),
        (true, false, Err(Refusal::Transitional)),
        (true, true, Ok(())),
    ] {
        let identity = Identity {
            is_transitional,
            ..DISK
        };
        assert_eq!(check(&identity, transitional), expected);
    }
}

#[test]
fn the_first_thing_wrong_is_the_reason() {
    let mut identity = Identity {
        device: 0x1041,
        revision: 1,
        bar0_len: 0,
        has_msix: true,
        is_transitional: true,
    };
    assert_eq!(check(&identity, false), Err(Refusal::ModernOnly(0x1041)));
    identity.device = 0x1000;
    assert_eq!(check(&identity, false), Err(Refusal::Revision(1)));
    identity.revision = 0;
    assert_eq!(check(&identity, false), Err(Refusal::Transitional));
    assert_eq!(check(&identity, true), Err(Refusal::NoBar));
}

#[test]
fn refusals_tell_the_values() {
    for (refusal, text) in [
        (
            Refusal::ModernOnly(0x1042),
            "device id 0x1042 has no legacy interface",
        ),
        (
            Refusal::Revision(1),
            "revision 0x01, the legacy interface has 0x00",
        ),
        (
            Refusal::Transitional,
            "transitional device, and transitional=0",
        ),
        (Refusal::NoBar, "no BAR0"),
        (
            Refusal::ShortBar {
                len: 20,
                needed: 24,
            },
            "BAR0 has 20 bytes, the registers need 24",
        ),
    ] {
        assert_eq!(refusal.to_string(), text);
    }
}
