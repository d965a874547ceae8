// SPDX-License-Identifier: GPL-2.0

//! From findings to results: what counts, and what is waived.

use crate::judge::Finding;
use crate::lane::Lane;
use crate::rules::{self, Level, Rule, Version};
use anyhow::{bail, Context, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was judged and kept each time.
    Observed,
    /// Nothing in the trace could have broken it.
    NotReached,
    /// It was broken.
    Breach,
    /// It was broken, and somebody said why that is no failure.
    Waived,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Observed => "OBSERVED",
            Outcome::NotReached => "NOT REACHED",
            Outcome::Breach => "BREACH",
            Outcome::Waived => "WAIVED",
        })
    }
}

/// Why a breach is no failure.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The rule.
    pub rule: String,
    /// The lane, if not all.
    pub lane: Option<String>,
    /// The device, if not all.
    pub device: Option<String>,
    /// Why.
    pub reason: String,
}

/// A file of waivers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waivers {
    #[serde(default)]
    waiver: Vec<Waiver>,
}

impl Waivers {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is not as `docs/tracing.md` says.
    pub fn load(path: &Path) -> Result<Waivers> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        Waivers::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// It is not as `docs/tracing.md` says.
    pub fn parse(text: &str) -> Result<Waivers> {
        let waivers: Waivers = toml::from_str(text)?;
        for waiver in &waivers.waiver {
            if rules::find(&waiver.rule).is_none() {
                bail!("there is no rule {}: see virtio-check rules", waiver.rule);
            }
            if waiver.reason.trim().is_empty() {
                bail!("the waiver of {} has no reason", waiver.rule);
            }
        }
        Ok(waivers)
    }

    fn find(&self, rule: &Rule, lane: &str, device: &str) -> Option<&Waiver> {
        let fits = |told: &Option<String>, name| told.as_deref().is_none_or(|told| told == name);
        let mut waivers = self.waiver.iter();
        waivers.find(|w| w.rule == rule.id && fits(&w.lane, lane) && fits(&w.device, device))
    }
}

/// By what findings are measured.
#[derive(Clone, Debug)]
pub struct Measure {
    /// The version of the specification.
    pub version: Version,
    /// The weakest level whose breaches count.
    pub level: Level,
    /// What does not count.
    pub waivers: Waivers,
}

impl Default for Measure {
    fn default() -> Self {
        Self {
            version: Version::default(),
            level: Level::Should,
            waivers: Waivers::default(),
        }
    }
}

/// What came of a rule for a device.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// The rule.
    pub rule: &'static Rule,
    /// Its level in the version that is measured by.
    pub level: Level,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it is waived, if it is.
    pub reason: Option<&'a str>,
    /// How often it was judged and broken, and the first breaches.
    pub finding: &'a Finding,
}

impl Measure {
    /// What came of each rule of this version for a device of a lane.
    pub fn results<'a>(&'a self, lane: &'a Lane, device: usize) -> Vec<Judged<'a>> {
        let Some(verdict) = lane.verdicts.get(device) else {
            return Vec::new();
        };
        let judged = |(rule, finding): &'a (&'static Rule, Finding)| {
            let waiver = self.waivers.find(rule, &lane.name, &verdict.device);
            let waiver = waiver.filter(|_| finding.broken != 0);
            let outcome = match (finding.broken, finding.judged) {
                (0, 0) => Outcome::NotReached,
                (0, _) => Outcome::Observed,
                _ if waiver.is_some() => Outcome::Waived,
                _ => Outcome::Breach,
            };
            Judged {
                rule,
                level: rule.clause(self.version).level,
                outcome,
                reason: waiver.map(|waiver| waiver.reason.as_str()),
                finding,
            }
        };
        let asked = |judged: &Judged<'_>| judged.level > Level::Silent;
        verdict.findings.iter().map(judged).filter(asked).collect()
    }

    /// Whether this is a failure.
    pub fn fails(&self, judged: &Judged<'_>) -> bool {
        judged.outcome == Outcome::Breach && judged.level >= self.level
    }

    /// Whether there is no failure in a lane.
    pub fn is_clean(&self, lane: &Lane) -> bool {
        let devices = 0..lane.verdicts.len();
        let mut all = devices.flat_map(|device| self.results(lane, device));
        !all.any(|judged| self.fails(&judged))
    }

    /// The rules of waivers that nothing needed.
    pub fn unused<'a>(&'a self, lanes: &[Lane]) -> Vec<&'a Waiver> {
        let needed = |waiver: &&Waiver| {
            let mut all = lanes.iter().flat_map(|lane| {
                let verdicts = lane.verdicts.iter();
                verdicts.flat_map(move |verdict| {
                    let broken = verdict.findings.iter().filter(|(_, f)| f.broken != 0);
                    broken.map(move |(rule, _)| (lane, verdict, *rule))
                })
            });
            all.any(|(lane, verdict, rule)| {
                self.waivers.find(rule, &lane.name, &verdict.device) == Some(*waiver)
            })
        };
        let waivers = self.waivers.waiver.iter();
        waivers.filter(|waiver| !needed(waiver)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiver_needs_a_rule_and_a_reason() {
        let good = "[[waiver]]\nrule = \"width\"\ndevice = \"blk\"\nreason = \"old\"\n";
        let waivers = Waivers::parse(good).unwrap();
        let width = rules::find("width").unwrap();
        assert!(waivers.find(width, "any", "blk").is_some());
        assert!(waivers.find(width, "any", "net").is_none());
        for (part, other) in [
            ("width", "no-such-rule"),
            ("old", " "),
            ("reason", "because"),
            ("device", "devices"),
        ] {
            assert!(
                Waivers::parse(&good.replace(part, other)).is_err(),
                "{other}"
            );
        }
        let error = format!(
            "{:#}",
            Waivers::parse("[[waiver]]\nrule = 7\n").unwrap_err()
        );
        assert!(error.contains("line 2"), "{error}");
    }
}
