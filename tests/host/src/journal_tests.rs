// SPDX-License-Identifier: GPL-2.0

//! The journal: what is kept of many events, and what an event reads like.

use std::collections::VecDeque;

use proptest::prelude::*;

use crate::legacy::{
    handshake::{FeaturesMissing, HandshakeLost, ResetError},
    journal::{Absence, Entry, Errno, Event, Journal, Phase},
    ring::RingError,
    status::{Status, WriteError},
    vectors::Policy,
};

fn journal(capacity: usize) -> Journal<Box<[Option<Entry>]>> {
    Journal::new(vec![None; capacity].into_boxed_slice())
}

fn kept(journal: &Journal<Box<[Option<Entry>]>>) -> Vec<Entry> {
    journal.entries().copied().collect()
}

fn status(raw: u8) -> Status {
    Status::from_raw(raw)
}

proptest! {
    #[test]
    fn the_last_events_are_kept_in_order(capacity in 0_usize..20, count in 0_u64..60) {
        let mut journal = journal(capacity);
        let mut model = VecDeque::new();
        for time in 0..count {
            let event = Event::Offered(time as u32);
            journal.record(event, || time);
            model.push_back(Entry { time, event });
            if model.len() > capacity {
                model.pop_front();
            }
        }
        prop_assert_eq!(kept(&journal), Vec::from(model));
        prop_assert_eq!(journal.lost() as u64, count.saturating_sub(capacity as u64));
    }
}

#[test]
fn a_status_that_reads_as_before_is_not_recorded() {
    let mut journal = journal(8);
    journal.record(Event::StatusWritten(status(0x07)), || 1);
    journal.record(Event::StatusRead(status(0x07)), || 2);
    journal.record(Event::StatusRead(status(0x47)), || 3);
    journal.record(Event::StatusRead(status(0x47)), || 4);
    journal.record(Event::StatusRead(status(0x07)), || 5);
    let times: Vec<_> = kept(&journal).iter().map(|entry| entry.time).collect();
    assert_eq!(times, [1, 3, 5]);
}

#[test]
fn an_entry_has_the_time_as_the_kernel_log_has_it() {
    let entry = Entry {
        time: 12_003_004_999,
        event: Event::Begun(Phase::Freeze),
    };
    assert_eq!(entry.to_string(), "[   12.003004] Begun: freeze begun");
}

