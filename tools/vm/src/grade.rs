// SPDX-License-Identifier: GPL-2.0

//! An order of what may come of a test: in no case may this driver's be worse than the C driver's.

use std::fmt;

use crate::failure::Failure;

/// What came of something, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Everything is as it should be.
    Works,
    /// Users get errors, and a line says why.
    Errors,
    /// It is not done, and a line says why.
    Refused,
    /// It does not work, and no line says why; or who uses it waits in vain.
    Dead,
    /// Something else never ends: a sleep, an unbind, rmmod, power-off.
    Hangs,
    /// The machine does not answer any more.
    Lost,
}

impl Grade {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Errors => "errors with a line",
            Self::Refused => "refused with a line",
            Self::Dead => "dead without a line",
            Self::Hangs => "hangs",
            Self::Lost => "machine lost",
        }
    }

    /// That of a failed cell; none if the harness or the host is at fault.
    pub fn of(failure: &Failure) -> Option<Self> {
        match failure {
            Failure::Failed(_) | Failure::Awake(_) | Failure::Tainted(_) => Some(Self::Errors),
            Failure::TimedOut { .. } => Some(Self::Hangs),
            Failure::LostVm(_) => Some(Self::Lost),
            Failure::Splat(said) if is_last_word(said) => Some(Self::Lost),
            Failure::Splat(_) => Some(Self::Errors),
            Failure::Known { failure, .. } => Self::of(failure),
            Failure::NoResults(_) | Failure::Lacks(_) | Failure::Harness(_) => None,
        }
    }
}

/// Whether a kernel that says this stops; it is told to panic when it warns.
fn is_last_word(said: &str) -> bool {
    ["Kernel panic", "Oops", "BUG:", "WARNING:", "blocked"]
        .iter()
        .any(|word| said.contains(word))
}

impl fmt::Display for Grade {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_list() {
        let all = [
            Grade::Works,
            Grade::Errors,
            Grade::Refused,
            Grade::Dead,
            Grade::Hangs,
            Grade::Lost,
        ];
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn each_failure_has_its_grade() {
        let splat = |said: &str| Grade::of(&Failure::Splat(said.to_owned()));
        assert_eq!(
            splat("[ 1.0] Kernel panic - not syncing"),
            Some(Grade::Lost)
        );
        assert_eq!(splat("[ 1.0] PM: failed to suspend"), Some(Grade::Errors));
        let failed = Failure::Failed("status 1".to_owned());
        assert_eq!(Grade::of(&failed), Some(Grade::Errors));
        let late = Failure::TimedOut {
            what: "a sleep".to_owned(),
            limit: std::time::Duration::from_secs(1),
        };
        assert_eq!(Grade::of(&late), Some(Grade::Hangs));
        assert_eq!(Grade::of(&anyhow::anyhow!("no disk space").into()), None);
    }
}
