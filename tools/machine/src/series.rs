// SPDX-License-Identifier: GPL-2.0

//! Series of the kernel, and processor architectures.

use std::fmt;
use std::str::FromStr;

use anyhow::{bail, Result};

use crate::version::{at_least, upstream};

/// The series that the module is written for.
const NEWEST: &str = "7.3";

/// The oldest series that it is for.
pub const OLDEST: &str = "7.0";

/// A series of the kernel, as `SERIES=` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Series {
    /// One by its number, for example `7.3`.
    Numbered(String),
    /// What comes next: Debian's newest pre-release.
    Next,
}

impl Default for Series {
    fn default() -> Self {
        Self::Numbered(NEWEST.to_owned())
    }
}

impl FromStr for Series {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "next" {
            return Ok(Self::Next);
        }
        let is_number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('.') {
            Some((major, minor)) if is_number(major) && is_number(minor) => {
                Ok(Self::Numbered(text.to_owned()))
            }
            _ => bail!("SERIES={text} is no series of Linux: give one like {NEWEST}, or next"),
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Numbered(number) => number,
            Self::Next => "next",
        })
    }
}

impl Series {
    /// Whether the module is for it.
    pub(crate) fn has_module(&self) -> bool {
        match self {
            Self::Numbered(number) => at_least(number, OLDEST),
            Self::Next => true,
        }
    }

    /// What the names of its packages have after `linux-image-` and the like, as far as that is
    /// known.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Self::Numbered(number) => number,
            Self::Next => "",
        }
    }

    /// Whether a kernel package of this version belongs to it. A pre-release belongs to what comes
    /// next only: in the cache it would be taken for the release.
    pub(crate) fn has(&self, debian: &str) -> bool {
        match self {
            Self::Numbered(number) => number_of(debian) == *number && is_release(debian),
            Self::Next => !is_release(debian),
        }
    }
}

/// The number of the series of a kernel package of this version, for example `7.3`.
pub(crate) fn number_of(debian: &str) -> String {
    let version = upstream(debian);
    let release = version.split('~').next().unwrap_or_default();
    let numbers: Vec<_> = release.split('.').take(2).collect();
    numbers.join(".")
}

/// Whether a kernel package of this version is no pre-release, which Debian marks with a tilde.
fn is_release(debian: &str) -> bool {
    !upstream(debian).contains('~')
}

/// The architecture of the kernel and of the machine that it runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Arch {
    /// 64-bit x86, that of the host.
    #[default]
    Amd64,
    /// 64-bit Arm, compiled for and emulated on the host.
    Arm64,
}

impl Arch {
    /// Debian's name.
    pub fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name in the kernel's build.
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Self::Amd64 => "x86",
            Self::Arm64 => "arm64",
        }
    }

    /// How programs and directories of the architecture are named.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// The file name of the dynamic linker.
    pub(crate) fn linker(self) -> &'static str {
        match self {
            Self::Amd64 => "ld-linux-x86-64.so.2",
            Self::Arm64 => "ld-linux-aarch64.so.1",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.debian())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_two_numbers_or_the_next() {
        for text in ["7.3", "6.12", "next"] {
            assert_eq!(text.parse::<Series>().unwrap().to_string(), text);
        }
        for text in ["", "7", "7.", "7.3.4", "7.3-rc1", "newest"] {
            let error = text.parse::<Series>().unwrap_err().to_string();
            assert!(error.contains(&format!("SERIES={text} ")), "{error}");
        }
    }

    #[test]
    fn packages_belong_to_their_series_only() {
        let series = |text: &str| text.parse::<Series>().unwrap();
        assert!(series("7.3").has("7.3.4-1~bpo13+1") && !series("7.3").has("7.3~rc7-1~exp1"));
        assert!(
            series("7.3").has("7.3.0-rc7"),
            "what a source tree says of itself"
        );
        assert!(!series("7.3").has("7.30.1-1") && !series("7.3").has("7.2.13-1"));
        assert!(series("next").has("7.3~rc7-1~exp1") && !series("next").has("7.3.4-1"));
        assert!(!series("next").has("7.4.1-1~exp1") && series("7.4").has("7.4.1-1~exp1"));
        assert!(series("7.2").has_module() && series("7.10").has_module());
        assert!(series("next").has_module() && !series("6.12").has_module());
    }
}
