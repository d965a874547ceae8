// SPDX-License-Identifier: GPL-2.0

//! Endurance: rounds of sleep and storms at random, under I/O that is verified.
//!
//! A round is a VM of its own. The machines take turns: each interrupt mode with one and with four
//! processors, on `pc`, since QEMU's q35 goes to S3 once a boot only. What is done is counted in a
//! file after each action, so that a run can be stopped at any time and goes on later.

mod actions;
mod schedule;
mod state;

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use crate::failure::Outcome;
use crate::ktap::Ktap;
use crate::runner::fresh_folder;
use crate::setup::Setup;
use crate::vm::{Vm, BOOT};
use schedule::{Action, Target};
use state::{Failed, State};

/// How often a line tells how far it is.
const PROGRESS: Duration = Duration::from_secs(60);
/// How many failures in a row end a run: something is wrong with all of it.
const FAILURES_IN_A_ROW: usize = 5;

/// The size of the run that is part of the checks.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Size {
    /// Endurance: suspends to memory.
    #[arg(long, default_value_t = 20)]
    suspends: u32,
    /// Endurance: images that are written and resumed at once.
    #[arg(long, default_value_t = 2)]
    test_resumes: u32,
    /// Endurance: hibernations with the power off between.
    #[arg(long, default_value_t = 1)]
    hibernations: u32,
    /// Endurance: storms of each kind.
    #[arg(long, default_value_t = 1)]
    storms: u32,
}

/// What the long run is to do.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The seed of everything that is left to chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Suspends to memory.
    #[arg(long, default_value_t = 10_000)]
    suspends: u32,
    /// Images that are written and resumed at once.
    #[arg(long, default_value_t = 1_000)]
    test_resumes: u32,
    /// Hibernations with the power off between.
    #[arg(long, default_value_t = 100)]
    hibernations: u32,
    /// Storms of each kind: hot-plug, bind, module reload.
    #[arg(long, default_value_t = 200)]
    storms: u32,
    /// Stop after this many hours; the same command goes on from there.
    #[arg(long)]
    hours: Option<f64>,
    /// Begin anew instead of going on where the last run stopped.
    #[arg(long)]
    fresh: bool,
    /// Only print what has been done so far.
    #[arg(long, conflicts_with_all = ["fresh", "round"])]
    sum_up: bool,
    /// Only repeat this round, with these target numbers; what it does is not counted.
    #[arg(long)]
    round: Option<u32>,
}

/// What may end a run before it is complete.
struct Until {
    stopped: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Until {
    fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
            || self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// A run in a folder of the logs.
struct Run<'a> {
    setup: &'a Setup,
    folder: PathBuf,
    state: State,
    until: Until,
    /// When the time that `state` counts was brought up to date.
    counted: Instant,
    said: Instant,
}

/// What runs, with a hash of the module.
fn subject(setup: &Setup) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for module in setup.modules(setup.driver) {
        fs::read(&module)
            .with_context(|| format!("cannot read {}", module.display()))?
            .hash(&mut hasher);
    }
    Ok(format!(
        "driver {} (module {:016x}) on Linux {}, QEMU {} ({})",
        setup.driver,
        hasher.finish(),
        setup.machine.kernel_release,
        setup.machine.qemu_version,
        setup.accel.name()
    ))
}

