// SPDX-License-Identifier: GPL-2.0

//! What the specification asks of a driver of the legacy interface, as data.
//!
//! [`table`] is the one place where rules are written down. The checks, `virtio-check explain`,
//! `docs/rules.md` and the JSON output take their texts from it, and the tests play its examples.

mod show;
pub mod table;

use serde::{Serialize, Serializer};
use std::fmt;

pub use show::{explain, json, list, markdown};
pub use table::RULES;

/// The version of the rules: it grows when a rule is added or judges otherwise.
pub const VERSION: u32 = 2;

/// How strong a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// This version of the specification does not ask for it, or asks for something else.
    Silent,
    /// The specification does not ask for it; devices or other drivers do.
    Convention,
    /// The specification says SHOULD.
    Should,
    /// The specification says MUST, or lists it as a step that is to be followed.
    Must,
}

impl Level {
    /// The name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Level::Silent => "silent",
            Level::Convention => "convention",
            Level::Should => "SHOULD",
            Level::Must => "MUST",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A version of the specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Version {
    /// The draft that defined the legacy interface.
    #[serde(rename = "0.9.5")]
    V0_9_5,
    /// The sections named "Legacy Interface" of the standard.
    #[default]
    #[serde(rename = "1.4")]
    V1_4,
}

impl Version {
    /// The number.
    pub fn name(self) -> &'static str {
        match self {
            Version::V0_9_5 => "0.9.5",
            Version::V1_4 => "1.4",
        }
    }
}

/// What a version of the specification says of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Clause {
    /// How strong it is.
    pub level: Level,
    /// Where it is said; the nearest place if it is not.
    pub section: &'static str,
    /// How the rule follows from the text.
    pub argument: &'static str,
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.level, self.section)
    }
}

/// Who can break a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// The driver.
    Driver,
    /// The device, or what stands between it and the driver.
    Device,
}

/// Who can see whether a rule is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Anybody who sees the register accesses.
    Trace,
    /// Only the device, which sees the guest's memory and the PCI configuration space too.
    Device,
}

/// Accesses that show a rule, in the notation of [`crate::notation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// What came before.
    pub after: &'static str,
    /// What keeps the rule.
    pub right: &'static str,
    /// What breaks it.
    pub wrong: &'static str,
}

/// A rule.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The name, which stays for ever.
    pub id: &'static str,
    /// The rule.
    pub text: &'static str,
    /// Who can break it.
    pub party: Party,
    /// Who can see it.
    pub seen: Seen,
    /// What the standard says.
    pub v1_4: Clause,
    /// What the draft says.
    pub v0_9_5: Clause,
    /// What must be observed to judge it.
    pub needs: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What keeps and what breaks it; none if no register access shows it.
    pub example: Option<Example>,
}

impl Rule {
    /// What a version of the specification says of it.
    pub fn clause(&self, version: Version) -> Clause {
        match version {
            Version::V0_9_5 => self.v0_9_5,
            Version::V1_4 => self.v1_4,
        }
    }

    /// The section of the standard.
    pub fn section(&self) -> &'static str {
        self.v1_4.section
    }

    /// The place in the table.
    pub(crate) fn index(&self) -> usize {
        RULES
            .iter()
            .position(|rule| rule.id == self.id)
            .unwrap_or(RULES.len())
    }
}

/// The rule of this name.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id == id)
}

/// Writes the name of a rule in its place.
pub(crate) fn serialize_id<S: Serializer>(rule: &Rule, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(rule.id)
}

/// A breach that is no failure of one of the two drivers that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The id of the rule.
    pub rule: &'static str,
    /// The kind of device, which is part of its name.
    pub device: &'static str,
    /// Whether it is a failure of the Rust driver nevertheless.
    pub c_only: bool,
    /// Why it is so.
    pub reason: &'static str,
}

/// What the C driver does, or the virtio drivers above both.
pub const KNOWN: &[Known] = &[
    Known {
        rule: table::NOTIFY_EARLY.id,
        device: "balloon",
        c_only: false,
        reason: "virtio_balloon sends its statistics buffer while it sets up its virtqueues",
    },
    Known {
        rule: table::QUEUES_BEFORE_OK.id,
        device: "9p",
        c_only: true,
        reason: "9p has no restore, and the C driver sets it live without its virtqueue",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_found() {
        let ids: BTreeSet<_> = RULES.iter().map(|r| r.id).collect();
        assert_eq!(ids.len(), RULES.len());
        for rule in RULES {
            assert_eq!(find(rule.id), Some(*rule));
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(rule.id.chars().all(plain), "{}", rule.id);
        }
        assert_eq!(find("no-such-rule"), None);
    }

    #[test]
    fn no_text_is_missing_and_one_sentence_tells_why() {
        for rule in RULES {
            let clauses = [rule.v1_4, rule.v0_9_5];
            let arguments = clauses.iter().flat_map(|c| [c.section, c.argument]);
            for text in [rule.text, rule.needs, rule.why]
                .into_iter()
                .chain(arguments)
            {
                assert!(!text.is_empty(), "{}", rule.id);
                assert!(
                    !text.contains("  ") && !text.contains('|'),
                    "{}: {text}",
                    rule.id
                );
            }
            assert!(!rule.why.contains(". "), "{}: {}", rule.id, rule.why);
        }
    }

    #[test]
    fn what_neither_version_asks_for_is_a_convention_that_says_whose() {
        for rule in RULES {
            let level = rule.v1_4.level.max(rule.v0_9_5.level);
            assert!(level > Level::Silent, "{}", rule.id);
            if level == Level::Convention {
                let said = [rule.v1_4.argument, rule.v0_9_5.argument, rule.why].concat();
                let known = ["QEMU", "Linux", "the text", "drivers", "devices"];
                assert!(
                    known.iter().any(|who| said.contains(who)),
                    "{}: {said}",
                    rule.id
                );
            }
        }
    }
}
