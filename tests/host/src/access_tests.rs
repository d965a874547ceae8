// SPDX-License-Identifier: GPL-2.0

//! Plans of device configuration accesses.

use crate::legacy::access::{Access, Plan, Widths};

const BOTH: [Widths; 2] = [Widths::Natural, Widths::Byte];

/// The largest offset, length and limit that are tried.
const END: usize = if cfg!(miri) { 9 } else { 64 };

/// A plan that must exist, as (offset, width) pairs.
fn plan(offset: usize, len: usize, widths: Widths) -> Vec<(usize, usize)> {
    Plan::new(offset, len, offset + len, widths)
        .expect("the range is inside")
        .take(len + 1)
        .map(|Access { offset, width }| (offset, width))
        .collect()
}

#[test]
fn a_plan_exists_exactly_for_ranges_inside() {
    for widths in BOTH {
        for offset in 0..=END {
            for len in 0..=END {
                for limit in 0..=END {
                    let inside = (offset..offset + len).all(|byte| byte < limit) && offset <= limit;
                    assert_eq!(
                        Plan::new(offset, len, limit, widths).is_some(),
                        inside,
                        "{len} bytes at {offset} of {limit}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_plan_covers_its_range_once_in_ascending_aligned_accesses() {
    for widths in BOTH {
        for offset in 0..=END {
            for len in 0..=END {
                let accesses = plan(offset, len, widths);
                let bytes: Vec<_> = accesses
                    .iter()
                    .flat_map(|&(start, width)| start..start + width)
                    .collect();
                assert_eq!(bytes, (offset..offset + len).collect::<Vec<_>>());
                for (start, width) in accesses {
                    assert!([1, 2, 4].contains(&width), "width {width}");
                    assert_eq!(start % width, 0, "width {width} at {start}");
                    assert!(widths == Widths::Natural || width == 1);
                }
            }
        }
    }
}

/// The fewest aligned accesses of 1, 2 or 4 bytes that cover a range, by trying all of them.
fn fewest(offset: usize, len: usize) -> usize {
    let mut fewest = vec![0; len + 1];
    for left in 1..=len {
        let start = offset + len - left;
        fewest[left] = [1, 2, 4]
            .into_iter()
            .filter(|width| *width <= left && start % width == 0)
            .map(|width| 1 + fewest[left - width])
            .min()
            .expect("a byte always fits");
    }
    fewest[len]
}

#[test]
fn natural_plans_have_as_few_accesses_as_possible() {
    for offset in 0..=END {
        for len in 0..=END {
            assert_eq!(
                plan(offset, len, Widths::Natural).len(),
                fewest(offset, len),
                "{len} bytes at {offset}"
            );
        }
    }
}

#[test]
fn atomic_is_what_one_access_covers() {
    for widths in BOTH {
        for offset in 0..=END {
            for len in 0..=END {
                let expected = match widths {
                    _ if len <= 1 => true,
                    Widths::Natural => (len == 2 || len == 4) && offset % len == 0,
                    Widths::Byte => false,
                };
                let plan = Plan::new(offset, len, offset + len, widths).expect("inside");
                assert_eq!(plan.is_atomic(), expected, "{len} bytes at {offset}");
            }
        }
    }
}

#[test]
fn asking_whether_a_plan_is_atomic_does_not_use_it_up() {
    let plan = Plan::new(4, 8, 12, Widths::Natural).expect("inside");
    assert!(!plan.is_atomic());
    assert_eq!(plan.take(3).count(), 2);
}

#[test]
fn known_fields() {
    // The capacity of a disk, the MAC address and the status of a network card.
    assert_eq!(plan(0, 8, Widths::Natural), [(0, 4), (4, 4)]);
    assert_eq!(plan(0, 6, Widths::Natural), [(0, 4), (4, 2)]);
    assert_eq!(plan(6, 2, Widths::Natural), [(6, 2)]);
    assert_eq!(plan(6, 2, Widths::Byte), [(6, 1), (7, 1)]);
    assert_eq!(plan(1, 4, Widths::Natural), [(1, 1), (2, 2), (4, 1)]);
    assert_eq!(plan(20, 0, Widths::Natural), []);
}

#[test]
fn a_range_past_the_address_space_is_outside() {
    for widths in BOTH {
        for (offset, len, limit) in [
            (usize::MAX, 1, usize::MAX),
            (usize::MAX, usize::MAX, usize::MAX),
            (usize::MAX - 3, 4, usize::MAX),
            (1, usize::MAX, usize::MAX),
            (usize::MAX, 0, 64),
        ] {
            assert!(Plan::new(offset, len, limit, widths).is_none());
        }
    }
}

#[test]
fn the_last_bytes_of_the_address_space_do_not_overflow() {
    const LAST: usize = usize::MAX;
    assert_eq!(
        plan(LAST - 3, 3, Widths::Natural),
        [(LAST - 3, 2), (LAST - 1, 1)]
    );
    assert_eq!(
        plan(LAST - 2, 2, Widths::Byte),
        [(LAST - 2, 1), (LAST - 1, 1)]
    );
    for widths in BOTH {
        assert_eq!(plan(LAST, 0, widths), []);
    }
}
