// SPDX-License-Identifier: GPL-2.0

//! Which virtqueue gets which vector.

use proptest::prelude::*;

use crate::legacy::vectors::{Policy, VectorAllocator, CONFIG_VECTOR, NO_VECTOR, SHARED_VECTOR};
use crate::size::cases;

/// The most entries that the PCI specification gives an MSI-X table.
const TABLE_ENTRIES: usize = 2048;

fn deal(policy: Policy, callbacks: &[bool]) -> Vec<u16> {
    let mut dealer = VectorAllocator::new(policy);
    callbacks
        .iter()
        .map(|&has_callback| dealer.allocate(has_callback))
        .collect()
}

/// The vectors as the C driver deals them, whose policies are loops over the virtqueues.
fn deal_as_c(policy: Policy, callbacks: &[bool]) -> Vec<u16> {
    let mut allocated = 1;
    let mut vectors = Vec::new();
    for &has_callback in callbacks {
        vectors.push(if !has_callback || policy == Policy::Intx {
            0xffff
        } else if policy == Policy::PerQueue {
            allocated += 1;
            allocated - 1
        } else {
            1
        });
    }
    vectors
}

/// Checks all that must hold of the vectors of one device.
fn check(policy: Policy, callbacks: &[bool]) {
    let vectors = deal(policy, callbacks);
    let needed = policy
        .vectors_needed(callbacks.iter().filter(|&&it| it).count())
        .expect("so few fit");
    assert_eq!(vectors, deal_as_c(policy, callbacks));
    for (vector, has_callback) in vectors.iter().copied().zip(callbacks) {
        let expect_vector = *has_callback && policy != Policy::Intx;
        assert_eq!(vector != NO_VECTOR, expect_vector);
        if expect_vector {
            assert_ne!(vector, CONFIG_VECTOR);
            assert!(vector < needed, "{vector} of {needed}");
        }
    }
    if policy == Policy::PerQueue {
        let mut dealt: Vec<_> = vectors.into_iter().filter(|&it| it != NO_VECTOR).collect();
        let count = dealt.len();
        dealt.dedup();
        assert_eq!(dealt.len(), count, "two virtqueues share a vector");
        assert_eq!(usize::from(needed), count + 1, "one is for the config");
    }
}

#[test]
fn constants_are_those_of_the_specification() {
    assert_eq!(NO_VECTOR, 0xffff);
    assert_eq!(CONFIG_VECTOR, 0);
    assert_eq!(SHARED_VECTOR, 1);
}

#[test]
fn policies_are_tried_in_the_order_of_the_c_driver() {
    assert_eq!(
        Policy::BEST_FIRST,
        [Policy::PerQueue, Policy::Shared, Policy::Intx]
    );
    assert_eq!(
        Policy::BEST_FIRST.map(|policy| policy.to_string()),
        [
            "one MSI-X vector per virtqueue",
            "one shared MSI-X vector",
            "INTx"
        ]
    );
}

#[test]
fn what_is_ready_is_tried_first_and_then_all() {
    let [per_queue, shared, intx] = Policy::BEST_FIRST;
    let order = |ready| Policy::in_order(ready).collect::<Vec<_>>();
    assert_eq!(order(None), Policy::BEST_FIRST);
    assert_eq!(order(Some(intx)), [intx, per_queue, shared, intx]);
}

#[test]
fn every_device_of_up_to_eight_virtqueues() {
    for policy in Policy::BEST_FIRST {
        for queues in 0..=8 {
            for mask in 0..1u32 << queues {
                let callbacks: Vec<_> = (0..queues).map(|queue| mask & (1 << queue) != 0).collect();
                check(policy, &callbacks);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(256)))]

    #[test]
    fn devices_of_many_virtqueues(
        policy in prop::sample::select(&Policy::BEST_FIRST),
        callbacks in prop::collection::vec(any::<bool>(), 0..512),
    ) {
        check(policy, &callbacks);
    }
}

#[test]
fn no_device_needs_more_vectors_than_a_table_has() {
    let needed = |callbacks| Policy::PerQueue.vectors_needed(callbacks);
    assert_eq!(needed(0), Some(1));
    assert_eq!(needed(1), Some(2));
    assert_eq!(needed(TABLE_ENTRIES - 2), Some(2047));
    assert_eq!(needed(TABLE_ENTRIES - 1), Some(2048));
    for too_many in [
        TABLE_ENTRIES,
        TABLE_ENTRIES + 1,
        0xfffe,
        0xffff,
        0x1_0000,
        0x1_0001,
        usize::MAX,
    ] {
        assert_eq!(needed(too_many), None, "{too_many}");
    }
}

#[test]
fn shared_vectors_and_intx_do_not_depend_on_the_virtqueues() {
    for callbacks in [0, 1, 2, TABLE_ENTRIES, usize::MAX] {
        assert_eq!(Policy::Shared.vectors_needed(callbacks), Some(2));
        assert_eq!(Policy::Intx.vectors_needed(callbacks), Some(0));
    }
}

#[test]
fn a_full_table_is_dealt_out_to_its_last_vector_and_not_past_it() {
    let mut dealer = VectorAllocator::new(Policy::PerQueue);
    for vector in 1..2048 {
        assert_eq!(dealer.allocate(false), NO_VECTOR);
        assert_eq!(dealer.allocate(true), vector);
    }
    for _ in 0..0x2_0000 {
        assert_eq!(dealer.allocate(true), NO_VECTOR);
    }
}
