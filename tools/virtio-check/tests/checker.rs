// SPDX-License-Identifier: GPL-2.0

//! The checker passes what both drivers do, and catches each single breach by its rule.

mod common;

use common::{access, load, phase, read, write, write_of};
use std::collections::BTreeSet;
use virtio_check::access::{Access, Register};
use virtio_check::rules::Seen;
use virtio_check::{check, pre_2014, Breach, Phase, RULES};

/// An edit that breaks one rule.
type Edit = fn(&mut Vec<Access>);

fn rules(breaches: &[Breach]) -> BTreeSet<&str> {
    breaches.iter().map(|b| b.rule.id).collect()
}

fn set_status_bits(accesses: &mut [Access], bits: u64) {
    let statuses = accesses
        .iter_mut()
        .filter(|a| a.register == Register::Status);
    statuses.for_each(|a| a.value |= bits);
}

/// For each rule an edit of the Rust driver's trace that breaks it before any other.
const EDITS: &[(&str, Phase, Edit)] = &[
    ("width", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 1);
        a[at].size = 4;
    }),
    ("width", Phase::Probe, |a| {
        let at = write(a, Register::QueuePfn);
        a[at].size = 2;
    }),
    ("layout", Phase::Probe, |a| {
        let at = write_of(a, Register::Status, 7);
        a.insert(at, access(Register::Inside(2), false, 0));
    }),
    ("read-only", Phase::Probe, |a| {
        a.push(access(Register::HostFeatures, true, 64));
    }),
    ("queue-num-written", Phase::Probe, |a| {
        a.push(access(Register::QueueNum, true, 64));
    }),
    ("config-offset", Phase::Probe, |a| {
        let at = write_of(a, Register::Status, 7);
        a.insert(at, access(Register::Inside(21), false, 0));
    }),
    ("reset-first", Phase::Probe, |a| {
        a.remove(0);
    }),
    ("reset-complete", Phase::Restore, |a| {
        a.remove(1);
    }),
    ("reset-complete", Phase::Restore, |a| a[1].value = 0x8f),
    ("status-cleared", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 7);
        a[at].value = 5;
    }),
    ("status-bits", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 3);
        set_status_bits(&mut a[at..], 0x10);
    }),
    ("features-ok", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 3);
        set_status_bits(&mut a[at..], 8);
    }),
    ("status-lost", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 3);
        a.insert(at + 1, access(Register::Status, false, 0));
    }),
    ("failed-continues", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 3) + 1;
        a.insert(at, access(Register::Status, true, 3));
        set_status_bits(&mut a[at..], 0x80);
    }),
    ("ack-before-driver", Phase::Restore, |a| {
        a.remove(write_of(a, Register::Status, 1));
        let at = write_of(a, Register::Status, 3);
        a[at].value = 2;
    }),
    ("ack-and-driver-apart", Phase::Restore, |a| {
        a.remove(write_of(a, Register::Status, 1));
    }),
    ("driver-before-features", Phase::Restore, |a| {
        let driver = a.remove(write_of(a, Register::Status, 3));
        a.insert(read(a, Register::HostFeatures) + 1, driver);
    }),
    ("driver-before-features", Phase::Restore, |a| {
        let driver = a.remove(write_of(a, Register::Status, 3));
        a.insert(write(a, Register::GuestFeatures) + 1, driver);
    }),
    ("driver-before-config", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 3);
        a.insert(at, access(Register::Config(0), false, 0));
    }),
    ("features-before-config-write", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 3) + 1;
        a.insert(at, access(Register::Config(0), true, 0));
    }),
    ("driver-before-queues", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 3);
        a.insert(at, access(Register::ConfigVector, true, 0));
        a.insert(at + 1, access(Register::ConfigVector, false, 0));
    }),
    ("features-before-queues", Phase::Restore, |a| {
        a.remove(write(a, Register::GuestFeatures));
    }),
    ("driver-before-ok", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 3);
        a.insert(at, access(Register::Status, true, 5));
    }),
    ("features-before-ok", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 3) + 1;
        a.insert(at, access(Register::Status, true, 7));
    }),
    ("queues-before-ok", Phase::Restore, |a| {
        let at = write(a, Register::GuestFeatures) + 1;
        a.insert(at, access(Register::Status, true, 7));
    }),
    ("queues-late", Phase::Restore, |a| {
        a.push(access(Register::ConfigVector, true, 0));
        a.push(access(Register::ConfigVector, false, 0));
    }),
    ("features-after-ok", Phase::Restore, |a| {
        let accept = a[write(a, Register::GuestFeatures)].clone();
        a.push(accept);
    }),
    ("features-late", Phase::Restore, |a| {
        let accept = a[write(a, Register::GuestFeatures)].clone();
        a.insert(write_of(a, Register::Status, 7), accept);
    }),
    ("features-offered", Phase::Restore, |a| {
        let at = write(a, Register::GuestFeatures);
        a[at].value |= 1 << 26;
    }),
    ("features-read", Phase::Probe, |a| {
        a.remove(read(a, Register::HostFeatures));
    }),
    ("bit-30", Phase::Restore, |a| {
        let at = write(a, Register::GuestFeatures);
        a[at].value |= 1 << 30;
    }),
    ("queue-select", Phase::Restore, |a| {
        a.remove(write(a, Register::QueueSel));
    }),
    ("queue-size", Phase::Restore, |a| {
        a.remove(read(a, Register::QueueNum));
    }),
    ("queue-size", Phase::Restore, |a| {
        let at = read(a, Register::QueueNum);
        a[at].value = 0;
    }),
    ("pfn-range", Phase::Restore, |a| {
        let at = write(a, Register::QueuePfn);
        a[at].value = 0xffff_ffff;
    }),
    ("queue-live", Phase::Restore, |a| {
        let at = write(a, Register::QueuePfn);
        a.insert(at, a[at].clone());
    }),
    ("vector-read-back", Phase::Restore, |a| {
        a.remove(read(a, Register::QueueVector));
    }),
    ("vector-read-back", Phase::Restore, |a| {
        a.remove(read(a, Register::ConfigVector));
    }),
    ("vector-refused", Phase::Restore, |a| {
        let at = read(a, Register::QueueVector);
        a[at].value = 0xffff;
    }),
    ("teardown-live", Phase::Restore, |a| {
        a.push(access(Register::QueuePfn, true, 0));
    }),
    ("vector-off-live", Phase::Restore, |a| {
        a.push(access(Register::QueueVector, true, 0xffff));
    }),
    ("no-reset-after-pfn-0", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 7);
        a.insert(at, access(Register::QueuePfn, true, 0));
    }),
    ("notify-early", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 7);
        a.insert(at, access(Register::QueueNotify, true, 0));
    }),
    ("notify-absent", Phase::Restore, |a| {
        a.push(access(Register::QueueNotify, true, 5));
    }),
    ("notify-dead", Phase::Restore, |a| {
        let at = write_of(a, Register::Status, 7);
        a.insert(at, access(Register::QueueNum, false, 64));
        a.insert(at, access(Register::QueueSel, true, 5));
        a.push(access(Register::QueueNotify, true, 5));
    }),
    ("isr-with-msix", Phase::Restore, |a| {
        a.push(access(Register::Isr, false, 1));
    }),
    ("frozen", Phase::Freeze, |a| {
        a.push(access(Register::HostFeatures, false, 0));
    }),
    ("frozen", Phase::Freeze, |a| {
        a.push(access(Register::Config(0), false, 0));
    }),
    ("frozen", Phase::Freeze, |a| {
        a.push(access(Register::QueueNotify, true, 0));
    }),
    ("frozen", Phase::Freeze, |a| {
        a.push(access(Register::Status, true, 1));
    }),
];

