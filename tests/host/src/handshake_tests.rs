// SPDX-License-Identifier: GPL-2.0

//! The handshake, access by access.

use crate::device::{Event, RegisterFile, OFFERED};
use crate::legacy::handshake::{
    reset, reset_pause, waited_ms, Acknowledged, DriverFound, FeaturesAccepted, FeaturesMissing,
    Handshake, HandshakeLost, Registers, Reset, ResetError, GONE_READS, SLOW_RESET_MS,
};
use crate::legacy::status::Status;

use Event::{ReadFeatures, ReadStatus, WaitForReset, WriteFeatures, WriteStatus};

/// Features of the virtio driver.
const WANTED: u32 = 0x2000_0054;

type State<'a, S> = Handshake<'a, RegisterFile, S>;

fn in_reset(device: &RegisterFile) -> State<'_, Reset> {
    Handshake::begin(device).expect("the reset completes")
}

fn acknowledged(device: &RegisterFile) -> State<'_, Acknowledged> {
    in_reset(device).acknowledge(false)
}

fn driver_found(device: &RegisterFile) -> State<'_, DriverFound> {
    acknowledged(device).driver()
}

fn features_accepted(device: &RegisterFile) -> State<'_, FeaturesAccepted> {
    driver_found(device)
        .accept_features(WANTED)
        .expect("the features are offered")
}

/// The accesses up to `FeaturesAccepted`.
const UP_TO_FEATURES: [Event; 6] = [
    WriteStatus(0x00),
    ReadStatus(0x00),
    WriteStatus(0x01),
    WriteStatus(0x03),
    ReadFeatures(OFFERED),
    WriteFeatures(WANTED),
];

/// Asserts that the first `common` accesses are those of a good handshake and `rest` follow.
#[track_caller]
fn assert_log(device: &RegisterFile, common: usize, rest: &[Event]) {
    assert_eq!(device.log(), [&UP_TO_FEATURES[..common], rest].concat());
}

#[test]
fn a_restore_is_eight_accesses_and_those_of_the_driver() {
    let device = RegisterFile::new();
    let restored = features_accepted(&device)
        .restore_queues(|| {
            device.select_queue(1);
            device.write_queue_pfn(0x1234);
            Ok::<_, ()>(())
        })
        .expect("the driver is restored");
    restored.live().expect("the device keeps its status");
    assert_log(
        &device,
        6,
        &[
            Event::SelectQueue(1),
            Event::WriteQueuePfn(0x1234),
            WriteStatus(0x07),
        ],
    );
}

#[test]
fn failed_before_a_freeze_is_put_back_after_acknowledge_and_stays() {
    let device = RegisterFile::new();
    in_reset(&device)
        .acknowledge(true)
        .driver()
        .accept_features(WANTED)
        .expect("the features are offered")
        .restore_queues(|| Ok::<_, ()>(()))
        .expect("the driver is restored")
        .live()
        .expect("the device keeps its status");
    assert_eq!(
        device.log(),
        [
            WriteStatus(0x00),
            ReadStatus(0x00),
            WriteStatus(0x01),
            WriteStatus(0x81),
            WriteStatus(0x83),
            ReadFeatures(OFFERED),
            WriteFeatures(WANTED),
            WriteStatus(0x87),
        ]
    );
}

#[test]
fn without_a_driver_nothing_follows_acknowledge() {
    let device = RegisterFile::new();
    acknowledged(&device).stop();
    assert_log(&device, 3, &[]);
}

#[test]
fn without_a_driver_failed_is_put_back_too() {
    let device = RegisterFile::new();
    in_reset(&device).acknowledge(true).stop();
    assert_log(&device, 3, &[WriteStatus(0x81)]);
}

#[test]
fn a_device_that_the_driver_has_set_live_is_not_set_live_twice() {
    let device = RegisterFile::new();
    features_accepted(&device)
        .restore_queues(|| {
            device.write_status(device.written_status().with(Status::DRIVER_OK));
            Ok::<_, ()>(())
        })
        .expect("the driver is restored")
        .live()
        .expect("the device keeps its status");
    assert_log(&device, 6, &[WriteStatus(0x07)]);
}

#[test]
fn a_driver_that_is_probed_takes_over_after_the_features() {
    let device = RegisterFile::new();
    features_accepted(&device).hand_over();
    assert_log(&device, 6, &[]);
}

#[test]
fn features_may_be_all_that_are_offered_or_none() {
    for wanted in [0, OFFERED] {
        let device = RegisterFile::new();
        driver_found(&device)
            .accept_features(wanted)
            .expect("the features are offered")
            .hand_over();
        assert_log(&device, 5, &[WriteFeatures(wanted)]);
    }
}

