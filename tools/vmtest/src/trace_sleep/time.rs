// SPDX-License-Identifier: GPL-2.0

//! Times in traces.

use chrono::DateTime;

/// Nanoseconds.
pub(super) type Time = u64;

/// Reads seconds with a fraction of up to nine digits.
pub(super) fn seconds(text: &str) -> Option<Time> {
    let (whole, part) = text.split_once('.')?;
    let digits = part.bytes().all(|byte| byte.is_ascii_digit());
    let nanoseconds: Time = format!("{part:0<9}").get(..9)?.parse().ok()?;
    let whole: Time = whole.parse().ok()?;
    digits.then_some(())?;
    whole.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

/// Reads a time of QEMU's trace: seconds up to QEMU 10, the date and the time of day in later ones.
pub(super) fn stamp(text: &str) -> Option<Time> {
    let date = || {
        let date = DateTime::parse_from_rfc3339(text).ok()?;
        Time::try_from(date.timestamp_nanos_opt()?).ok()
    };
    seconds(text).or_else(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_nanoseconds() {
        assert_eq!(seconds("12.5"), Some(12_500_000_000));
        assert_eq!(
            seconds("1764187472.123456"),
            Some(1_764_187_472_123_456_000)
        );
        for text in ["", "12", "12.x", ".5", "-1.5", "99999999999999999999.0"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn both_forms_of_a_time_are_read() {
        let time = Some(1_795_728_069_606_842_000);
        assert_eq!(stamp("1795728069.606842"), time);
        assert_eq!(stamp("2026-11-26T21:21:09.606842Z"), time);
        assert_eq!(stamp("21:21:09"), None);
    }
}
