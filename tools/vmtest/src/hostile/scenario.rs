// SPDX-License-Identifier: GPL-2.0

//! Scenarios, and the text that they are written in (see `tests/hostile/scenarios.txt`).

use std::fmt;

use anyhow::{bail, Context, Result};
use scripted::{Lie, Script, Time};

use super::outcome::Outcome;

/// A scripted device that lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// The source of random numbers.
    Rng,
    /// The disk.
    Disk,
    /// The serial port.
    Console,
}

impl Device {
    const ALL: [Self; 3] = [Self::Rng, Self::Disk, Self::Console];

    /// The name in scenarios and in the guest.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rng => "rng",
            Self::Disk => "disk",
            Self::Console => "console",
        }
    }
}

/// What must come of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// This, and nothing else.
    Only(Outcome),
    /// Anything but a hang.
    Survives,
}

impl Expected {
    /// Whether this may come of it.
    pub(super) fn allows(self, outcome: Outcome) -> bool {
        match self {
            Self::Only(wanted) => outcome == wanted,
            Self::Survives => outcome != Outcome::Hangs,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Only(outcome) => outcome.name(),
            Self::Survives => "survives",
        })
    }
}

/// What a device does that it must not, and what must come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scenario {
    /// Its name, unique.
    pub(super) name: String,
    /// The device that lies.
    pub(super) device: Device,
    /// Whether it is for MSI-X, or for INTx; else it is for both.
    pub(super) only_msix: Option<bool>,
    /// The lies.
    pub(super) lies: Vec<Lie>,
    /// What must come of it.
    pub(super) expected: Expected,
    /// The event that the device's journal must have, with this driver.
    pub(super) event: Option<String>,
    /// What a line of the kernel log must contain.
    pub(super) says: Option<String>,
    /// Whether the machine is powered off at the end, instead of the module removed.
    pub(super) powers_off: bool,
    /// Whether the machine sleeps, although the device does not lie then.
    pub(super) sleeps: bool,
    /// Whether the driver does not look now and then whether the device is still there.
    pub(super) unwatched: bool,
    /// Whether no input and output are tried while it lies.
    pub(super) idle: bool,
    /// Whether continuous integration runs it.
    pub(super) checked: bool,
    /// Why the C driver may come off better, if it may.
    pub(super) stricter: Option<String>,
}

impl Scenario {
    /// Whether the device lies at this time.
    pub(super) fn lies_at(&self, time: Time) -> bool {
        self.lies.iter().any(|lie| lie.time == time)
    }

    /// Reads what a script says.
    fn from_script(script: Script) -> Result<Self> {
        let name = &script.device;
        let device = Device::ALL.into_iter().find(|d| d.name() == name);
        let mut scenario = Self {
            device: device.with_context(|| format!("{name} is no device"))?,
            name: script.name,
            only_msix: script.only_msix,
            lies: script.lies,
            expected: Expected::Survives,
            event: None,
            says: None,
            powers_off: false,
            sleeps: false,
            unwatched: false,
            idle: false,
            checked: false,
            stricter: None,
        };
        for (word, rest) in script.remarks {
            match (word.as_str(), rest.as_str()) {
                ("expect", "survives") => scenario.expected = Expected::Survives,
                ("expect", name) => {
                    let outcome = Outcome::ALL.into_iter().find(|o| o.name() == name);
                    let outcome = outcome.with_context(|| format!("{name} is no outcome"))?;
                    scenario.expected = Expected::Only(outcome);
                }
                ("event", _) => scenario.event = Some(rest),
                ("says", _) => scenario.says = Some(rest),
                ("ends", "poweroff") => scenario.powers_off = true,
                ("sleeps", "") => scenario.sleeps = true,
                ("unwatched", "") => scenario.unwatched = true,
                ("idle", "") => scenario.idle = true,
                ("checked", "") => scenario.checked = true,
                ("stricter", text) if !text.is_empty() => scenario.stricter = Some(rest),
                _ => bail!("not a line of a scenario: {word} {rest}"),
            }
        }
        Ok(scenario)
    }

    /// Reads all scenarios of a file.
    pub(super) fn parse_all(text: &str) -> Result<Vec<Self>> {
        let scripts = Script::parse_all(text)?.into_iter();
        scripts
            .map(|script| {
                let name = script.name.clone();
                Self::from_script(script).with_context(|| name)
            })
            .collect()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "scenario {}", self.name)?;
        write!(f, "device {}", self.device.name())?;
        writeln!(
            f,
            "{}",
            match self.only_msix {
                None => "",
                Some(true) => " msix",
                Some(false) => " intx",
            }
        )?;
        self.lies.iter().try_for_each(|lie| writeln!(f, "{lie}"))?;
        writeln!(f, "expect {}", self.expected)?;
        if let Some(event) = &self.event {
            writeln!(f, "event {event}")?;
        }
        if let Some(says) = &self.says {
            writeln!(f, "says {says}")?;
        }
        if let Some(stricter) = &self.stricter {
            writeln!(f, "stricter {stricter}")?;
        }
        if self.powers_off {
            writeln!(f, "ends poweroff")?;
        }
        if self.sleeps {
            writeln!(f, "sleeps")?;
        }
        if self.unwatched {
            writeln!(f, "unwatched")?;
        }
        if self.idle {
            writeln!(f, "idle")?;
        }
        if self.checked {
            writeln!(f, "checked")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_scenarios_can_be_read_and_written() {
        let all = Scenario::parse_all(super::super::SCENARIOS).unwrap();
        let names: BTreeSet<_> = all.iter().map(|scenario| &scenario.name).collect();
        assert_eq!(names.len(), all.len());
        for scenario in &all {
            let back = Scenario::parse_all(&scenario.to_string()).unwrap();
            assert_eq!(back.first(), Some(scenario));
        }
        for time in Time::ALL {
            assert!(all.iter().any(|scenario| scenario.lies_at(time)));
        }
    }

    #[test]
    fn each_event_is_one_of_the_journal() {
        let names = include_str!("../../../../legacy/core/journal.rs");
        for scenario in Scenario::parse_all(super::super::SCENARIOS).unwrap() {
            let Some(event) = scenario.event else {
                continue;
            };
            assert!(names.contains(&format!("\"{event}\"")), "{event}");
        }
    }

    #[test]
    fn what_is_no_scenario_is_refused() {
        for text in [
            "scenario x\ndevice rng",
            "device rng\nprobe read STATUS = 0",
            "scenario x\ndevice toaster\nprobe read STATUS = 0",
            "scenario x\nprobe read STATUS = 0\nexpect miracles",
        ] {
            assert!(Scenario::parse_all(text).is_err(), "{text}");
        }
    }
}