#[test]
fn a_slow_reset_is_waited_for() {
    let device = RegisterFile::new().resetting_for(3);
    in_reset(&device).acknowledge(false).stop();
    assert_eq!(
        device.log(),
        [
            WriteStatus(0x00),
            ReadStatus(0x07),
            WaitForReset(0),
            ReadStatus(0x07),
            WaitForReset(1),
            ReadStatus(0x07),
            WaitForReset(2),
            ReadStatus(0x00),
            WriteStatus(0x01),
        ]
    );
}

/// The accesses of a reset that does not complete in four pauses.
const INCOMPLETE: [Event; 11] = [
    WriteStatus(0x00),
    ReadStatus(0x07),
    WaitForReset(0),
    ReadStatus(0x07),
    WaitForReset(1),
    ReadStatus(0x07),
    WaitForReset(2),
    ReadStatus(0x07),
    WaitForReset(3),
    ReadStatus(0x07),
    WaitForReset(4),
];

#[test]
fn a_reset_that_does_not_complete_is_an_error_and_failed() {
    let device = RegisterFile::new().resetting_for(u32::MAX);
    let error = Handshake::begin(&device).err();
    assert_eq!(error, Some(ResetError::Incomplete(Status::from_raw(0x07))));
    assert_eq!(
        device.log(),
        [&INCOMPLETE[..], &[WriteStatus(0x80)]].concat()
    );
}

#[test]
fn a_reset_by_itself_never_sets_failed() {
    let device = RegisterFile::new().resetting_for(u32::MAX);
    let error = ResetError::Incomplete(Status::from_raw(0x07));
    assert_eq!(reset(&device), Err(error));
    assert_eq!(device.log(), INCOMPLETE);

    let device = RegisterFile::new();
    assert_eq!(reset(&device), Ok(()));
    assert_log(&device, 2, &[]);
}

#[test]
fn the_status_in_the_error_is_the_last_one_that_was_read() {
    let device = RegisterFile::new().answering(|index, _| 0x10 + index as u32);
    let error = ResetError::Incomplete(Status::from_raw(0x14));
    assert_eq!(reset(&device), Err(error));
}

#[test]
fn a_device_that_is_gone_is_left_alone() {
    for gone_at in 0..3 {
        let device = RegisterFile::new()
            .resetting_for(5)
            .waiting_for(u32::MAX)
            .answering(move |index, right| if index < gone_at { right } else { 0xff });
        assert_eq!(Handshake::begin(&device).err(), Some(ResetError::Gone));
        let log = device.log();
        assert_eq!(log.last(), Some(&ReadStatus(0xff)));
        let reads = gone_at + usize::try_from(GONE_READS).unwrap();
        assert_eq!(log.len(), 2 * reads);
    }
}

#[test]
fn all_ones_for_a_moment_are_no_proof() {
    let moment = usize::try_from(GONE_READS).unwrap() - 1;
    let device = RegisterFile::new()
        .waiting_for(u32::MAX)
        .answering(move |index, right| if index < moment { 0xff } else { right });
    assert!(Handshake::begin(&device).is_ok());
}

#[test]
fn a_reset_is_waited_for_as_long_as_the_limit_says() {
    for limit in [0, 1, 99, 100, 101, 1000, 30_000, 1_000_000] {
        let pauses = (0..).map_while(|attempt| reset_pause(attempt, limit));
        let total: u32 = pauses.sum();
        assert!((limit..limit + 10).contains(&total), "{limit}: {total}");
    }
    assert_eq!(reset_pause(u32::MAX, u32::MAX - 1), None);
}

#[test]
fn a_reset_is_taken_over_when_it_is_complete_and_not_before() {
    let device = RegisterFile::new();
    let taken = Handshake::take_over(&device);
    assert_eq!(taken.err(), Some(Status::from_raw(0x07)));
    assert_log(&device, 0, &[ReadStatus(0x07)]);

    let device = RegisterFile::new();
    assert_eq!(reset(&device), Ok(()));
    let acknowledged = Handshake::take_over(&device).unwrap().acknowledge(false);
    acknowledged.stop();
    assert_log(&device, 2, &[ReadStatus(0), WriteStatus(0x01)]);
}

