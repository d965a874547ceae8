// SPDX-License-Identifier: GPL-2.0

//! The scenarios of `tests/hostile/` that need nothing from the guest: lies at probe and while the
//! device is live.

use anyhow::Result;
use scripted::{Lie, Script, Time};

/// The scenarios of a file whose names contain one of the words, or all.
pub(super) fn read(text: &str, words: &[String]) -> Result<Vec<Script>> {
    let mut found = Script::parse_all(text)?;
    let asleep = |lie: &Lie| matches!(lie.time, Time::Freeze | Time::Restore);
    found.retain(|script| {
        let wanted = words.is_empty() || words.iter().any(|word| script.name.contains(word));
        let sleeps = script.remarks.iter().any(|(word, _)| word == "sleeps");
        wanted && !sleeps && !script.lies.iter().any(asleep)
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = include_str!("../../../../tests/hostile/scenarios.txt");

    #[test]
    fn none_of_them_needs_a_guest_that_sleeps() {
        let all = read(ALL, &[]).unwrap();
        assert!(all.len() > 30, "{}", all.len());
        let kinds = ["rng", "disk", "console"];
        for scenario in &all {
            assert!(kinds.contains(&scenario.device.as_str()), "{scenario:?}");
            let time = |lie: &Lie| matches!(lie.time, Time::Probe | Time::Run);
            assert!(scenario.lies.iter().all(time), "{scenario:?}");
        }
    }

    #[test]
    fn words_choose_them_and_faults_are_told() {
        let one = read(ALL, &["size 65535".to_owned()]).unwrap();
        let names: Vec<_> = one.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["virtqueue of size 65535, at probe"]);
        assert!(read("scenario x\ndevice rng\nprobe read STATUS = many", &[]).is_err());
    }
}
