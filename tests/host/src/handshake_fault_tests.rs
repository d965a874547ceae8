// SPDX-License-Identifier: GPL-2.0

//! The handshake with devices that answer wrongly.
//!
//! A restore is run against a register file whose reads are wrong, one at a time or all at random,
//! and what happened on the bus is judged by rules that know nothing of the code.

use proptest::prelude::*;

use crate::device::{Event, RegisterFile, OFFERED, QUEUES};
use crate::legacy::handshake::{FeaturesMissing, Handshake, HandshakeLost, Registers, ResetError};
use crate::legacy::ring;
use crate::legacy::status::Status;
use crate::legacy::vectors::{Policy, VectorAllocator};
use crate::size::cases;

/// Where a handshake is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    DropReset,
    DropAcknowledged,
    Stop,
    DropDriverFound,
    DropFeaturesAccepted,
    HandOver,
    DropQueuesRestored,
    Live,
}

impl Leave {
    const ALL: [Self; 8] = [
        Self::DropReset,
        Self::DropAcknowledged,
        Self::Stop,
        Self::DropDriverFound,
        Self::DropFeaturesAccepted,
        Self::HandOver,
        Self::DropQueuesRestored,
        Self::Live,
    ];
}

/// One restore.
#[derive(Clone, Copy, Debug)]
struct Restore {
    leave: Leave,
    wanted: u32,
    failed_before: bool,
    /// The virtio driver sets DRIVER_OK by itself.
    sets_live: bool,
    /// The virtio driver resets the device when all is done.
    resets: bool,
    /// Interrupt policies that fail after the virtqueues were set up with them.
    bad_policies: usize,
}

/// Why a restore failed.
#[derive(Debug)]
enum Error {
    Reset(ResetError),
    Features(FeaturesMissing),
    Driver,
    Lost(HandshakeLost),
}

impl From<HandshakeLost> for Error {
    fn from(error: HandshakeLost) -> Self {
        Self::Lost(error)
    }
}

impl From<ResetError> for Error {
    fn from(error: ResetError) -> Self {
        Self::Reset(error)
    }
}

impl From<FeaturesMissing> for Error {
    fn from(error: FeaturesMissing) -> Self {
        Self::Features(error)
    }
}

impl Restore {
    fn run(self, device: &RegisterFile) -> Result<(), Error> {
        let reset = Handshake::begin(device)?;
        if self.leave == Leave::DropReset {
            return Ok(());
        }
        let acknowledged = reset.acknowledge(self.failed_before);
        match self.leave {
            Leave::DropAcknowledged => return Ok(()),
            Leave::Stop => {
                acknowledged.stop();
                return Ok(());
            }
            _ => {}
        }
        let driver_found = acknowledged.driver();
        if self.leave == Leave::DropDriverFound {
            return Ok(());
        }
        let features_accepted = driver_found.accept_features(self.wanted)?;
        match self.leave {
            Leave::DropFeaturesAccepted => return Ok(()),
            Leave::HandOver => {
                features_accepted.hand_over();
                return Ok(());
            }
            _ => {}
        }
        let queues_restored = features_accepted.restore_queues(|| self.restore_driver(device))?;
        if self.leave == Leave::Live {
            queues_restored.live()?;
        }
        Ok(())
    }

    /// What a virtio driver does in its restore.
    fn restore_driver(self, device: &RegisterFile) -> Result<(), Error> {
        for policy in Policy::BEST_FIRST.into_iter().take(self.bad_policies) {
            set_up_queues(device, policy)?;
            Self {
                leave: Leave::HandOver,
                ..self
            }
            .run(device)?;
        }
        set_up_queues(device, Policy::BEST_FIRST[self.bad_policies])?;
        if self.sets_live {
            device.write_status(device.written_status().with(Status::DRIVER_OK));
        }
        if self.resets {
            device.write_status(Status::RESET);
        }
        Ok(())
    }
}

fn set_up_queues(device: &RegisterFile, policy: Policy) -> Result<(), Error> {
    let mut dealer = VectorAllocator::new(policy);
    for queue in 0..QUEUES {
        device.select_queue(queue);
        let num = device.read_queue_num();
        ring::check_size(num).map_err(|_| Error::Driver)?;
        ring::check_unused(device.read_queue_pfn()).map_err(|_| Error::Driver)?;
        let start = 0x10_0000 * (u64::from(queue) + 1);
        device.write_queue_pfn(ring::pfn(start, num).map_err(|_| Error::Driver)?);
        let vector = dealer.allocate(true);
        device.write_queue_vector(vector);
        if device.read_queue_vector() != vector {
            return Err(Error::Driver);
        }
    }
    Ok(())
}