#[test]
fn a_slow_reset_is_told_once_whatever_the_limit_is() {
    let slow = (0..10_000).filter(|&attempt| waited_ms(attempt) == SLOW_RESET_MS);
    assert_eq!(slow.count(), 1);
    for attempt in 1..10_000 {
        assert_eq!(
            waited_ms(attempt),
            waited_ms(attempt - 1) + reset_pause(attempt - 1, u32::MAX).unwrap()
        );
    }
}

#[test]
fn a_missing_feature_is_an_error_and_failed() {
    for missing in (0..32).map(|bit| 1 << bit).filter(|bit| OFFERED & bit == 0) {
        let device = RegisterFile::new();
        let wanted = WANTED | missing;
        let error = driver_found(&device).accept_features(wanted).err();
        let offered = OFFERED;
        assert_eq!(error, Some(FeaturesMissing { offered, wanted }));
        assert_log(&device, 5, &[WriteStatus(0x83)]);
    }
}

#[test]
fn a_device_that_offers_everything_is_gone() {
    for wanted in [0, WANTED, u32::MAX] {
        let device =
            RegisterFile::new().answering(|index, right| if index == 1 { u32::MAX } else { right });
        let error = driver_found(&device).accept_features(wanted).err();
        let offered = u32::MAX;
        assert_eq!(error, Some(FeaturesMissing { offered, wanted }));
        assert_log(&device, 4, &[ReadFeatures(u32::MAX), WriteStatus(0x83)]);
    }
}

#[test]
fn a_device_that_its_driver_leaves_in_another_state_does_not_go_live() {
    for left in [0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x40, 0x80, 0x81] {
        let device = RegisterFile::new();
        let status = Status::from_raw(left);
        let error = features_accepted(&device)
            .restore_queues(|| {
                device.write_status(status);
                Ok::<_, ()>(())
            })
            .expect("the driver is restored")
            .live();
        assert_eq!(error, Err(HandshakeLost { status }));
        assert_log(&device, 6, &[WriteStatus(left), WriteStatus(left | 0x80)]);
    }
}

#[test]
fn a_driver_that_cannot_be_restored_is_an_error_and_failed() {
    let device = RegisterFile::new();
    let error = features_accepted(&device)
        .restore_queues(|| Err("no memory"))
        .err();
    assert_eq!(error, Some("no memory"));
    assert_log(&device, 6, &[WriteStatus(0x83)]);
}

#[test]
fn the_driver_is_restored_once_and_not_before_it_is_asked() {
    let device = RegisterFile::new();
    let mut runs = 0;
    let state = features_accepted(&device);
    assert_log(&device, 6, &[]);
    state
        .restore_queues(|| {
            runs += 1;
            Ok::<_, ()>(())
        })
        .expect("the driver is restored")
        .live()
        .expect("the device keeps its status");
    assert_eq!(runs, 1);
}

#[test]
fn a_handshake_that_is_dropped_sets_failed() {
    let device = RegisterFile::new();
    drop(in_reset(&device));
    assert_log(&device, 2, &[WriteStatus(0x80)]);

    let device = RegisterFile::new();
    drop(acknowledged(&device));
    assert_log(&device, 3, &[WriteStatus(0x81)]);

    let device = RegisterFile::new();
    drop(driver_found(&device));
    assert_log(&device, 4, &[WriteStatus(0x83)]);

    let device = RegisterFile::new();
    drop(features_accepted(&device));
    assert_log(&device, 6, &[WriteStatus(0x83)]);

    let device = RegisterFile::new();
    drop(features_accepted(&device).restore_queues(|| Ok::<_, ()>(())));
    assert_log(&device, 6, &[WriteStatus(0x83)]);
}

#[test]
fn errors_tell_the_values() {
    assert_eq!(
        ResetError::Gone.to_string(),
        "reset failed: status 0xff (all ones: no device answers)"
    );
    assert_eq!(
        ResetError::Incomplete(Status::from_raw(0x40)).to_string(),
        "reset does not complete, status 0x40 (NEEDS_RESET)"
    );
    assert_eq!(
        HandshakeLost {
            status: Status::ACKNOWLEDGE
        }
        .to_string(),
        "restored by its driver to status 0x01 (ACKNOWLEDGE)"
    );
    assert_eq!(
        FeaturesMissing {
            offered: u32::MAX,
            wanted: 1
        }
        .to_string(),
        "offered features read as all ones: no device answers"
    );
    let error = FeaturesMissing {
        offered: 0x1000_0001,
        wanted: 0x1000_0006,
    };
    assert_eq!(
        error.to_string(),
        "offered features 0x10000001 lack 0x00000006 of the accepted 0x10000006"
    );
}
