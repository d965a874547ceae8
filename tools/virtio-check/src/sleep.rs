// SPDX-License-Identifier: GPL-2.0

//! Tells freeze from restore where one write to sysfs does both.

use crate::access::{Access, Register, DRIVER, DRIVER_OK};
use crate::phase::Phase;
use crate::run::Segment;

/// Splits each freeze segment at the resets that begin a restore, or the next freeze.
///
/// A live device is reset by its freeze and reset again by its restore. One that is not live
/// (it has no driver), or whose virtio driver cannot be frozen, is reset by its restore only.
pub(crate) fn split(segments: Vec<Segment>) -> Vec<Segment> {
    let mut status = 0;
    let mut result = Vec::new();
    for segment in segments {
        if segment.phase == Phase::PowerOn {
            status = 0;
        }
        let sleeps = segment.phase == Phase::Freeze;
        let mut current = Segment {
            accesses: Vec::new(),
            ..segment
        };
        for access in segment.accesses {
            if sleeps && access.is_reset() {
                let live = status & DRIVER_OK != 0;
                let idle = status != 0 && status & DRIVER == 0;
                match current.phase {
                    Phase::Freeze if !live => result.push(next(&mut current, Phase::Restore)),
                    Phase::Restore if live => result.push(next(&mut current, Phase::Freeze)),
                    Phase::Restore if idle => {
                        result.push(next(&mut current, Phase::Freeze));
                        result.push(next(&mut current, Phase::Restore));
                    }
                    _ => {}
                }
            }
            if access.writes(Register::Status) {
                status = access.status();
                if sleeps && status != 0 && current.phase == Phase::Freeze {
                    result.extend(unfrozen(&mut current));
                }
            }
            current.accesses.push(access);
        }
        result.push(current);
    }
    result
}

/// Ends a freeze before its reset, if it has one: that was the restore's.
fn unfrozen(current: &mut Segment) -> Option<Segment> {
    let reset = current.accesses.iter().position(Access::is_reset)?;
    let restore = Segment {
        phase: Phase::Restore,
        round: 0,
        accesses: current.accesses.split_off(reset),
    };
    Some(std::mem::replace(current, restore))
}

/// Ends a segment; the look at the status right before a freeze goes with the freeze.
fn next(current: &mut Segment, phase: Phase) -> Segment {
    let mut begun = Vec::new();
    if phase == Phase::Freeze {
        let counts = |a: &Access| {
            !a.is_config() && !matches!(a.register, Register::Isr | Register::QueueNotify)
        };
        let last = current.accesses.iter().rposition(counts);
        if let Some(last) = last.filter(|&i| current.accesses[i].reads(Register::Status)) {
            begun.push(current.accesses.remove(last));
        }
    }
    let following = Segment {
        phase,
        round: 0,
        accesses: begun,
    };
    std::mem::replace(current, following)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes and reads of the status, `w7 r7`, and notifications, `n`.
    fn accesses(text: &str) -> Vec<Access> {
        let parse = |word: &str| {
            let (kind, value) = word.split_at(1);
            Access {
                line: 0,
                time: None,
                cpu: 0,
                register: match kind {
                    "n" => Register::QueueNotify,
                    _ => Register::Status,
                },
                write: kind != "r",
                size: 1,
                value: value.parse().unwrap_or(0),
                times: 1,
            }
        };
        text.split_whitespace().map(parse).collect()
    }

    fn text(accesses: &[Access]) -> String {
        let word = |a: &Access| match (a.register, a.write) {
            (Register::QueueNotify, _) => "n".to_owned(),
            (_, true) => format!("w{}", a.value),
            (_, false) => format!("r{}", a.value),
        };
        accesses.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn sleep(before: &str, sleep: &str) -> Vec<(Phase, String)> {
        let segment = |phase, accesses| Segment {
            phase,
            round: 0,
            accesses,
        };
        let segments = vec![
            segment(Phase::Probe, accesses(before)),
            segment(Phase::Freeze, accesses(sleep)),
        ];
        let split = split(segments).into_iter().skip(1);
        split.map(|s| (s.phase, text(&s.accesses))).collect()
    }

    #[test]
    fn two_cycles_under_one_mark() {
        let cycles = "r7 w0 r0 w0 r0 w1 w3 w7 r7 n r7 w0 r0 w0 r0 w1 w3 w7 n";
        let expected = [
            (Phase::Freeze, "r7 w0 r0"),
            (Phase::Restore, "w0 r0 w1 w3 w7 r7 n"),
            (Phase::Freeze, "r7 w0 r0"),
            (Phase::Restore, "w0 r0 w1 w3 w7 n"),
        ];
        let expected = expected.map(|(phase, text)| (phase, text.to_owned()));
        assert_eq!(sleep("w0 r0 w1 w3 w7", cycles), expected);
    }

    #[test]
    fn a_device_without_driver_is_reset_by_its_restore_only() {
        let expected = [
            (Phase::Freeze, "r1"),
            (Phase::Restore, "w0 r0 w1"),
            (Phase::Freeze, "r1"),
            (Phase::Restore, "w0 r0 w1"),
        ];
        let expected = expected.map(|(phase, text)| (phase, text.to_owned()));
        assert_eq!(sleep("w0 r0 w1", "r1 w0 r0 w1 r1 w0 r0 w1"), expected);
    }

    #[test]
    fn a_device_that_was_not_frozen_is_reset_by_its_restore_only() {
        let expected = [
            (Phase::Freeze, "r7"),
            (Phase::Restore, "w0 r0 w1 w3 w7 r7"),
            (Phase::Freeze, "r7"),
            (Phase::Restore, "w0 r0 w1"),
        ];
        let expected = expected.map(|(phase, text)| (phase, text.to_owned()));
        let cycles = "r7 w0 r0 w1 w3 w7 r7 r7 w0 r0 w1";
        assert_eq!(sleep("w0 r0 w1 w3 w7", cycles), expected);
    }

    #[test]
    fn a_freeze_with_its_own_mark_stays_whole() {
        let expected = [(Phase::Freeze, "r7 w0 r0".to_owned())];
        assert_eq!(sleep("w0 r0 w1 w3 w7", "r7 w0 r0"), expected);
    }
}
