// SPDX-License-Identifier: GPL-2.0

//! What came of a scenario.

use std::fmt;

use vm::grade::Grade;

/// What came of a device that lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is driven, and input and output are correct.
    Works,
    /// No virtio driver has it.
    Refused,
    /// Input and output fail at once.
    Errors,
    /// It was taken from its virtio driver while it slept.
    Detached,
    /// Input and output do not end by themselves, but everything else does.
    Waits,
    /// Something else does not end.
    Hangs,
}

impl Outcome {
    /// All of them.
    pub(super) const ALL: [Self; 6] = [
        Self::Works,
        Self::Refused,
        Self::Errors,
        Self::Detached,
        Self::Waits,
        Self::Hangs,
    ];

    /// The name in scenarios and tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Refused => "refused",
            Self::Errors => "errors",
            Self::Detached => "detached",
            Self::Waits => "waits",
            Self::Hangs => "hangs",
        }
    }
}

/// All that was seen of a scenario.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// What came of the device.
    pub(super) outcome: Outcome,
    /// The kernel log from the beginning to the end.
    pub(super) log: String,
    /// Lines of it that no device may bring the kernel to say.
    pub(super) splats: Vec<String>,
    /// What else went wrong: the module that stays, other devices that were harmed.
    pub(super) faults: Vec<String>,
    /// Whether a line of the log is about the device, beside the usual ones.
    pub(super) spoke: bool,
    /// Whether a lie was told.
    pub(super) lied: bool,
    /// What the device's journal has; nothing with the C driver.
    pub(super) journal: String,
}

impl Observed {
    /// Whether the VM is as good as new.
    pub(super) fn is_clean(&self) -> bool {
        !matches!(self.outcome, Outcome::Waits | Outcome::Hangs)
            && self.splats.is_empty()
            && self.faults.is_empty()
    }
}

/// The place of what came of a scenario in the order of outcomes, from the words that tell it:
/// those of [`Observed`], or those that are on record.
pub(super) fn grade(told: &str) -> Option<Grade> {
    let mut words = told.split(", ");
    let name = words.next()?;
    let outcome = Outcome::ALL.into_iter().find(|o| o.name() == name)?;
    let any = |ends: &[&str]| {
        words
            .clone()
            .any(|word| ends.iter().any(|end| word.ends_with(end)))
    };
    Some(if any(&["the VM is lost", "the VM does not answer"]) {
        Grade::Lost
    } else if outcome == Outcome::Hangs || any(&[" hangs"]) {
        Grade::Hangs
    } else if outcome == Outcome::Waits || any(&["silent", " harmed", "dead afterwards"]) {
        Grade::Dead
    } else {
        match outcome {
            Outcome::Works => Grade::Works,
            Outcome::Refused => Grade::Refused,
            _ => Grade::Errors,
        }
    })
}

/// Tells it if this is worse than what is on record for the C driver.
pub(super) fn worse(told: &str, recorded: &str) -> Option<String> {
    let (ours, c) = (grade(told)?, grade(recorded)?);
    (ours > c).then(|| format!("worse than the C driver: {ours}, and there {c}"))
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.outcome.name())?;
        if !self.spoke && self.outcome != Outcome::Works {
            f.write_str(", silent")?;
        }
        if let Some(splat) = self.splats.first() {
            write!(f, ", {}", shortened(splat))?;
        }
        for fault in &self.faults {
            write!(f, ", {fault}")?;
        }
        Ok(())
    }
}

/// A line of the kernel log without its time stamp, its processes and its offsets.
fn shortened(line: &str) -> String {
    let text = line.split_once("] ").map_or(line, |(_, text)| text);
    let text = text.split(", CPU#").next().unwrap_or(text);
    let words = text.split_whitespace();
    let kept = words.map(|word| word.split_once('+').map_or(word, |(word, _)| word));
    kept.take(6).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_splat_is_told_in_a_few_words() {
        let line = "[    1.0] WARNING: include/linux/a.h:348 at f+0x1/0x2, CPU#1: sh/7";
        assert_eq!(shortened(line), "WARNING: include/linux/a.h:348 at f");
        let line = "[    1.0] BUG: kernel NULL pointer dereference, address: 0000000000000010";
        assert_eq!(
            shortened(line),
            "BUG: kernel NULL pointer dereference, address:"
        );
    }

    #[test]
    fn what_is_told_has_its_grade() {
        for (told, expected) in [
            ("works", Grade::Works),
            ("works, WARNING: include/linux/a.h:1 at f", Grade::Works),
            ("detached", Grade::Errors),
            ("refused", Grade::Refused),
            ("errors, silent", Grade::Dead),
            ("waits", Grade::Dead),
            ("works, disk harmed", Grade::Dead),
            ("errors, rmmod hangs", Grade::Hangs),
            ("hangs, BUG: x, the VM is lost", Grade::Lost),
        ] {
            assert_eq!(grade(told), Some(expected), "{told}");
        }
        assert_eq!(grade("miracles"), None);
        assert_eq!(worse("detached", "waits, silent"), None);
        assert!(worse("waits", "errors").is_some());
    }

    #[test]
    fn silence_is_told_of_what_does_not_work() {
        let mut observed = Observed {
            outcome: Outcome::Hangs,
            log: String::new(),
            splats: Vec::new(),
            faults: vec!["rmmod hangs".to_owned()],
            spoke: false,
            lied: true,
            journal: String::new(),
        };
        assert_eq!(observed.to_string(), "hangs, silent, rmmod hangs");
        assert!(!observed.is_clean());
        observed.outcome = Outcome::Works;
        observed.faults.clear();
        assert_eq!(observed.to_string(), "works");
        assert!(observed.is_clean());
    }
}