#[test]
fn both_drivers_pass() {
    for name in ["c-msix", "c-intx", "rust-msix", "rust-intx"] {
        assert_eq!(check(&load(name)), [], "{name}");
    }
}

#[test]
fn each_breach_is_caught_by_its_rule() {
    for (n, (rule, in_phase, edit)) in EDITS.iter().enumerate() {
        let mut run = load("rust-msix");
        edit(phase(&mut run, *in_phase));
        let breaches = check(&run);
        let first = breaches.first().map(|b| (b.rule.id, b.phase));
        assert_eq!(first, Some((*rule, *in_phase)), "edit {n}: {breaches:#?}");
        assert!(breaches[0].context.iter().any(|l| l.starts_with('>')));
    }
}

#[test]
fn each_rule_has_an_edit() {
    let edited: BTreeSet<&str> = EDITS.iter().map(|(rule, ..)| *rule).collect();
    let traced = RULES.iter().filter(|rule| rule.seen == Seen::Trace);
    let all: BTreeSet<&str> = traced.map(|rule| rule.id).collect();
    assert_eq!(edited, all);
}

#[test]
fn the_order_of_before_2014_is_caught() {
    for name in ["c-msix", "c-intx", "rust-msix", "rust-intx"] {
        let breaches = check(&pre_2014(&load(name)));
        assert!(breaches.iter().all(|b| b.phase == Phase::Restore));
        let mut expected = BTreeSet::from(["driver-before-features", "driver-before-queues"]);
        if name.ends_with("msix") {
            // virtio_blk reads how many virtqueues there are before it sets them up.
            expected.insert("driver-before-config");
        }
        assert_eq!(rules(&breaches), expected, "{name}");
    }
}

#[test]
fn reading_isr_is_right_with_intx() {
    let mut run = load("rust-intx");
    phase(&mut run, Phase::Restore).push(access(Register::Isr, false, 1));
    assert_eq!(check(&run), []);
}

#[test]
fn a_device_that_is_gone_breaks_no_rule() {
    let mut run = load("rust-msix");
    phase(&mut run, Phase::Restore).push(access(Register::Status, false, 0xff));
    assert_eq!(check(&run), []);
}

#[test]
fn what_is_known_of_the_balloon_is_marked() {
    let mut run = load("rust-msix");
    run.devices[0].name = "balloon0".into();
    let restore = phase(&mut run, Phase::Restore);
    let at = write_of(restore, Register::Status, 7);
    restore.insert(at, access(Register::QueueNotify, true, 2));
    let breaches = check(&run);
    assert_eq!(rules(&breaches), BTreeSet::from(["notify-early"]));
    assert_eq!(breaches[0].known.map(|k| k.c_only), Some(false));
    run.devices[0].name = "blk".into();
    assert!(check(&run)[0].known.is_none());
}

#[test]
fn a_new_process_begins_with_a_reset() {
    let joined = load("rust-msix").join(load("rust-msix")).unwrap();
    assert_eq!(check(&joined), []);
    let mut later = load("rust-msix");
    phase(&mut later, Phase::Probe).remove(0);
    let joined = load("rust-msix").join(later).unwrap();
    assert_eq!(rules(&check(&joined)), BTreeSet::from(["reset-first"]));
}
