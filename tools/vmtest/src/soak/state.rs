// SPDX-License-Identifier: GPL-2.0

//! What an endurance run has done so far, kept in a file, and what follows from it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::schedule::{Action, Target};
use vm::table::Table;

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// The number of the round.
    pub(crate) round: u32,
    /// What was done; none if the machine did not come up, or something was wrong at its end.
    pub(crate) action: Option<Action>,
    /// The first line of what went wrong.
    pub(crate) reason: String,
    /// The folder with the logs.
    pub(crate) logs: String,
}

/// What is done and what is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The seed of the rounds.
    pub(crate) seed: u64,
    /// What runs: driver, module, kernel, QEMU. Counts of different things must not be added up.
    pub(crate) subject: String,
    /// What is to be done.
    pub(crate) target: Target,
    /// The number of the next round.
    pub(crate) round: u32,
    /// How often each action was done.
    pub(crate) done: BTreeMap<Action, u32>,
    /// What failed.
    pub(crate) failures: Vec<Failed>,
    /// The time that all of it took, in seconds.
    pub(crate) seconds: f64,
}

impl State {
    /// Nothing is done.
    pub(crate) fn new(seed: u64, subject: String, target: Target) -> Self {
        Self {
            seed,
            subject,
            target,
            round: 0,
            done: BTreeMap::new(),
            failures: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Reads the file, if there is one.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("{} is damaged", path.display()))
    }

    /// Writes the file, all or nothing.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(self)?)
            .and_then(|()| fs::rename(&new, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// How often an action was done.
    pub(crate) fn done(&self, action: Action) -> u32 {
        self.done.get(&action).copied().unwrap_or(0)
    }

    /// How often an action failed.
    fn failed(&self, action: Action) -> u32 {
        let of = self.failures.iter();
        of.filter(|failed| failed.action == Some(action)).count() as u32
    }

    /// Counts an action.
    pub(crate) fn count(&mut self, action: Action) {
        *self.done.entry(action).or_default() += 1;
    }

    /// Whether an action has been done, or tried, as often as is wanted.
    pub(crate) fn has_enough(&self, action: Action) -> bool {
        self.done(action) + self.failed(action) >= self.target.of(action)
    }

    /// Whether all is done.
    pub(crate) fn is_complete(&self) -> bool {
        Action::ALL
            .into_iter()
            .all(|action| self.has_enough(action))
    }

    /// How far it is, in one line.
    pub(crate) fn progress(&self) -> String {
        let parts = Action::ALL
            .map(|action| format!("{action} {}/{}", self.done(action), self.target.of(action)));
        format!(
            "{}, {} failures, {}",
            parts.join(", "),
            self.failures.len(),
            duration(self.seconds)
        )
    }

    /// Counts, failures, and the bound on the rate of failures.
    pub(crate) fn sum_up(&self) -> String {
        let mut table = Table::default();
        table.row(["action", "done", "of", "failed", "rate of failures at 95 %"]);
        for action in Action::ALL {
            let (done, failed) = (self.done(action), self.failed(action));
            table.row([
                action.to_string(),
                done.to_string(),
                self.target.of(action).to_string(),
                failed.to_string(),
                rate(done, failed),
            ]);
        }
        let mut text = format!(
            "{}\nseed {}, {} rounds, {}\n\n{table}",
            self.subject,
            self.seed,
            self.round,
            duration(self.seconds)
        );
        for failed in &self.failures {
            let what = match failed.action {
                Some(action) => action.to_string(),
                None => "the machine".to_owned(),
            };
            text.push_str(&format!(
                "\nround {}, {what}: {}\n  logs in {}\n",
                failed.round, failed.reason, failed.logs
            ));
        }
        text
    }
}

/// The rule of three: n successes and no failure bound the rate by 3/n, with 95 % confidence.
fn rate(done: u32, failed: u32) -> String {
    match (done, failed) {
        // Fewer say nothing.
        (0..=3, 0) => String::new(),
        (_, 0) => format!("less than {:.2} % (3/{done})", 300.0 / f64::from(done)),
        _ => format!("seen: {failed} of {}", done + failed),
    }
}

fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0) as u64;
    format!("{}:{:02} h", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let target = Target {
            suspends: 3,
            test_resumes: 1,
            hibernations: 0,
            storms: 0,
        };
        State::new(5, "rust".to_owned(), target)
    }

    #[test]
    fn complete_is_when_each_target_is_reached() {
        let mut state = state();
        state.count(Action::TestResume);
        state.count(Action::Suspend);
        state.count(Action::Suspend);
        assert!(!state.is_complete());
        state.failures.push(Failed {
            round: 1,
            action: Some(Action::Suspend),
            reason: "never asleep".to_owned(),
            logs: "logs".to_owned(),
        });
        assert!(state.is_complete());
        assert!(
            state.sum_up().contains("seen: 1 of 3"),
            "{}",
            state.sum_up()
        );
    }

    #[test]
    fn the_bound_is_three_by_n() {
        assert_eq!(rate(10_000, 0), "less than 0.03 % (3/10000)");
        assert_eq!(rate(3, 0), "");
        assert_eq!(rate(9, 1), "seen: 1 of 10");
    }

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let path = std::env::temp_dir().join(format!("vmtest-soak-{}.json", std::process::id()));
        assert_eq!(State::load(&path).unwrap(), None);
        let mut state = state();
        state.count(Action::Suspend);
        state.save(&path).unwrap();
        assert_eq!(State::load(&path).unwrap(), Some(state));
        fs::write(&path, "{").unwrap();
        assert!(State::load(&path).is_err());
        fs::remove_file(path).unwrap();
    }
}
