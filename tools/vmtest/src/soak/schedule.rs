// SPDX-License-Identifier: GPL-2.0

//! What a round does: a function of the seed and of the round's number, and of nothing else.

use std::fmt;

use rand::distr::weighted::WeightedIndex;
use rand::distr::Distribution;
use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::SeedableRng;
use serde::{Deserialize, Serialize};

use vm::layout::{Board, Interrupts, Kind, Layout};

/// How many actions a round has.
pub(super) const ROUND: usize = 200;

/// The devices that are plugged and bound in storms, while the disks have work.
const STORMED: [Kind; 4] = [Kind::Blk4, Kind::Net, Kind::Console, Kind::Rng];

/// A kind of action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    /// Suspend to memory.
    Suspend,
    /// An image that is written and resumed at once.
    TestResume,
    /// Hibernation with the power off between.
    Hibernate,
    /// A device is pulled out and plugged in, several times.
    PlugStorm,
    /// A device is unbound and bound, several times.
    BindStorm,
    /// The module is removed and loaded, several times.
    ReloadStorm,
}

impl Action {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Suspend,
        Self::TestResume,
        Self::Hibernate,
        Self::PlugStorm,
        Self::BindStorm,
        Self::ReloadStorm,
    ];
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Suspend => "suspend to memory",
            Self::TestResume => "test_resume",
            Self::Hibernate => "hibernation",
            Self::PlugStorm => "hot-plug storm",
            Self::BindStorm => "bind storm",
            Self::ReloadStorm => "reload storm",
        })
    }
}

/// How many of each action there are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// Suspends to memory.
    pub(crate) suspends: u32,
    /// Images that are resumed at once.
    pub(crate) test_resumes: u32,
    /// Hibernations with the power off.
    pub(crate) hibernations: u32,
    /// Storms of each kind.
    pub(crate) storms: u32,
}

impl Target {
    /// Of one action.
    pub(crate) fn of(&self, action: Action) -> u32 {
        match action {
            Action::Suspend => self.suspends,
            Action::TestResume => self.test_resumes,
            Action::Hibernate => self.hibernations,
            Action::PlugStorm | Action::BindStorm | Action::ReloadStorm => self.storms,
        }
    }
}

/// A step of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) action: Action,
    /// The device of a storm.
    pub(super) kind: Kind,
}

/// A round: a machine, and what is done with it.
pub(super) struct Round {
    pub(super) layout: Layout,
    pub(super) steps: Vec<Step>,
}

/// The machine and the steps of a round. Actions come as often as the target has them.
pub(super) fn round(seed: u64, number: u32, target: &Target) -> Round {
    let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(u64::from(number) << 32));
    // All machines come in twelve rounds, every interrupt mode in the first three. On a small host
    // four processors are interpreted so slowly, next to each other above all, that with one they
    // do three times as much in the same time.
    let interrupts = [Interrupts::PerQueue, Interrupts::Shared, Interrupts::Intx];
    let cpus = [4, 1, 1, 1];
    let place = number as usize;
    let layout = Layout::new(
        Board::Pc,
        interrupts[place % interrupts.len()],
        cpus[place % cpus.len()],
    )
    .with_kinds(&Kind::FROZEN)
    .with_swap();
    let weights = WeightedIndex::new(Action::ALL.map(|action| target.of(action)));
    let steps = (0..ROUND).filter_map(|_| {
        let action = Action::ALL[weights.as_ref().ok()?.sample(&mut random)];
        let kind = *STORMED.choose(&mut random)?;
        Some(Step { action, kind })
    });
    Round {
        steps: steps.collect(),
        layout,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TARGET: Target = Target {
        suspends: 100,
        test_resumes: 10,
        hibernations: 1,
        storms: 2,
    };

    #[test]
    fn a_seed_and_a_number_give_the_same_round() {
        let steps = |seed, number| round(seed, number, &TARGET).steps;
        assert_eq!(steps(1, 3), steps(1, 3));
        assert_ne!(steps(1, 3), steps(1, 4));
        assert_ne!(steps(1, 3), steps(2, 3));
    }

    #[test]
    fn every_machine_and_every_action_has_its_turn() {
        let rounds: Vec<_> = (0..60).map(|number| round(7, number, &TARGET)).collect();
        let first = |count: usize| rounds.iter().take(count).map(|round| &round.layout);
        let modes: HashSet<_> = first(3)
            .map(|layout| layout.interrupts.to_string())
            .collect();
        assert_eq!(modes.len(), 3);
        assert!(first(3).any(|layout| layout.cpus > 1));
        let mut machines: Vec<_> = rounds
            .iter()
            .map(|round| format!("{}-{}", round.layout.interrupts, round.layout.cpus))
            .collect();
        machines.sort();
        machines.dedup();
        assert_eq!(machines.len(), 6);
        for action in Action::ALL {
            let steps = rounds.iter().flat_map(|round| &round.steps);
            let count = steps.filter(|step| step.action == action).count();
            assert!(count > 0, "{action}");
        }
    }

    #[test]
    fn what_is_not_wanted_does_not_come() {
        let target = Target {
            storms: 0,
            hibernations: 0,
            ..TARGET
        };
        let steps = (0..20).flat_map(|number| round(1, number, &target).steps);
        assert!(steps.into_iter().all(|step| target.of(step.action) > 0));
        let nothing = Target {
            suspends: 0,
            test_resumes: 0,
            hibernations: 0,
            storms: 0,
        };
        assert!(round(1, 0, &nothing).steps.is_empty());
    }
}
