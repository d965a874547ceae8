// SPDX-License-Identifier: GPL-2.0

//! Size and place of rings.

use std::mem::size_of;

use proptest::prelude::*;

use crate::legacy::ring::{check_size, check_unused, pfn, RingError, ALIGN};
use crate::size::{cases, thinned};

const PAGE: u64 = 4096;

/// The first address that no page frame number of 32 bits reaches.
const END: u64 = 16 << 40;

/// Sizes at the edges; the last but one is the largest that the interface allows.
const SIZES: [u16; 8] = [0, 1, 2, 3, 256, 1024, 32768, 65535];

/// A descriptor, laid out as in the specification.
#[repr(C)]
struct Descriptor {
    addr: u64,
    len: u32,
    flags: u16,
    next: u16,
}

/// An element of the used ring, laid out as in the specification.
#[repr(C)]
struct UsedElement {
    id: u32,
    len: u32,
}

/// Length of a ring, counted field by field.
fn len(num: u16) -> u64 {
    let num = usize::from(num);
    let half = size_of::<u16>();
    let mut end = num * size_of::<Descriptor>();
    // The available ring: flags, idx, ring[num], used_event.
    end += half + half + num * half + half;
    while end % 4096 != 0 {
        end += 1;
    }
    // The used ring: flags, idx, ring[num], avail_event.
    end += half + half + num * size_of::<UsedElement>() + half;
    end as u64
}

/// What `pfn` must answer, in numbers that cannot overflow.
fn expected(start: u64, num: u16) -> Option<u32> {
    let end = u128::from(start) + u128::from(len(num));
    (start != 0 && start & 0xfff == 0 && end <= u128::from(END)).then_some((start / PAGE) as u32)
}

/// Checks the answer for one ring, the addresses in an error included.
fn check(start: u64, num: u16) {
    match (pfn(start, num), expected(start, num)) {
        (Ok(page), expected) => assert_eq!(Some(page), expected, "{start:#x} {num}"),
        (Err(error), None) => {
            let last = u128::from(start) + u128::from(len(num)) - 1;
            let last = u64::try_from(last).unwrap_or(u64::MAX);
            assert_eq!(error, RingError::BadAddress { start, last });
        }
        (Err(error), Some(page)) => panic!("{start:#x} {num}: {error}, not {page:#x}"),
    }
}

#[test]
fn alignment_is_that_of_the_specification() {
    assert_eq!(u64::from(ALIGN), PAGE);
}

#[test]
fn sizes() {
    let powers = (0..16).map(|bit| 1 << bit);
    for num in thinned(0..=u16::MAX).chain(powers) {
        let expected = match num.count_ones() {
            0 => Err(RingError::Absent),
            1 => Ok(()),
            _ => Err(RingError::BadSize(num)),
        };
        assert_eq!(check_size(num), expected);
    }
}

#[test]
fn a_virtqueue_is_unused_while_its_pfn_is_0() {
    assert_eq!(check_unused(0), Ok(()));
    for page in [1, 0x8000_0000, u32::MAX] {
        assert_eq!(check_unused(page), Err(RingError::InUse(page)));
    }
}

#[test]
fn lengths_are_those_of_vring_size() {
    // A ring that is not aligned is refused, and the error tells its last byte.
    for num in thinned(0..=u16::MAX) {
        let (start, last) = (PAGE + 1, PAGE + len(num));
        assert_eq!(pfn(start, num), Err(RingError::BadAddress { start, last }));
    }
    // By hand: (16 + 2) * 256 + 6 bytes are two pages, then 6 + 8 * 256 bytes.
    assert_eq!(len(256), 2 * PAGE + 2054);
}

#[test]
fn first_and_last_page() {
    for num in SIZES {
        assert_eq!(pfn(PAGE, num), Ok(1));
        let pages = len(num).div_ceil(PAGE);
        let last_fit = END - pages * PAGE;
        let page = u32::try_from(last_fit / PAGE).expect("below the end");
        assert_eq!(pfn(last_fit, num), Ok(page), "{num}");
        for crossing in 1..=pages {
            let start = last_fit + crossing * PAGE;
            let last = start + len(num) - 1;
            assert!(last >= END);
            assert_eq!(pfn(start, num), Err(RingError::BadAddress { start, last }));
        }
    }
}

#[test]
fn a_ring_at_address_0_is_refused() {
    // Its page frame number is the one that says "not in use".
    for num in SIZES {
        let (start, last) = (0, len(num) - 1);
        assert_eq!(pfn(start, num), Err(RingError::BadAddress { start, last }));
    }
}

#[test]
fn addresses_at_the_edges() {
    for num in SIZES {
        for start in [
            0,
            1,
            8,
            PAGE - 1,
            PAGE + 8,
            2 * PAGE,
            (1 << 32) - PAGE,
            1 << 32,
            END - PAGE,
            END - 1,
            END,
            END + PAGE,
            1 << 63,
            u64::MAX - 0xfff,
            u64::MAX,
        ] {
            check(start, num);
        }
    }
}

#[test]
fn a_page_frame_number_is_never_cut_off() {
    // One page too high would be page 0 in 32 bits, and 16 TiB and a page would be page 1.
    assert!(pfn(END, 1).is_err());
    assert!(pfn(END + PAGE, 1).is_err());
}

#[test]
fn errors_tell_the_values() {
    for (error, text) in [
        (RingError::Absent, "the device does not have it"),
        (RingError::BadSize(3), "size 3 is not a power of 2"),
        (RingError::InUse(0x1234), "already in use, QUEUE_PFN 0x1234"),
    ] {
        assert_eq!(error.to_string(), text);
    }
    let text = RingError::BadAddress {
        start: 0xfff_ffff_f000,
        last: 0x1000_0000_0005,
    }
    .to_string();
    assert_eq!(
        text,
        "ring at 0xffffffff000-0x100000000005, \
         a legacy device reaches 0x1000-0xfffffffffff, aligned to 0x1000"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(2048)))]

    #[test]
    fn any_ring(start: u64, num: u16) {
        check(start, num);
    }

    #[test]
    fn any_aligned_ring(page in 0..u64::MAX / PAGE, num: u16) {
        check(page * PAGE, num);
    }

    #[test]
    fn any_ring_near_the_end(pages in 0..400u64, num: u16) {
        check(END - pages * PAGE, num);
    }
}
