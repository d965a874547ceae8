// SPDX-License-Identifier: GPL-2.0

//! Versions: dotted numbers, and the part of a Debian version that upstream gave it.

use std::fmt;
use std::str::FromStr;

/// A version of dotted numbers, for example 7.3.4; trailing zeros do not count.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(crate) struct Version(Vec<u64>);

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text
            .split('.')
            .map(str::parse)
            .collect::<Result<Vec<u64>, _>>()
            .map_err(|_| anyhow::anyhow!("\"{text}\" is not a version of dotted numbers"))?;
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Ok(Self(numbers))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&words.join("."))
    }
}

/// Finds the first version in a program's `--version` output, as it was written there.
pub(crate) fn find_version(text: &str) -> Option<&str> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .map(|word| word.trim_matches('.'))
        .find(|word| word.contains('.'))
}

/// Whether `text` is a version that is at least `least`.
pub(crate) fn at_least(text: &str, least: &str) -> bool {
    match (text.parse::<Version>(), least.parse::<Version>()) {
        (Ok(version), Ok(least)) => version >= least,
        _ => false,
    }
}

/// The upstream version in a Debian version: without epoch, repacking mark and Debian revision.
///
/// A release candidate keeps its mark, and so does not read as a version of dotted numbers.
pub(crate) fn upstream(debian: &str) -> &str {
    let version = debian.split_once(':').map_or(debian, |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(first, _)| first);
    version.split_once('+').map_or(version, |(first, _)| first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_version_of_a_package() {
        assert_eq!(upstream("1:11.1.3+ds-1~bpo13+1"), "11.1.3");
        assert_eq!(upstream("1.95.0+dfsg1-2~bpo13+1"), "1.95.0");
        assert_eq!(upstream("7.3.4-1~bpo13+1"), "7.3.4");
        assert_eq!(upstream("0.71.1-6"), "0.71.1");
        assert_eq!(upstream("7.3~rc7-1~exp1"), "7.3~rc7");
        assert_eq!(upstream("3.33"), "3.33");
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(at_least("10.1", "10.1.0"));
        assert!(at_least("10.10.2", "10.9"));
        assert!(at_least("0.71.1", "0.71.1"));
        assert!(!at_least("7.2.22", "10.1"));
        assert!(!at_least("0.60.1", "0.71.1"));
        assert!(!at_least("7.3~rc7", "7.3"));
        assert!(!at_least("", "1"));
    }

    #[test]
    fn version_in_a_program_s_answer() {
        let qemu = "QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1~bpo13+1)";
        assert_eq!(find_version(qemu), Some("11.1.3"));
        assert_eq!(find_version("bindgen 0.71.1"), Some("0.71.1"));
        assert_eq!(
            find_version("rustc 1.95.0 (59807616e 2026-04-14)"),
            Some("1.95.0")
        );
        assert_eq!(find_version("no version. Here"), None);
    }
}
