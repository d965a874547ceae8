// SPDX-License-Identifier: GPL-2.0

//! The guest's clock beside the host's.
//!
//! The clock of ftrace and of the kernel log stands still while the machine sleeps, and QEMU's
//! trace has the host's time. An interpreted guest that measures its TSC on a busy host takes it
//! for slower than it is, so that its clock is too fast, by the same rate until it is booted again.
//! So the guest has a register written, with a line in ftrace before and one after, twice before
//! the sleep and twice after it: both clocks are known there, and between and near them by a
//! straight line.

use anyhow::{Context, Result};

use super::ftrace::{Event, Line};
use super::time::Time;

/// The names of the looks in ftrace: two before the sleep, two after it.
pub(super) const LOOKS: [&str; 4] = ["before-1", "before-2", "after-1", "after-2"];

/// Two looks at both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    guest: [Time; 2],
    host: [Time; 2],
}

impl Looks {
    /// The host's time, on the line through both looks.
    fn host(&self, guest: Time) -> Time {
        let [first, second] = self.guest.map(i128::from);
        let [from, to] = self.host.map(i128::from);
        let past = i128::from(guest) - first;
        let host = from + past * (to - from) / (second - first).max(1);
        Time::try_from(host).unwrap_or_default()
    }

    /// How many times faster than the host's the guest's clock is.
    fn rate(&self) -> f64 {
        let length = |[from, to]: [Time; 2]| to.saturating_sub(from) as f64;
        length(self.guest) / length(self.host).max(1.0)
    }
}

/// The guest's clock over a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    before: Looks,
    after: Looks,
    /// How far a look may be from its access, by the guest's clock.
    pub(super) error: Time,
    /// The guest's time at which the machine falls asleep.
    asleep: Time,
}

impl Clock {
    /// Takes the looks in ftrace, and the host's times of them.
    ///
    /// # Errors
    ///
    /// A look is missing, or nothing shows that the machine slept.
    pub(super) fn new(lines: &[Line], host: [Time; 4]) -> Result<Self> {
        let at = |name: &str, edge: &str| {
            let wanted = format!("vmtest {name} {edge}");
            let mut lines = lines.iter();
            let found = lines.find(|line| line.event == Event::Mark(wanted.clone()));
            found
                .map(|line| line.time)
                .with_context(|| format!("ftrace has no \"{wanted}\""))
        };
        // The access is between the two lines.
        let mut error = 0;
        let mut middle = |name: &str| -> Result<Time> {
            let (begin, end) = (at(name, "begin")?, at(name, "end")?);
            let half = end.saturating_sub(begin) / 2;
            error = error.max(half);
            Ok(begin + half)
        };
        let [first, second, third, fourth] = LOOKS;
        Ok(Self {
            before: Looks {
                guest: [middle(first)?, middle(second)?],
                host: [host[0], host[1]],
            },
            after: Looks {
                guest: [middle(third)?, middle(fourth)?],
                host: [host[2], host[3]],
            },
            error,
            asleep: asleep(lines)
                .context("ftrace has no machine_suspend: the machine did not sleep")?,
        })
    }

    /// The host's time of the second look, after which nothing but the sleep is.
    pub(super) fn begin(&self) -> Time {
        self.before.host[1]
    }

    /// The host's time.
    pub(super) fn host(&self, guest: Time) -> Time {
        match guest <= self.asleep {
            true => self.before.host(guest),
            false => self.after.host(guest),
        }
    }

    /// How many times faster than the host's the guest's clock is, before and after the sleep.
    pub(super) fn rates(&self) -> [f64; 2] {
        [self.before.rate(), self.after.rate()]
    }
}

/// When the last step begins before `machine_suspend` or a step in it ends.
fn asleep(lines: &[Line]) -> Option<Time> {
    let steps = lines.iter().filter_map(|line| match &line.event {
        Event::Step { name, begin } => Some((line.time, name, *begin)),
        _ => None,
    });
    let steps = steps.skip_while(|(_, name, _)| !name.starts_with("machine_suspend"));
    let begun = steps.take_while(|(.., begin)| *begin);
    begun.last().map(|(time, ..)| time)
}

#[cfg(test)]
mod tests {
    use super::super::ftrace;
    use super::*;

    #[test]
    fn the_clock_stands_still_while_the_machine_sleeps() {
        // Twice as fast as the host's.
        let look = |name: &str, time: u64| {
            format!(
                "sh-1 [000] ..... {time}.000000: tracing_mark_write: vmtest {name} begin\n\
                 sh-1 [000] ..... {time}.000300: tracing_mark_write: vmtest {name} end\n"
            )
        };
        let step =
            |time: &str, name: &str| format!("sh-1 [000] ..... {time}: suspend_resume: {name}\n");
        let text = [
            look("before-1", 6),
            look("before-2", 10),
            step("11.000000", "machine_suspend[3] begin"),
            step("11.000001", "acpi_suspend[3] begin"),
            step("11.000002", "acpi_suspend[3] end"),
            step("11.000003", "machine_suspend[3] end"),
            look("after-1", 12),
            look("after-2", 16),
        ];
        let lines = ftrace::parse(&text.concat()).unwrap();
        let second = 1_000_000_000;
        let host = [1008, 1010, 1041, 1043].map(|host| host * second);
        let clock = Clock::new(&lines, host).unwrap();
        assert_eq!(clock.begin(), 1010 * second);
        // The middle of each look is 150 µs behind its begin.
        let half = second / 2 - 75_000;
        assert_eq!(clock.host(11 * second), 1010 * second + half);
        assert_eq!(clock.host(11 * second + 1000), 1010 * second + half + 500);
        assert_eq!(clock.host(11 * second + 2000), 1040 * second + half + 1000);
        assert_eq!(clock.error, 150_000);
        assert_eq!(clock.rates(), [2.0, 2.0]);
        assert!(Clock::new(&lines[..4], host).is_err());
    }
}
