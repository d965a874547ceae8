// SPDX-License-Identifier: GPL-2.0

//! Whether the machine slept: a sleep that its kernel log does not show is an error.
//!
//! Every line of the log of every VM goes through a [`Watch`], so no test can pass awake.

/// What the kernel says when a sleep begins.
const BEGINS: [&str; 2] = ["PM: suspend entry (", "PM: hibernation: hibernation entry"];

/// What the kernel says when it ends, however it went.
const ENDS: [&str; 2] = ["PM: suspend exit", "PM: hibernation: hibernation exit"];

/// What the kernel says when it stops for suspend-to-idle, if /sys/power/pm_debug_messages is on.
const IDLE: &str = "PM: suspend-to-idle";

/// What the kernel says of a sleep that took place only: that it got as far as pm_test told it,
/// that it was woken from S3, that it stopped for suspend-to-idle, that it read an image.
const SHOWS: [&str; 4] = [
    " debug: Waiting for ",
    "ACPI: PM: Low-level resume complete",
    IDLE,
    "PM: Image loading done",
];

/// What a finding begins with, for tests that mean a sleep to be refused.
pub const AWAKE: &str = "not asleep";

/// The sleeps in the log of a VM.
#[derive(Debug, Default)]
pub struct Watch {
    /// The line by which the sleep began that goes on.
    begun: Option<String>,
    /// Whether the log has shown that sleep.
    is_shown: bool,
    /// Whether the machine has stopped for suspend-to-idle.
    is_idle: bool,
    /// How many sleeps were shown and have ended.
    shown: u32,
    /// The lines by which those began that were not shown.
    awake: Vec<String>,
}

impl Watch {
    /// Looks at what is new in the log.
    pub fn look(&mut self, text: &str) {
        let any = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
        for line in text.lines() {
            if any(line, &BEGINS) {
                self.end();
                self.begun = Some(line.to_owned());
            } else if any(line, &ENDS) {
                self.end();
            } else if any(line, &SHOWS) {
                self.is_shown = true;
                self.is_idle = line.contains(IDLE);
            }
        }
    }

    fn end(&mut self) {
        if let Some(line) = self.begun.take() {
            if self.is_shown {
                self.shown += 1;
            } else {
                self.awake.push(format!("{AWAKE}: {line}"));
            }
        }
        self.is_shown = false;
        self.is_idle = false;
    }

    /// How many sleeps the log has shown.
    pub fn shown(&self) -> u32 {
        self.shown
    }

    /// Whether the machine has stopped for suspend-to-idle and was not woken yet.
    pub fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// The sleeps since the last time that nothing shows.
    pub fn take_awake(&mut self) -> Vec<String> {
        std::mem::take(&mut self.awake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(lines: &[&str]) -> Watch {
        let mut watch = Watch::default();
        // However the log is cut.
        for line in lines {
            watch.look(&format!("{line}\n"));
        }
        watch
    }

    #[test]
    fn each_kind_of_sleep_is_shown() {
        let tested = [
            "[ 1.0] PM: suspend entry (deep)",
            "[ 1.1] PM: suspend debug: Waiting for 0 second(s).",
            "[ 1.2] PM: suspend exit",
        ];
        let hibernation_tested = [
            "[ 1.0] PM: hibernation: hibernation entry",
            "[ 1.1] PM: hibernation: hibernation debug: Waiting for 0 second(s).",
            "[ 1.2] PM: hibernation: hibernation exit",
        ];
        let memory = [
            "[ 1.0] PM: suspend entry (deep)",
            "[ 1.1] ACPI: PM: Preparing to enter system sleep state S3",
            "[ 1.1] ACPI: PM: Low-level resume complete",
            "[ 1.2] PM: suspend exit",
        ];
        let idle = [
            "[ 1.0] PM: suspend entry (s2idle)",
            "[ 1.1] PM: suspend-to-idle",
            "[ 1.2] PM: suspend exit",
        ];
        let image = [
            "[ 1.0] PM: hibernation: hibernation entry",
            "[ 1.1] PM: Image saving done",
            "[ 0.0] Linux version 7.3.4",
            "[ 0.5] PM: hibernation: resume from hibernation",
            "[ 0.9] PM: Image loading done",
            "[ 1.2] PM: hibernation: hibernation exit",
        ];
        let kinds: [&[&str]; 5] = [&tested, &hibernation_tested, &memory, &idle, &image];
        for lines in kinds {
            let mut watch = watch(lines);
            assert_eq!(watch.shown(), 1, "{lines:?}");
            assert_eq!(watch.take_awake(), Vec::<String>::new());
        }
    }

    #[test]
    fn a_sleep_that_only_began_is_none() {
        // Refused by a device; no pm_test, and S3 that was not entered.
        let mut refused = watch(&["[ 1.0] PM: suspend entry (deep)", "[ 1.1] PM: suspend exit"]);
        assert_eq!(refused.shown(), 0);
        assert_eq!(
            refused.take_awake(),
            ["not asleep: [ 1.0] PM: suspend entry (deep)"]
        );
        // An image that was written and never read, and what came after it.
        let mut lost = watch(&[
            "[ 1.0] PM: hibernation: hibernation entry",
            "[ 1.1] PM: Image saving done",
            "[ 0.0] Linux version 7.3.4",
            "[ 2.0] PM: suspend entry (deep)",
            "[ 2.1] ACPI: PM: Low-level resume complete",
            "[ 2.2] PM: suspend exit",
        ]);
        assert_eq!(lost.shown(), 1);
        assert_eq!(lost.take_awake().len(), 1);
    }

    #[test]
    fn a_machine_is_idle_until_it_is_woken() {
        let mut watch = watch(&[
            "[ 1.0] PM: suspend entry (s2idle)",
            "[ 1.1] PM: suspend-to-idle",
        ]);
        assert!(watch.is_idle());
        watch.look("[ 1.2] PM: suspend exit\n");
        assert!(!watch.is_idle());
    }
}