/// The rules of the specification, and of the module's design, for what is seen on the bus.
fn judge(restore: Restore, log: &[Event], result: &Result<(), Error>) {
    assert_eq!(log.first(), Some(&Event::WriteStatus(0)), "no reset first");
    let mut status = 0;
    let mut reset_seen = false;
    let mut features_accepted = false;
    let mut offered = None;
    let mut given_up = false;
    for event in log {
        let has = |bits| status & bits == bits;
        match *event {
            Event::WriteStatus(0) => {
                assert!(!given_up, "reset after FAILED: {log:x?}");
                status = 0;
                reset_seen = false;
                features_accepted = false;
                offered = None;
            }
            Event::WriteStatus(new) => {
                let added = new & !status;
                assert_eq!(status & !new, 0, "bits are lost: {log:x?}");
                assert!(added != 0 || new & 0x80 != 0, "written twice: {log:x?}");
                assert_eq!(added & !0x87, 0, "unknown bits: {log:x?}");
                assert!(reset_seen || new == 0x80, "no reset: {log:x?}");
                assert!(added & 0x02 == 0 || has(0x01), "DRIVER too early: {log:x?}");
                assert!(
                    added & 0x04 == 0 || (has(0x03) && features_accepted),
                    "DRIVER_OK too early: {log:x?}"
                );
                let put_back = restore.failed_before && status == 0x01;
                if (added & 0x80 != 0 && !put_back) || added == 0 {
                    given_up = true;
                }
                status = new;
            }
            Event::ReadStatus(answer) => reset_seen |= answer == 0,
            Event::WaitForReset(_) => {}
            Event::ReadFeatures(answer) => offered = Some(answer),
            Event::WriteFeatures(accepted) => {
                assert!(has(0x03), "features before DRIVER: {log:x?}");
                let offered = offered.expect("accepted before the offer is known");
                assert_eq!(accepted & !offered, 0, "not offered: {log:x?}");
                features_accepted = true;
            }
            Event::SelectQueue(_)
            | Event::ReadQueueNum(_)
            | Event::ReadQueuePfn(_)
            | Event::WriteQueuePfn(_)
            | Event::WriteQueueVector(_)
            | Event::ReadQueueVector(_) => {
                assert!(
                    has(0x03) && features_accepted,
                    "virtqueue too early: {log:x?}"
                );
            }
        }
        assert!(
            !given_up || matches!(event, Event::WriteStatus(_)),
            "goes on after FAILED: {log:x?}"
        );
    }
    judge_end(restore, status, log, result);
}

/// The rules for the status that is left behind.
fn judge_end(restore: Restore, status: u8, log: &[Event], result: &Result<(), Error>) {
    let failed = status & 0x80 != 0;
    let last_is_failed = matches!(log.last(), Some(Event::WriteStatus(last)) if last & 0x80 != 0);
    let rest = status & !0x80;
    let resets = log
        .iter()
        .filter(|event| **event == Event::WriteStatus(0))
        .count();
    match (result, restore.leave) {
        // Gone during a later reset is an error of the driver's restore.
        (Err(Error::Reset(ResetError::Gone)), _) if resets == 1 => {
            let last_read = log
                .iter()
                .rev()
                .find(|event| !matches!(event, Event::WaitForReset(_)));
            assert_eq!(last_read, Some(&Event::ReadStatus(0xff)), "{log:x?}");
            assert_eq!(status, 0, "written although gone: {log:x?}");
        }
        (Err(_), _)
        | (
            Ok(()),
            Leave::DropReset
            | Leave::DropAcknowledged
            | Leave::DropDriverFound
            | Leave::DropFeaturesAccepted,
        ) => {
            assert!(failed, "not FAILED: {log:x?}");
            // A FAILED of before the freeze is there already, but is said again.
            assert!(last_is_failed, "FAILED is not the last word: {log:x?}");
        }
        (Ok(()), Leave::DropQueuesRestored) => assert!(failed && last_is_failed, "{log:x?}"),
        (Ok(()), Leave::Stop) => assert_eq!((rest, failed), (0x01, restore.failed_before)),
        (Ok(()), Leave::HandOver) => assert_eq!((rest, failed), (0x03, restore.failed_before)),
        (Ok(()), Leave::Live) => assert_eq!((rest, failed), (0x07, restore.failed_before)),
    }
}

/// Every restore that the tests below know.
fn restores() -> impl Iterator<Item = Restore> {
    let flags = [(false, false), (false, true), (true, false), (true, true)];
    Leave::ALL.into_iter().flat_map(move |leave| {
        flags
            .into_iter()
            .flat_map(move |(failed_before, sets_live)| {
                (0..=2).map(move |bad_policies| Restore {
                    leave,
                    wanted: OFFERED & 0x3000_0fff,
                    failed_before,
                    sets_live,
                    resets: false,
                    bad_policies,
                })
            })
    })
}