impl Run<'_> {
    fn file(folder: &Path) -> PathBuf {
        folder.join("state.json")
    }

    fn save(&mut self) -> Result<()> {
        self.state.seconds += self.counted.elapsed().as_secs_f64();
        self.counted = Instant::now();
        self.state.save(&Self::file(&self.folder))?;
        if self.said.elapsed() >= PROGRESS {
            self.said = Instant::now();
            eprintln!("soak: {}", self.state.progress());
        }
        Ok(())
    }

    /// Rounds until all is done or it is to end.
    fn go(&mut self) -> Result<()> {
        let mut in_a_row = 0;
        while !self.state.is_complete() && !self.until.is_over() {
            let number = self.state.round;
            let failures = self.state.failures.len();
            self.round(number)?;
            self.state.round += 1;
            self.save()?;
            if self.state.failures.len() == failures {
                in_a_row = 0;
            } else {
                in_a_row += 1;
            }
            if in_a_row == FAILURES_IN_A_ROW {
                eprintln!("soak: {in_a_row} rounds in a row failed: this run ends here");
                break;
            }
        }
        Ok(())
    }

    /// One round: what is wanted of its steps, and the check at its end.
    fn round(&mut self, number: u32) -> Result<()> {
        let mut round = schedule::round(self.state.seed, number, &self.state.target);
        // As many as are left to do.
        let mut ahead = self.state.clone();
        round.steps.retain(|step| {
            let wanted = !ahead.has_enough(step.action);
            ahead.count(step.action);
            wanted
        });
        if round.steps.is_empty() {
            return Ok(());
        }
        let (layout, steps) = (round.layout, round.steps);
        let name = format!("round-{number}-{}-{}cpu", layout.interrupts, layout.cpus);
        let dir = fresh_folder(&self.folder, &name)?;
        let mut current = None;
        let outcome = self.in_vm(&layout, &dir, &steps, &mut current);
        Vm::tidy(&dir);
        match outcome {
            Ok(()) => {
                let _ = fs::remove_dir_all(&dir);
            }
            Err(failure) => {
                let text = failure.to_string();
                eprintln!("soak: round {number}, {}: {text}", dir.display());
                self.state.failures.push(Failed {
                    round: number,
                    action: current,
                    reason: text.lines().take(2).collect::<Vec<_>>().join(" "),
                    logs: dir.display().to_string(),
                });
            }
        }
        Ok(())
    }

    fn in_vm(
        &mut self,
        layout: &crate::layout::Layout,
        dir: &Path,
        steps: &[schedule::Step],
        current: &mut Option<Action>,
    ) -> Outcome {
        let mut vm = Vm::boot(self.setup, layout, dir, BOOT)?;
        let outcome = self.steps(&mut vm, steps, current);
        outcome.map_err(|failure| vm.explained(failure))
    }

    fn steps(
        &mut self,
        vm: &mut Vm,
        steps: &[schedule::Step],
        current: &mut Option<Action>,
    ) -> Outcome {
        let before = actions::begin(vm)?;
        for step in steps {
            if self.until.is_over() {
                break;
            }
            *current = Some(step.action);
            actions::step(vm, *step, &before)?;
            *current = None;
            self.state.count(step.action);
            self.save()?;
        }
        actions::end(vm)
    }
}

/// The long run; whether all that was done so far is good.
pub(crate) fn run(setup: &Setup, options: &Options) -> Result<bool> {
    let folder = setup.logs.join("soak");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = Run::file(&folder);
    let subject = subject(setup)?;
    let target = Target {
        suspends: options.suspends,
        test_resumes: options.test_resumes,
        hibernations: options.hibernations,
        storms: options.storms,
    };
    let old = if options.fresh {
        None
    } else {
        State::load(&path)?
    };
    if options.sum_up {
        let state = old.context("there is nothing to sum up: no run was begun")?;
        println!("{}", state.sum_up());
        return Ok(state.failures.is_empty());
    }
    let mut state = match old {
        Some(state) if state.subject != subject || state.seed != options.seed => bail!(
            "{} is about another run: {}, seed {}; now it is {subject}, seed {}. \
             Begin anew with --fresh",
            path.display(),
            state.subject,
            state.seed,
            options.seed
        ),
        Some(state) if options.round.is_none() => state,
        _ => State::new(options.seed, subject, target),
    };
    state.target = target;
    let mut run = begin(setup, folder, state, options.hours)?;
    eprintln!(
        "soak: Ctrl-C ends it after the action under way; the same command goes on from there"
    );
    match options.round {
        Some(number) => {
            run.folder = run.folder.join("repeated");
            fs::create_dir_all(&run.folder)?;
            run.round(number)?;
        }
        None => run.go()?,
    }
    println!("{}", run.state.sum_up());
    if !run.state.is_complete() && options.round.is_none() {
        println!("not complete: the same command goes on");
    }
    Ok(run.state.failures.is_empty()
        && Action::ALL.iter().any(|&action| run.state.done(action) > 0))
}

fn begin(setup: &Setup, folder: PathBuf, state: State, hours: Option<f64>) -> Result<Run<'_>> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = stopped.clone();
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("soak: ending after the action under way; once more to end at once");
    })
    .context("cannot catch Ctrl-C")?;
    let deadline = hours.map(|hours| Instant::now() + Duration::from_secs_f64(hours * 3600.0));
    Ok(Run {
        setup,
        folder,
        state,
        until: Until { stopped, deadline },
        counted: Instant::now(),
        said: Instant::now(),
    })
}

/// The short run of the checks: one result.
pub(crate) fn report<W: Write>(setup: &Setup, size: &Size, ktap: &mut Ktap<W>) -> Result<()> {
    let target = Target {
        suspends: size.suspends,
        test_resumes: size.test_resumes,
        hibernations: size.hibernations,
        storms: size.storms,
    };
    let folder = fresh_folder(&setup.logs, "soak-short")?;
    let state = State::new(1, subject(setup)?, target);
    let mut run = Run {
        setup,
        folder,
        state,
        until: Until {
            stopped: Arc::default(),
            deadline: None,
        },
        counted: Instant::now(),
        said: Instant::now(),
    };
    run.go()?;
    let good = run.state.is_complete() && run.state.failures.is_empty();
    ktap.result(good, "endurance")?;
    ktap.note(&run.state.sum_up())?;
    Ok(())
}
