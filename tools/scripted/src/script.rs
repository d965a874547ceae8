// SPDX-License-Identifier: GPL-2.0

//! Scripts: how a device lies, and what a test says of that.
//!
//! `tests/hostile/scenarios.txt` has the form.

use anyhow::{bail, ensure, Context, Result};

use crate::lie::Lie;

/// Words that begin a line about what a test does or expects.
const REMARKS: [&str; 9] = [
    "expect",
    "event",
    "says",
    "ends",
    "sleeps",
    "unwatched",
    "idle",
    "checked",
    "stricter",
];

/// A paragraph of a file of scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// The kind of device.
    pub device: String,
    /// Whether it is for MSI-X, or for INTx; else it is for both.
    pub only_msix: Option<bool>,
    /// The lies.
    pub lies: Vec<Lie>,
    /// What a test does or expects: a word, and the rest of its line.
    pub remarks: Vec<(String, String)>,
}

impl Script {
    /// Reads all scripts of a file, which stand apart by empty lines.
    ///
    /// # Errors
    ///
    /// A line is of no kind, or a script has no name or no lies.
    pub fn parse_all(text: &str) -> Result<Vec<Self>> {
        text.split("\n\n")
            .map(str::trim)
            .filter(|paragraph| paragraph.lines().any(|line| !line.starts_with('#')))
            .map(|paragraph| Self::parse(paragraph).with_context(|| paragraph.to_owned()))
            .collect()
    }

    fn parse(text: &str) -> Result<Self> {
        let mut script = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "scenario" => script.name = rest.to_owned(),
                "device" => {
                    let (device, interrupts) = rest.split_once(' ').unwrap_or((rest, ""));
                    script.device = device.to_owned();
                    script.only_msix = match interrupts {
                        "" => None,
                        "msix" => Some(true),
                        "intx" => Some(false),
                        other => bail!("{other} is no interrupt mode"),
                    };
                }
                _ if REMARKS.contains(&word) => {
                    script.remarks.push((word.to_owned(), rest.to_owned()));
                }
                _ => script.lies.push(line.parse()?),
            }
        }
        ensure!(!script.name.is_empty(), "a scenario has no name");
        ensure!(!script.lies.is_empty(), "{} has no lies", script.name);
        Ok(script)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_a_script() {
        let text = "# About all.\n\nscenario x, at probe\ndevice rng msix\n#y\n\
                    probe read STATUS = 0x0\nexpect works\nchecked\n";
        let scripts = Script::parse_all(text).unwrap();
        let script = Script {
            name: "x, at probe".to_owned(),
            device: "rng".to_owned(),
            only_msix: Some(true),
            lies: vec!["probe read STATUS = 0x0".parse().unwrap()],
            remarks: vec![
                ("expect".to_owned(), "works".to_owned()),
                ("checked".to_owned(), String::new()),
            ],
        };
        assert_eq!(scripts, [script]);
    }

    #[test]
    fn what_is_no_script_is_refused() {
        for text in [
            "scenario x\ndevice rng",
            "device rng\nprobe read STATUS = 0",
            "scenario x\ndevice rng lines\nprobe read STATUS = 0",
            "scenario x\ndevice rng\nprobe read STATUS = many",
            "scenario x\ndevice rng\nprobe read STATUS = 0\nhopes none",
        ] {
            assert!(Script::parse_all(text).is_err(), "{text}");
        }
    }
}