#[test]
fn every_event_has_its_name_and_a_line_with_its_values() {
    let missing = FeaturesMissing {
        offered: 0x0100_0000,
        wanted: 0x3000_0000,
    };
    let lines = [
        (
            Event::StatusWritten(status(0x83)),
            "status 0x83 (ACKNOWLEDGE|DRIVER|FAILED) written",
        ),
        (Event::StatusRead(status(0)), "status 0x00 read"),
        (
            Event::StatusRefused {
                current: status(1),
                wanted: status(4),
                why: WriteError::ClearsBits,
            },
            "status 0x04 (DRIVER_OK) not written after 0x01 (ACKNOWLEDGE): only a reset clears status bits",
        ),
        (
            Event::ResetFailed(ResetError::Incomplete(status(4))),
            "reset does not complete, status 0x04 (DRIVER_OK)",
        ),
        (Event::Offered(0x1234), "features 0x00001234 offered"),
        (Event::Accepted(0x34), "features 0x00000034 accepted"),
        (
            Event::FeaturesMissing(missing),
            "offered features 0x01000000 lack 0x30000000 of the accepted 0x30000000",
        ),
        (
            Event::Virtqueue {
                index: 2,
                num: 256,
                pfn: 0xabc,
            },
            "virtqueue 2: 256 entries at QUEUE_PFN 0xabc",
        ),
        (
            Event::VirtqueueRefused {
                index: 1,
                error: RingError::BadSize(3),
            },
            "virtqueue 1: size 3 is not a power of 2",
        ),
        (
            Event::VectorRefused {
                index: Some(3),
                vector: 4,
                read: 0xffff,
            },
            "virtqueue 3: vector 4 refused, reads as 0xffff",
        ),
        (
            Event::VectorRefused {
                index: None,
                vector: 0,
                read: 1,
            },
            "configuration: vector 0 refused, reads as 0x0001",
        ),
        (
            Event::MsixMismatch { wanted: true },
            "MSI-X was enabled, but the enable bit is 0",
        ),
        (
            Event::MsixMismatch { wanted: false },
            "MSI-X was disabled, but the enable bit is 1",
        ),
        (Event::PolicyUsed(Policy::Intx), "INTx"),
        (
            Event::PolicyRefused(Policy::Shared, Errno(-28)),
            "not one shared MSI-X vector: ENOSPC",
        ),
        (Event::VirtqueuesDeleted, "virtqueues deleted"),
        (
            Event::VirtqueuesDetached,
            "virtqueues made that the device never sees",
        ),
        (Event::Begun(Phase::ResetPrepare), "reset_prepare begun"),
        (Event::Ended(Phase::Thaw, None), "thaw ended"),
        (
            Event::Ended(Phase::Restore, Some(Errno(-19))),
            "restore ended: ENODEV",
        ),
        (
            Event::Gone(Absence::Removed),
            "device is gone: registers read as all ones, the configuration space does too",
        ),
        (
            Event::Gone(Absence::NotDecoding(0x400)),
            "device is gone: registers read as all ones, I/O decoding is off, COMMAND 0x0400",
        ),
        (
            Event::Gone(Absence::NoRegisters),
            "device is gone: registers read as all ones, the configuration space answers",
        ),
        (
            Event::Absent,
            "device is gone: the configuration space reads as all ones",
        ),
        (
            Event::Alarm(status(0xff)),
            "alarm: status 0xff (all ones: no device answers) of a live device",
        ),
        (
            Event::AlarmWithdrawn,
            "alarm withdrawn: the device answers",
        ),
        (
            Event::ResetSlow { limit_ms: 30_000 },
            "reset takes more than 1 s: waiting up to 30000 ms (reset_timeout_ms)",
        ),
        (Event::ResetComplete, "reset complete"),
        (
            Event::ResetNotPrepared(Errno(-16)),
            "reset not prepared: EBUSY",
        ),
        (
            Event::NotRecovered(Errno(-5)),
            "failed to recover after reset: EIO",
        ),
        (Event::Replaced, "another device is in the slot"),
        (Event::NotEnabled(Errno(-5)), "not enabled: EIO"),
        (
            Event::NotRestored(Errno(-12)),
            "virtio driver not restored: ENOMEM",
        ),
        (
            Event::VirtqueuesMissing { now: 1, before: 3 },
            "1 of 3 virtqueues restored",
        ),
        (
            Event::HandshakeLost(HandshakeLost { status: status(1) }),
            "restored by its driver to status 0x01 (ACKNOWLEDGE)",
        ),
        (
            Event::Complaint(status(0x47)),
            "device asks for a reset: status 0x47 (ACKNOWLEDGE|DRIVER|DRIVER_OK|NEEDS_RESET); rebind it",
        ),
        (
            Event::StatusLost {
                written: status(7),
                read: status(0),
            },
            "device has lost its status: 0x00 after 0x07 (ACKNOWLEDGE|DRIVER|DRIVER_OK)",
        ),
        (
            Event::HeldInReset,
            "held in reset, because its virtio driver cannot be frozen",
        ),
        (
            Event::SleepRefused,
            "sleep refused, because its virtio driver cannot be frozen",
        ),
        (
            Event::Kept,
            "virtio device stays registered: the removal of its driver might not end",
        ),
        (
            Event::NotFrozen,
            "not frozen (EBUSY): its virtio driver would wait for a dead device",
        ),
        (
            Event::Detached,
            "detached: no register is accessed; rebind the device",
        ),
        (Event::Unregistered, "virtio device unregistered"),
        (
            Event::OutputBroken,
            "output stopped: no answer for 10 ms at a notification; rebind the device",
        ),
    ];
    for (event, line) in lines {
        assert_eq!(event.to_string(), line);
        let debug = format!("{event:?}");
        let variant = debug.split([' ', '(']).next();
        assert_eq!(variant, Some(event.name()));
    }
}

#[test]
fn an_error_has_its_name_or_its_number() {
    assert_eq!(Errno(-71).to_string(), "EPROTO");
    assert_eq!(Errno(-1000).to_string(), "error -1000");
    assert_eq!(Errno(i32::MIN).to_string(), format!("error {}", i32::MIN));
}

#[test]
fn phases_have_the_names_of_the_callbacks() {
    let phases = [
        (Phase::Freeze, "freeze"),
        (Phase::Thaw, "thaw"),
        (Phase::Poweroff, "poweroff"),
        (Phase::Restore, "restore"),
        (Phase::Suspend, "suspend"),
        (Phase::Resume, "resume"),
        (Phase::ResetPrepare, "reset_prepare"),
        (Phase::ResetDone, "reset_done"),
    ];
    for (phase, name) in phases {
        assert_eq!(phase.to_string(), name);
    }
}
