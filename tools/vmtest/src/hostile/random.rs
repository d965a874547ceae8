// SPDX-License-Identifier: GPL-2.0

//! Scenarios made from a seed, and the search for the smallest one that fails.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use scripted::{Deed, Lie, Target, Time};
use virtio_check::access::Register;

use super::scenario::{Device, Expected, Scenario};

/// How many smaller scenarios are tried.
const TRIES: u32 = 15;
/// Values that are at the edge of something.
const EDGES: [u64; 12] = [
    0,
    1,
    2,
    3,
    0x0f,
    0x40,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0xffff_ffff,
];

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => prop::sample::select(EDGES.as_slice()),
        1 => any::<u32>().prop_map(u64::from),
    ]
}

fn times() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![1 => Just(None), 1 => (1..4_u32).prop_map(Some)]
}

fn a_read() -> impl Strategy<Value = (Target, Deed)> {
    let register = prop::sample::select(vec![
        Register::HostFeatures,
        Register::QueueNum,
        Register::QueuePfn,
        Register::Status,
        Register::Isr,
        Register::ConfigVector,
        Register::QueueVector,
    ]);
    let target = prop_oneof![
        6 => register.prop_map(Target::Register),
        1 => Just(Target::StatusAfterReset),
        1 => Just(Target::Config),
        1 => Just(Target::Any),
    ];
    let deed = prop_oneof![
        4 => value().prop_map(Deed::Value),
        2 => value().prop_map(Deed::Set),
        2 => value().prop_map(Deed::Clear),
        1 => Just(Deed::Counts),
        1 => any::<u8>().prop_map(Deed::Interrupt),
        1 => Just(Deed::Gone),
    ];
    (target, deed)
}

fn a_write() -> impl Strategy<Value = (Target, Deed)> {
    let target = prop::sample::select(vec![
        Register::Status,
        Register::GuestFeatures,
        Register::QueueSel,
        Register::QueuePfn,
        Register::QueueVector,
        Register::ConfigVector,
        Register::QueueNotify,
    ]);
    let deed = prop_oneof![
        2 => any::<u8>().prop_map(Deed::Interrupt),
        2 => Just(Deed::Dropped),
        1 => (any::<u8>(), 1..500_u32).prop_map(|(isr, count)| Deed::Storm(isr, count)),
        1 => Just(Deed::Reset),
        1 => any::<u32>().prop_map(Deed::UsedId),
        1 => Just(Deed::Gone),
    ];
    (target.prop_map(Target::Register), deed)
}

fn a_lie() -> impl Strategy<Value = Lie> {
    let time = prop::sample::select(Time::ALL.as_slice());
    let what = prop_oneof![
        2 => a_read().prop_map(|what| (false, what)),
        1 => a_write().prop_map(|what| (true, what)),
    ];
    (time, what, times()).prop_map(|(time, (write, (target, deed)), times)| Lie {
        time,
        write,
        target,
        deed,
        times,
    })
}

/// A device, an interrupt mode and lies.
///
/// The virtio driver of disks cannot be taken from one that never answers, and that of consoles
/// waits for one with a lock held: that is theirs, so the one is left out, and the other idle.
fn a_scenario() -> impl Strategy<Value = (Device, bool, Vec<Lie>)> {
    let device = prop_oneof![3 => Just(Device::Rng), 1 => Just(Device::Console)];
    (device, any::<bool>(), prop::collection::vec(a_lie(), 1..5))
}

fn named(seed: u64, (device, intx, lies): (Device, bool, Vec<Lie>)) -> Scenario {
    Scenario {
        name: format!("seed {seed}"),
        device,
        only_msix: Some(!intx),
        lies,
        expected: Expected::Survives,
        event: None,
        says: None,
        powers_off: false,
        sleeps: true,
        unwatched: false,
        idle: device == Device::Console,
        checked: false,
        stricter: None,
    }
}

/// What came of a seed.
pub(super) struct Found {
    /// The scenario of the seed.
    pub(super) scenario: Scenario,
    /// What is wrong, and the smallest scenario that was found to go wrong.
    pub(super) wrong: Option<(String, Scenario)>,
}

/// Runs the scenario of a seed; if it goes wrong, looks for a smaller one and writes it to a file.
///
/// `run` tells what is wrong with what came of a scenario.
pub(super) fn run(
    seed: u64,
    logs: &Path,
    mut run: impl FnMut(&Scenario) -> Result<Option<String>>,
) -> Result<Found> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let tree = a_scenario().new_tree(&mut runner);
    let mut tree = tree.map_err(|reason| anyhow::anyhow!("seed {seed}: {reason}"))?;
    let scenario = named(seed, tree.current());
    let Some(mut text) = run(&scenario)? else {
        return Ok(Found {
            scenario,
            wrong: None,
        });
    };
    let mut smallest = scenario.clone();
    let mut more = tree.simplify();
    for _ in 0..TRIES {
        if !more {
            break;
        }
        let smaller = named(seed, tree.current());
        more = match run(&smaller)? {
            Some(wrong) => {
                (text, smallest) = (wrong, smaller);
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    let path = logs.join(format!("seed-{seed}.txt"));
    fs::write(&path, smallest.to_string())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Found {
        scenario,
        wrong: Some((text, smallest)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario_of(seed: u64) -> Scenario {
        run(seed, Path::new(""), |_| Ok(None)).unwrap().scenario
    }

    #[test]
    fn a_seed_gives_one_scenario() {
        assert_eq!(scenario_of(7), scenario_of(7));
        assert_ne!(scenario_of(7).lies, scenario_of(8).lies);
    }

    #[test]
    fn every_register_read_is_lied_about() {
        let mut targets: Vec<String> = Vec::new();
        for seed in 0..500 {
            let lies = scenario_of(seed).lies.into_iter();
            targets.extend(
                lies.filter(|lie| !lie.write)
                    .map(|lie| lie.target.to_string()),
            );
        }
        targets.sort();
        targets.dedup();
        assert_eq!(targets.len(), 10, "{targets:?}");
    }

    #[test]
    fn a_failure_is_shrunk_to_what_matters() {
        let fails = |scenario: &Scenario| {
            let bad = |lie: &Lie| lie.target == Target::Register(Register::QueueNum);
            Ok(scenario.lies.iter().any(bad).then(|| "bad".to_owned()))
        };
        let seed = (0..).find(|&seed| {
            let scenario = scenario_of(seed);
            scenario.lies.len() > 2 && fails(&scenario).unwrap().is_some()
        });
        let dir = tempfile::tempdir().unwrap();
        let seed = seed.unwrap();
        let (_, smallest) = run(seed, dir.path(), fails).unwrap().wrong.unwrap();
        assert_eq!(smallest.lies.len(), 1);
        let file = fs::read_to_string(dir.path().join(format!("seed-{seed}.txt"))).unwrap();
        assert_eq!(Scenario::parse_all(&file).unwrap(), [smallest]);
    }
}
