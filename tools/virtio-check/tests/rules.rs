// SPDX-License-Identifier: GPL-2.0

//! The examples of the rules do what they say.

use std::collections::BTreeSet;
use virtio_check::notation::{parse, Word};
use virtio_check::rules::Seen;
use virtio_check::{Checker, Phase, RULES};

/// The rules that these accesses break, and the checker after them.
fn judge(text: &str) -> (BTreeSet<&'static str>, Checker) {
    let (mut checker, mut msix, mut phase) = (Checker::default(), false, Phase::Between);
    let mut broken = BTreeSet::new();
    for word in parse(text).unwrap() {
        match word {
            Word::Msix => msix = true,
            Word::Phase(next) => phase = next,
            Word::Access(access) => {
                let found = checker.judge(&access, phase, msix);
                broken.extend(found.iter().map(|(rule, _)| rule.id));
            }
        }
    }
    (broken, checker)
}

#[test]
fn each_rule_is_kept_once_and_broken_once() {
    for rule in RULES {
        let Some(example) = rule.example else {
            assert_eq!(rule.seen, Seen::Device, "{}", rule.id);
            continue;
        };
        let after = |end: &str| judge(&format!("{} {end}", example.after));
        let (broken, checker) = after(example.right);
        assert_eq!(broken, BTreeSet::new(), "{}, kept", rule.id);
        assert!(checker.judged(rule) > 0, "{} is not reached", rule.id);
        let (broken, _) = after(example.wrong);
        assert!(broken.contains(rule.id), "{}: {broken:?}", rule.id);
    }
}

#[test]
fn what_comes_before_an_example_breaks_nothing() {
    for rule in RULES {
        let before = rule.example.map_or("", |example| example.after);
        assert_eq!(judge(before).0, BTreeSet::new(), "{}", rule.id);
    }
}

#[test]
fn a_rule_that_is_not_reached_is_not_kept() {
    let (_, checker) = judge("STATUS=0 STATUS?0 STATUS=1");
    let reached: Vec<_> = RULES
        .iter()
        .filter(|r| checker.judged(r) > 0)
        .map(|r| r.id)
        .collect();
    let expected = [
        "width",
        "layout",
        "reset-first",
        "reset-complete",
        "status-bits",
        "features-ok",
    ];
    assert_eq!(reached, expected);
}

#[test]
fn zero_features_need_no_offer_but_a_look() {
    let driver = "STATUS=0 STATUS?0 STATUS=1 STATUS=3";
    let (broken, _) = judge(&format!("{driver} GUEST_FEATURES=0"));
    assert_eq!(broken, BTreeSet::from(["features-read"]));
    let (broken, _) = judge(&format!("{driver} HOST_FEATURES?0 GUEST_FEATURES=0"));
    assert_eq!(broken, BTreeSet::new());
}

#[test]
fn a_vector_may_be_read_back_later_but_not_after_another() {
    let queue = "STATUS=0 STATUS?0 STATUS=1 STATUS=3 HOST_FEATURES?0 GUEST_FEATURES=0 QUEUE_SEL=0 \
                 QUEUE_NUM?64 QUEUE_PFN=1";
    let vectors = |rest: &str| judge(&format!("{queue} {rest}")).0;
    assert!(vectors("QUEUE_VECTOR=1 STATUS?3 QUEUE_VECTOR?1 STATUS=7").is_empty());
    for late in [
        "QUEUE_VECTOR=1 STATUS=7",
        "QUEUE_VECTOR=1 QUEUE_SEL=1",
        "CONFIG_VECTOR=1 CONFIG_VECTOR=0",
    ] {
        assert_eq!(
            vectors(late),
            BTreeSet::from(["vector-read-back"]),
            "{late}"
        );
    }
}

#[test]
fn an_address_of_64_bits_is_out_of_range() {
    let queue = "STATUS=0 STATUS?0 STATUS=1 STATUS=3 HOST_FEATURES?0 GUEST_FEATURES=0 QUEUE_SEL=0 \
                 QUEUE_NUM?64 QUEUE_PFN=0xffffffffffffffff/8";
    assert_eq!(judge(queue).0, BTreeSet::from(["pfn-range", "width"]));
}
