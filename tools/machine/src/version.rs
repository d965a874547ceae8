// SPDX-License-Identifier: GPL-2.0

//! Versions: dotted numbers, and those of Debian's packages.

use std::cmp::Ordering;
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

/// Compares versions of packages as deb-version(7) says.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let pairs = parts(a).into_iter().zip(parts(b));
    let mut orders = pairs.map(|(a, b)| compare_part(a, b));
    orders
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// The newest of what has versions of packages.
pub(crate) fn newest<T>(all: impl Iterator<Item = (String, T)>) -> Option<(String, T)> {
    all.max_by(|(a, _), (b, _)| compare(a, b))
}

/// The epoch, the upstream version and Debian's revision.
fn parts(version: &str) -> [&str; 3] {
    let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    [epoch, upstream, revision]
}

/// Compares, in turn, what comes before the next digit and the number there.
fn compare_part<'a>(mut a: &'a str, mut b: &'a str) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let text = ranks(take(&mut a, false)).cmp(ranks(take(&mut b, false)));
        let numbers = [&mut a, &mut b].map(|rest| take(rest, true).trim_start_matches('0'));
        let [first, second] = numbers.map(|digits| (digits.len(), digits));
        let number = first.cmp(&second);
        if text.then(number).is_ne() {
            return text.then(number);
        }
    }
    Ordering::Equal
}

/// Takes the digits, or all but digits, off the beginning.
fn take<'a>(text: &mut &'a str, digits: bool) -> &'a str {
    let end = text.find(|c: char| c.is_ascii_digit() != digits);
    let (first, rest) = text.split_at(end.unwrap_or(text.len()));
    *text = rest;
    first
}

/// A tilde comes before the end, and that before letters, and these before all else.
fn ranks(text: &str) -> impl Iterator<Item = u32> + '_ {
    let rank = |c: char| match c {
        '~' => 0,
        'a'..='z' | 'A'..='Z' => u32::from(c),
        _ => u32::from(c) + 256,
    };
    text.chars().map(rank).chain([1])
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
    fn versions_of_packages_compare_as_dpkg_does() {
        let ascending = [
            "7.3~rc7-1~exp1",
            "7.3~rc7-1",
            "7.3~rc10-1~exp1",
            "7.3-1~bpo13+1",
            "7.3-1",
            "7.3.4-1~bpo13+1",
            "7.3.4-1",
            "7.3.4-1+b1",
            "7.3.4-9",
            "7.3.4-10",
            "7.3.4a-1",
            "7.3.4+ds-1",
            "7.3.10-1",
            "1:1.0-1",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a}, {b}");
            }
        }
        for (a, b) in [("1.0", "1.0-0"), ("0:1.02", "1.2"), ("", "0")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a}, {b}");
        }
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
