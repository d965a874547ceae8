// SPDX-License-Identifier: GPL-2.0

//! Failures that are known: one that is mended is a failure until it is taken from the list.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use glob::Pattern;
use serde::Deserialize;

use crate::driver::Driver;
use crate::failure::{Failure, Outcome};
use crate::names::plain;

/// The repository's own list.
pub const OWN: &str = "tests/known-failures.toml";

/// A list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    #[serde(default, rename = "known")]
    entries: Vec<Entry>,
}

/// What is known to fail: patterns as of a shell, of the names in results.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    test: String,
    #[serde(default = "any")]
    subtest: String,
    /// `c` or `rust`; none is both.
    driver: Option<String>,
    /// The series of the kernel, such as `6.1`.
    #[serde(default = "any")]
    kernel: String,
    /// The kind of failure, as results name it: another one is news.
    #[serde(default = "failed")]
    kind: String,
    reason: String,
}

fn failed() -> String {
    "Failed".to_owned()
}

fn any() -> String {
    "*".to_owned()
}

fn fits(pattern: &str, text: &str) -> bool {
    Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(text))
}

impl Entry {
    /// Fails if it can never be meant.
    fn check(&self) -> Result<()> {
        for pattern in [&self.test, &self.subtest, &self.kernel] {
            Pattern::new(pattern).with_context(|| format!("{pattern} is no pattern"))?;
        }
        let driver = self.driver.as_deref();
        let is_driver = |name: &str| Driver::BOTH.iter().any(|driver| driver.name() == name);
        ensure!(driver.is_none_or(is_driver), "{driver:?} is no driver");
        ensure!(
            !self.reason.trim().is_empty(),
            "{} has no reason",
            self.test
        );
        Ok(())
    }

    fn is_about(&self, driver: Driver, release: &str, test: &str, part: &str) -> bool {
        self.driver
            .as_deref()
            .is_none_or(|name| name == driver.name())
            && fits(&self.kernel, series_of(release))
            && self.names(test, part)
    }

    fn names(&self, test: &str, part: &str) -> bool {
        fits(&self.test, &plain(test)) && fits(&self.subtest, &plain(part))
    }
}

impl Known {
    /// Reads a list.
    pub fn parse(text: &str) -> Result<Self> {
        let known: Self = toml::from_str(text).context("it is no list of known failures")?;
        known.entries.iter().try_for_each(Entry::check)?;
        Ok(known)
    }

    /// Reads the repository's list, and another one that adds to it.
    pub fn load(root: &Path, more: Option<&Path>) -> Result<Self> {
        let mut all = Self::default();
        let own = root.join(OWN);
        for path in [Some(own.as_path()), more].into_iter().flatten() {
            let known = fs::read_to_string(path)
                .map_err(anyhow::Error::from)
                .and_then(|text| Self::parse(&text));
            let known = known.with_context(|| format!("cannot read {}", path.display()))?;
            all.entries.extend(known.entries);
        }
        Ok(all)
    }

    /// What a part of a test counts for that ended so.
    pub fn judge(
        &self,
        driver: Driver,
        release: &str,
        test: &str,
        part: &str,
        outcome: Outcome,
    ) -> Outcome {
        let mut entries = self.entries.iter();
        let Some(entry) = entries.find(|entry| entry.is_about(driver, release, test, part)) else {
            return outcome;
        };
        let why = &entry.reason;
        match outcome {
            Ok(()) => Err(Failure::Failed(format!(
                "it works, and the list of known failures has it ({why}): take it from the list"
            ))),
            // One of another kind is another one: a splat, a lost VM, a broken harness.
            Err(failure) if failure.name() == entry.kind => Err(Failure::Known {
                why: why.clone(),
                failure: Box::new(failure),
            }),
            Err(failure) => Err(failure),
        }
    }

