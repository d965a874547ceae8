// SPDX-License-Identifier: GPL-2.0

//! What a part of a test counts for.

use crate::failure::{Failure, Outcome};

/// What a part of a test counts for, with the reason in one line where it did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It did what it must.
    Passed,
    /// It did not, and the kernel or the driver is at fault.
    Failed(String),
    /// Something did not come in its time.
    TimedOut(String),
    /// The VM was lost, and what it was to show is not known.
    Lost(String),
    /// The harness or the host kept it from running.
    NotRun(String),
    /// It fails, and that is known.
    Known(String),
    /// It cannot be tried here.
    Skipped(String),
}

impl Verdict {
    /// That of a test without more to say.
    pub fn of(passed: bool) -> Self {
        match passed {
            true => Self::Passed,
            false => Self::Failed(String::new()),
        }
    }

    /// That of a test whose parts have these.
    pub fn of_all<'a>(parts: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let failed = parts.clone().filter(|part| part.is_bad()).count();
        let mut others = parts.clone().filter(|part| !part.is_skip());
        match (failed, others.next(), parts.clone().next()) {
            (0, Some(_), _) => Self::Passed,
            (0, None, Some(first)) => Self::Skipped(first.reason().to_owned()),
            (0, None, None) => Self::NotRun("it has no parts".to_owned()),
            (failed, _, _) => Self::Failed(format!("{failed} of {} parts", parts.count())),
        }
    }

    /// Whether something is wrong that was not known.
    pub fn is_bad(&self) -> bool {
        !matches!(self, Self::Passed | Self::Known(_) | Self::Skipped(_))
    }

    /// Whether it is neither a pass nor a failure.
    pub fn is_skip(&self) -> bool {
        matches!(self, Self::Known(_) | Self::Skipped(_))
    }

    /// Why it did not pass.
    pub fn reason(&self) -> &str {
        match self {
            Self::Passed => "",
            Self::Failed(why)
            | Self::TimedOut(why)
            | Self::Lost(why)
            | Self::NotRun(why)
            | Self::Known(why)
            | Self::Skipped(why) => why,
        }
    }
}

impl From<&Failure> for Verdict {
    fn from(failure: &Failure) -> Self {
        let text = failure.to_string();
        let text = text.split_once(": ").map_or(text.as_str(), |(_, why)| why);
        let mut lines = text.lines();
        let mut why = lines.next().unwrap_or_default().to_owned();
        if let (Failure::Splat(_), Some(first)) = (failure, lines.next()) {
            why = format!("{why} {first}");
        }
        match failure {
            Failure::TimedOut { .. } => Self::TimedOut(why),
            Failure::LostVm(_) => Self::Lost(why),
            Failure::NoResults(_) | Failure::Harness(_) => Self::NotRun(why),
            Failure::Known { why, .. } => Self::Known(format!("known failure: {why}")),
            Failure::Lacks(why) => Self::Skipped(why.clone()),
            Failure::Splat(_) | Failure::Tainted(_) | Failure::Awake(_) | Failure::Failed(_) => {
                Self::Failed(why)
            }
        }
    }
}

impl From<&Outcome> for Verdict {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Ok(()) => Self::Passed,
            Err(failure) => failure.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_failure_has_its_verdict() {
        let late = Failure::TimedOut {
            what: "a sleep".to_owned(),
            limit: Duration::from_secs(3),
        };
        let why = "a sleep took longer than 3 s".to_owned();
        assert_eq!(Verdict::from(&late), Verdict::TimedOut(why));
        let known = Failure::Known {
            why: "it waits".to_owned(),
            failure: Box::new(late),
        };
        let verdict = Verdict::from(&known);
        assert_eq!(verdict.reason(), "known failure: it waits");
        assert!(verdict.is_skip() && !verdict.is_bad());
        let failed = Failure::Failed("status 1\nmore".to_owned());
        assert_eq!(
            Verdict::from(&failed),
            Verdict::Failed("status 1".to_owned())
        );
        let splat = Failure::Splat("[ 1.0] Oops: 0002\nmore".to_owned());
        let verdict = Verdict::from(&splat);
        assert_eq!(verdict.reason(), "the kernel log has [ 1.0] Oops: 0002");
        for (failure, expected) in [
            (
                Failure::LostVm("a".to_owned()),
                Verdict::Lost("the VM went away while a".to_owned()),
            ),
            (
                Failure::NoResults("b".to_owned()),
                Verdict::NotRun("b".to_owned()),
            ),
            (
                Failure::Harness(anyhow::anyhow!("c")),
                Verdict::NotRun("c".to_owned()),
            ),
            (
                Failure::Lacks("d".to_owned()),
                Verdict::Skipped("d".to_owned()),
            ),
        ] {
            assert_eq!(Verdict::from(&failure), expected);
        }
    }

    #[test]
    fn a_test_is_as_good_as_its_parts() {
        let (passed, failed) = (Verdict::Passed, Verdict::Failed("x".to_owned()));
        let (lost, skipped) = (
            Verdict::Lost("y".to_owned()),
            Verdict::Skipped("z".to_owned()),
        );
        let of = |parts: &[&Verdict]| Verdict::of_all(parts.iter().copied());
        assert_eq!(of(&[&passed, &skipped]), passed);
        assert_eq!(of(&[&skipped, &skipped]), skipped);
        for parts in [&[&passed, &failed][..], &[&skipped, &lost]] {
            assert!(of(parts).is_bad());
        }
        assert!(of(&[]).is_bad());
    }
}
