// SPDX-License-Identifier: GPL-2.0

//! The scenarios of `tests/hostile/` that need nothing from the guest: lies at probe and while the
//! device is live.

use anyhow::{Context, Result};
use scripted::{Lie, Time};

/// A device that lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scenario {
    /// Its name.
    pub(super) name: String,
    /// The kind of device.
    pub(super) device: String,
    /// The lies.
    pub(super) lies: Vec<Lie>,
}

/// Words that begin a line about what the tests of this project do or expect.
const OTHERS: [&str; 9] = [
    "#",
    "expect",
    "says",
    "ends",
    "sleeps",
    "unwatched",
    "idle",
    "checked",
    "stricter",
];

/// The scenarios of a file whose names contain one of the words, or all.
pub(super) fn read(text: &str, words: &[String]) -> Result<Vec<Scenario>> {
    let mut found = Vec::new();
    for paragraph in text.split("\n\n") {
        let scenario = parse(paragraph).with_context(|| paragraph.trim().to_owned())?;
        let wanted = |name: &str| words.is_empty() || words.iter().any(|w| name.contains(w));
        let asleep = |lie: &Lie| matches!(lie.time, Time::Freeze | Time::Restore);
        found.extend(scenario.filter(|s| wanted(&s.name) && !s.lies.iter().any(asleep)));
    }
    Ok(found)
}

fn parse(paragraph: &str) -> Result<Option<Scenario>> {
    let mut scenario = Scenario {
        name: String::new(),
        device: String::new(),
        lies: Vec::new(),
    };
    for line in paragraph.lines().filter(|line| !line.trim().is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "scenario" => scenario.name = rest.to_owned(),
            "device" => {
                let kind = rest.split_whitespace().next();
                scenario.device = kind.unwrap_or_default().to_owned();
            }
            // What sleeps needs the guest.
            "sleeps" => return Ok(None),
            word if OTHERS.contains(&word) => {}
            _ => scenario.lies.push(line.parse()?),
        }
    }
    Ok((!scenario.lies.is_empty()).then_some(scenario))
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