/// Wrong answers; each register takes as many bits as it has.
const WRONG: [u32; 12] = [
    0x00,
    0x01,
    0x07,
    0x0f,
    0x40,
    0x80,
    0xff,
    0x100,
    0xfeff_ffff,
    0xffff,
    0xffff_ff00,
    u32::MAX,
];

#[test]
fn a_device_without_faults_ends_where_the_restore_is_left() {
    for restore in restores() {
        for reset_reads in 0..=2 {
            let device = RegisterFile::new().resetting_for(reset_reads);
            let result = restore.run(&device);
            assert!(result.is_ok(), "{restore:?}: {result:?}");
            judge(restore, &device.log(), &result);
        }
    }
}

#[test]
fn a_fault_at_any_read_ends_live_or_failed() {
    let mut errors = [0; 4];
    for restore in restores().step_by(if cfg!(miri) { 17 } else { 1 }) {
        for reset_reads in [0, 2] {
            let good = RegisterFile::new().resetting_for(reset_reads);
            restore.run(&good).expect("no fault");
            for at in 0..good.reads() {
                for wrong in WRONG {
                    for for_ever in [false, true] {
                        let device = RegisterFile::new().resetting_for(reset_reads).answering(
                            move |index, right| {
                                if index == at || (for_ever && index > at) {
                                    wrong
                                } else {
                                    right
                                }
                            },
                        );
                        let result = restore.run(&device);
                        judge(restore, &device.log(), &result);
                        match result {
                            Ok(()) => {}
                            Err(Error::Reset(ResetError::Gone)) => errors[0] += 1,
                            Err(Error::Reset(ResetError::Incomplete(_))) => errors[1] += 1,
                            Err(Error::Features(_)) => errors[2] += 1,
                            Err(Error::Driver) => errors[3] += 1,
                            Err(Error::Lost(lost)) => panic!("{lost}: {:x?}", device.log()),
                        }
                    }
                }
            }
        }
    }
    assert!(errors.iter().all(|&count| count > 0), "{errors:?}");
}

#[test]
fn a_fault_of_the_first_restore_says_what_is_wrong() {
    let restore = Restore {
        leave: Leave::Live,
        wanted: OFFERED,
        failed_before: false,
        sets_live: false,
        resets: false,
        bad_policies: 0,
    };
    // The reads are the status after the reset, the features, then three for each virtqueue.
    for wrong in WRONG {
        let run = |at, for_ever| {
            let device = RegisterFile::new().answering(move |index, right| {
                if index == at || (for_ever && index > at) {
                    wrong
                } else {
                    right
                }
            });
            restore.run(&device)
        };
        let status = Status::from_raw(wrong as u8);
        match (run(0, true), status) {
            (Err(Error::Reset(ResetError::Gone)), Status::GONE) => {}
            (Err(Error::Reset(ResetError::Incomplete(last))), _) => assert_eq!(last, status),
            (other, Status::RESET) => assert!(!matches!(other, Err(Error::Reset(_)))),
            (other, _) => panic!("{status}: {other:?}"),
        }
        match run(1, false) {
            Ok(()) => {
                assert_eq!(OFFERED & !wrong, 0);
                assert_ne!(wrong, u32::MAX);
            }
            Err(Error::Features(missing)) => {
                assert!(OFFERED & !wrong != 0 || wrong == u32::MAX);
                assert_eq!((missing.offered, missing.wanted), (wrong, OFFERED));
            }
            other => panic!("{wrong:#x}: {other:?}"),
        }
    }
}

/// Answers: the right one, one that is known to be nasty, or anything.
fn answers() -> impl Strategy<Value = Vec<Option<u32>>> {
    let answer = prop_oneof![
        4 => Just(None),
        1 => prop::sample::select(&WRONG).prop_map(Some),
        1 => any::<u32>().prop_map(Some),
        1 => (0..32u32).prop_map(|bit| Some(1 << bit)),
    ];
    prop::collection::vec(answer, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(4096)))]

    #[test]
    fn any_answers_end_live_or_failed(
        leave in prop::sample::select(&Leave::ALL),
        wanted in prop_oneof![
            any::<u32>(),
            any::<u32>().prop_map(|features| features & OFFERED),
        ],
        failed_before: bool,
        sets_live: bool,
        resets: bool,
        bad_policies in 0..3usize,
        reset_reads in 0..8u32,
        answers in answers(),
    ) {
        let restore = Restore { leave, wanted, failed_before, sets_live, resets, bad_policies };
        let device = RegisterFile::new()
            .resetting_for(reset_reads)
            .answering(move |index, right| answers.get(index).copied().flatten().unwrap_or(right));
        let result = restore.run(&device);
        judge(restore, &device.log(), &result);
    }
}
