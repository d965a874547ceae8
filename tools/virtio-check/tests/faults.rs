// SPDX-License-Identifier: GPL-2.0

//! Faults of other drivers that were reported in public, rebuilt as short traces.
//!
//! Each is what the report describes, brought to the registers of the legacy interface; some of the
//! drivers met it on another transport. None is a recording.

use std::collections::BTreeSet;
use virtio_check::notation::{parse, Word};
use virtio_check::{Lane, Level, Measure, Outcome};

/// A fault: where it was reported, what the driver did, and the rules that catch it.
struct Fault {
    report: &'static str,
    accesses: &'static str,
    caught_by: &'static [&'static str],
}

const FAULTS: [Fault; 6] = [
    // The status is set to both bits at once, and the receive queue is kicked before DRIVER_OK:
    // well on QEMU, refused by Firecracker.
    Fault {
        report: "asterinas#3465",
        accesses: "STATUS=0 STATUS?0 STATUS=3 HOST_FEATURES?0x20 GUEST_FEATURES=0x20 QUEUE_SEL=0 \
                   QUEUE_NUM?256 QUEUE_PFN=0x1000 QUEUE_NOTIFY=0 QUEUE_SEL=1 QUEUE_NUM?256 \
                   QUEUE_PFN=0x1010 STATUS=7",
        caught_by: &["ack-and-driver-apart", "notify-early"],
    },
    // The wait for the end of a reset tests a bit that no status has, so it never waits.
    Fault {
        report: "zephyr#115151",
        accesses: "STATUS=0 STATUS?0x0f STATUS=1 STATUS=3 HOST_FEATURES?0 GUEST_FEATURES=0 \
                   QUEUE_SEL=0 QUEUE_NUM?64 QUEUE_PFN=0x1000 STATUS=7",
        caught_by: &["reset-complete"],
    },
    // The status is not read back after a reset.
    Fault {
        report: "SeaBIOS pull request 2",
        accesses: "STATUS=0 STATUS=1 STATUS=3 HOST_FEATURES?0 GUEST_FEATURES=0 QUEUE_SEL=0 \
                   QUEUE_NUM?64 QUEUE_PFN=0x1000 STATUS=7",
        caught_by: &["reset-complete"],
    },
    // A device that the boot loader has used is negotiated with again, without a reset.
    Fault {
        report: "Solo5#491",
        accesses: "STATUS=1 STATUS=3 HOST_FEATURES?0x6e54 GUEST_FEATURES=0 QUEUE_SEL=0 \
                   QUEUE_NUM?128 QUEUE_PFN=0x1000 STATUS=7 QUEUE_NOTIFY=0",
        caught_by: &["reset-first"],
    },
    // DRIVER_OK comes before the virtqueues and their vectors, which are not read back.
    Fault {
        report: "nanos#587",
        accesses: "STATUS=0 STATUS?0 STATUS=1 STATUS=3 HOST_FEATURES?0 GUEST_FEATURES=0 STATUS=7 \
                   QUEUE_SEL=0 QUEUE_NUM?128 QUEUE_PFN=0x1000 QUEUE_VECTOR=1 QUEUE_NOTIFY=0",
        caught_by: &["queues-before-ok", "queues-late", "vector-read-back"],
    },
    // A driver writes features again when the device is live.
    Fault {
        report: "propolis#1209",
        accesses: "STATUS=0 STATUS?0 STATUS=1 STATUS=3 HOST_FEATURES?0x30000020 \
                   GUEST_FEATURES=0x20 QUEUE_SEL=0 QUEUE_NUM?256 QUEUE_PFN=0x1000 STATUS=7 \
                   GUEST_FEATURES=0x10000020",
        caught_by: &["features-after-ok"],
    },
];

/// The accesses as QEMU traces them.
fn trace(accesses: &str) -> String {
    let words = parse(accesses).unwrap();
    let line = |word| {
        let Word::Access(access) = word else {
            panic!("{word:?} is no access");
        };
        let offset =
            (0..24).find(|at| virtio_check::access::Register::at(*at, true) == access.register);
        let kind = if access.write { "write" } else { "read" };
        format!(
            "memory_region_ops_{kind} cpu 0 mr 0x7 addr {:#x} value {:#x} size {} name 'virtio-pci'\n",
            0xc000 + offset.unwrap(),
            access.value,
            access.size
        )
    };
    words.into_iter().map(line).collect()
}

#[test]
fn faults_that_were_reported_in_public_are_caught() {
    for Fault {
        report,
        accesses,
        caught_by,
    } in FAULTS
    {
        let lane = Lane::of(report, trace(accesses).as_bytes(), &[]).unwrap();
        let measure = Measure {
            level: Level::Convention,
            ..Measure::default()
        };
        let results = measure.results(&lane, 0);
        let broken = results
            .iter()
            .filter(|judged| judged.outcome == Outcome::Breach);
        let broken: BTreeSet<_> = broken.map(|judged| judged.rule.id).collect();
        assert_eq!(
            broken,
            BTreeSet::from_iter(caught_by.iter().copied()),
            "{report}"
        );
    }
}

#[test]
fn what_mends_them_is_clean() {
    let mended = "STATUS=0 STATUS?0x0f STATUS?0 STATUS=1 STATUS=3 HOST_FEATURES?0x20 \
                  GUEST_FEATURES=0x20 QUEUE_SEL=0 QUEUE_NUM?256 QUEUE_PFN=0x1000 QUEUE_VECTOR=1 \
                  QUEUE_VECTOR?1 STATUS=7 QUEUE_NOTIFY=0";
    let lane = Lane::of("mended", trace(mended).as_bytes(), &[]).unwrap();
    let measure = Measure {
        level: Level::Convention,
        ..Measure::default()
    };
    assert!(measure.is_clean(&lane));
}