    /// The reasons of the entries that are about none of these tests and parts, whatever the driver
    /// and the kernel.
    pub fn unused(&self, names: &[(String, String)]) -> Vec<&str> {
        let is_unused = |entry: &&Entry| {
            let mut names = names.iter();
            !names.any(|(test, part)| entry.names(test, part))
        };
        let unused = self.entries.iter().filter(is_unused);
        unused.map(|entry| entry.reason.as_str()).collect()
    }
}

/// The series of a kernel release: `6.1` of `6.1.0-50-amd64`.
pub fn series_of(release: &str) -> &str {
    let mut dots = release.match_indices(['.', '-', '+']).map(|(at, _)| at);
    let end = dots.nth(1).unwrap_or(release.len());
    &release[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    const LIST: &str = "[[known]]\ntest = \"sleep-*\"\nsubtest = \"suspend-to-memory\"\n\
                        driver = \"c\"\nkernel = \"6.1\"\nreason = \"it waits\"\n";

    fn judge(driver: Driver, release: &str, part: &str, outcome: Outcome) -> Verdict {
        let known = Known::parse(LIST).unwrap();
        let outcome = known.judge(driver, release, "sleep-pc", part, outcome);
        Verdict::from(&outcome)
    }

    fn failed() -> Outcome {
        Err(Failure::Failed("status 1".to_owned()))
    }

    #[test]
    fn a_known_failure_is_told_by_all_that_the_list_says() {
        let part = "suspend to memory, 3 times";
        let verdict = judge(Driver::C, "6.1.0-50-amd64", part, failed());
        assert_eq!(
            verdict,
            Verdict::Known("known failure: it waits".to_owned())
        );
        for (driver, release, part) in [
            (Driver::Rust, "6.1.0-50-amd64", part),
            (Driver::C, "6.12.117+deb13-amd64", part),
            (Driver::C, "6.1.0-50-amd64", "hibernation"),
        ] {
            assert!(judge(driver, release, part, failed()).is_bad());
        }
    }

    #[test]
    fn one_that_is_mended_is_a_failure() {
        let mended = judge(Driver::C, "6.1.9", "suspend to memory", Ok(()));
        assert!(mended.is_bad());
        assert!(mended.reason().contains("take it from the list"));
        assert_eq!(judge(Driver::C, "6.1.9", "rmmod", Ok(())), Verdict::Passed);
    }

    #[test]
    fn one_of_another_kind_is_not_known() {
        let part = "suspend to memory";
        let splat = Err(Failure::Splat("Oops: 0002".to_owned()));
        assert!(judge(Driver::C, "6.1.9", part, splat).is_bad());
        let lost = Err(Failure::LostVm("it went away".to_owned()));
        assert!(judge(Driver::C, "6.1.9", part, lost).is_bad());
    }

    #[test]
    fn a_broken_harness_and_a_skip_are_not_known() {
        let part = "suspend to memory";
        let broken = Err(Failure::Harness(anyhow::anyhow!("no space")));
        assert!(judge(Driver::C, "6.1.9", part, broken).is_bad());
        let skipped = Err(Failure::Lacks("no S3".to_owned()));
        let skipped = judge(Driver::C, "6.1.9", part, skipped);
        assert_eq!(skipped, Verdict::Skipped("no S3".to_owned()));
    }

    #[test]
    fn what_can_never_be_meant_is_refused() {
        for (text, wrong) in [
            ("driver = \"c\"", "driver = \"java\""),
            ("reason = \"it waits\"", "reason = \"\""),
            ("reason = \"it waits\"", ""),
            ("kernel =", "series ="),
            ("6.1", "[6"),
        ] {
            let list = LIST.replace(text, wrong);
            assert!(Known::parse(&list).is_err(), "{list}");
        }
    }

    #[test]
    fn series_of_releases() {
        for (release, series) in [
            ("6.1.0-50-amd64", "6.1"),
            ("6.12.117+deb13-amd64", "6.12"),
            ("7.3.4+deb13-amd64", "7.3"),
            ("7.4.0-rc1", "7.4"),
            ("7.4-rc1", "7.4"),
            ("7.4", "7.4"),
        ] {
            assert_eq!(series_of(release), series);
        }
    }
}
