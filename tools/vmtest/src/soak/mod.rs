// SPDX-License-Identifier: GPL-2.0

//! Endurance: rounds of sleep and storms at random, under I/O that is verified.
//!
//! A round is a VM of its own. The machines take turns: each interrupt mode with one and, in every
//! fourth round, with four processors, on `pc`, since QEMU's q35 goes to S3 once a boot only. What
//! is done is counted in a file every few seconds, so that a run can be stopped at any time and
//! goes on later.

mod actions;
mod schedule;
pub(crate) mod state;

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::num::NonZeroUsize;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anstream::println;
use anyhow::{anyhow, bail, Context, Result};

use schedule::{Action, Step, Target};
use state::{Failed, State};
use vm::failure::{Failure, Outcome};
use vm::ktap::Ktap;
use vm::layout::{Board, Interrupts, Layout};
use vm::runner::fresh_folder;
use vm::setup::Setup;
use vm::verdict::Verdict;
use vm::{Vm, BOOT};

/// How often what is done is kept: to write the file may take as long as a sleep.
const SAVE: Duration = Duration::from_secs(5);
/// How often a line tells how far it is.
const PROGRESS: Duration = Duration::from_secs(60);
/// How many failures in a row end a run: something is wrong with all of it.
const FAILURES_IN_A_ROW: usize = 5;

/// The size of the run that is part of the checks.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Size {
    /// Endurance: suspends to memory.
    #[arg(long, default_value_t = 500)]
    suspends: u32,
    /// Endurance: images that are written and resumed at once.
    #[arg(long, default_value_t = 20)]
    test_resumes: u32,
    /// Endurance: hibernations with the power off between.
    #[arg(long, default_value_t = 3)]
    hibernations: u32,
    /// Endurance: storms of each kind.
    #[arg(long, default_value_t = 1)]
    storms: u32,
}

/// What the long run is to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
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
    #[arg(long, default_value_t = 100)]
    storms: u32,
    /// How many VMs run at once; if not given, as many as the machine has processors, but not
    /// more than 8.
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Stop after this many hours; the same command goes on from there.
    #[arg(long)]
    hours: Option<f64>,
    /// Start again instead of going on where the last run stopped.
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
    until: Until,
    progress: Mutex<Progress>,
}

/// How far a run is, for all VMs that are at it.
struct Progress {
    state: State,
    /// When `state` was last written to its file, with the time up to then.
    saved: Instant,
    /// When a line last told how far it is.
    said: Instant,
    /// How many of the last rounds failed.
    in_a_row: usize,
}

impl Progress {
    fn new(state: State) -> Self {
        let now = Instant::now();
        Self {
            state,
            saved: now,
            said: now,
            in_a_row: 0,
        }
    }

    fn save(&mut self, folder: &Path) -> Result<()> {
        self.state.seconds += self.saved.elapsed().as_secs_f64();
        self.saved = Instant::now();
        self.state.save(&Run::file(folder))
    }

    /// Counts a round that failed.
    fn fail(&mut self, round: u32, action: Option<Action>, reason: String, logs: &Path) {
        self.in_a_row += 1;
        self.state.failures.push(Failed {
            round,
            action,
            reason,
            logs: logs.display().to_string(),
        });
    }

    /// Keeps and tells how far it is, if that was some time ago.
    fn go_on(&mut self, folder: &Path) -> Result<()> {
        if self.saved.elapsed() >= SAVE {
            self.save(folder)?;
        }
        if self.said.elapsed() >= PROGRESS {
            self.said = Instant::now();
            eprintln!("soak: {}", self.state.progress());
        }
        Ok(())
    }
}

/// What runs, with a hash of the module.
fn subject(setup: &Setup) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for module in setup.modules(setup.driver) {
        fs::read(&module)
            .with_context(|| format!("cannot read {}", module.display()))?
            .hash(&mut hasher);
    }
    let own = &setup.machine.qemu;
    let several = setup.qemu(&Layout::new(
        Board::usual(setup.machine.arch),
        Interrupts::PerQueue,
        2,
    ))?;
    let qemu = match own.version == several.version {
        true => own.version.clone(),
        false => format!(
            "{}, {} for several processors",
            own.version, several.version
        ),
    };
    Ok(format!(
        "driver {} (module {:016x}) on Linux {}, QEMU {qemu} ({})",
        setup.driver,
        hasher.finish(),
        setup.machine.kernel_release,
        setup.accel.name()
    ))
}

impl Run<'_> {
    fn file(folder: &Path) -> PathBuf {
        folder.join("state.json")
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rounds until all is done or it is to end, in that many VMs at once.
    fn go(&self, jobs: usize) -> Result<()> {
        let outcome = thread::scope(|scope| {
            let rounds = || {
                let outcome = self.rounds();
                if outcome.is_err() {
                    self.until.stopped.store(true, Ordering::Relaxed);
                }
                outcome
            };
            let jobs: Vec<_> = (0..jobs).map(|_| scope.spawn(rounds)).collect();
            let ended = jobs.into_iter().map(|job| {
                job.join()
                    .unwrap_or_else(|_| Err(anyhow!("a VM's thread panicked")))
            });
            ended.collect::<Vec<_>>().into_iter().collect()
        });
        self.progress().save(&self.folder)?;
        outcome
    }

    /// One round after the other.
    fn rounds(&self) -> Result<()> {
        loop {
            let number = {
                let mut progress = self.progress();
                if progress.state.is_complete() || self.until.is_over() {
                    return Ok(());
                }
                if progress.in_a_row >= FAILURES_IN_A_ROW {
                    eprintln!("soak: {FAILURES_IN_A_ROW} rounds in a row failed: this run ends");
                    return Ok(());
                }
                let number = progress.state.round;
                progress.state.round += 1;
                number
            };
            // What a panic says was printed.
            catch_unwind(AssertUnwindSafe(|| self.round(number))).unwrap_or_else(|_| {
                let mut progress = self.progress();
                progress.fail(number, None, "a panic of vmtest".to_owned(), &self.folder);
                progress.save(&self.folder)?;
                Err(anyhow!("a VM's thread panicked"))
            })?;
        }
    }

    /// One round: what is wanted of its steps, and the check at its end.
    fn round(&self, number: u32) -> Result<()> {
        let mut ahead = self.progress().state.clone();
        let mut round = schedule::round(ahead.seed, number, &ahead.target);
        // As many as are left to do.
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
        let mut progress = self.progress();
        match outcome {
            Ok(()) => {
                progress.in_a_row = 0;
                let _ = fs::remove_dir_all(&dir);
            }
            // No later round would get further.
            Err(lacks @ Failure::Lacks(_)) => return Err(lacks.into()),
            Err(failure) => {
                let text = failure.to_string();
                eprintln!("soak: round {number}, {}: {text}", dir.display());
                let reason = text.lines().take(2).collect::<Vec<_>>().join(" ");
                progress.fail(number, current, reason, &dir);
            }
        }
        progress.save(&self.folder)
    }

    fn in_vm(
        &self,
        layout: &Layout,
        dir: &Path,
        steps: &[Step],
        current: &mut Option<Action>,
    ) -> Outcome {
        let mut vm = Vm::boot(self.setup, layout, dir, BOOT)?;
        let outcome = self.steps(&mut vm, steps, current);
        for note in vm.take_notes() {
            eprintln!("soak: {}: {note}", dir.display());
        }
        outcome.map_err(|failure| vm.explained(failure))
    }

    fn steps(&self, vm: &mut Vm, steps: &[Step], current: &mut Option<Action>) -> Outcome {
        let before = actions::begin(vm)?;
        let mut last = None;
        for step in steps {
            if self.until.is_over() {
                break;
            }
            // Another VM may have done it by now.
            if self.progress().state.has_enough(step.action) {
                continue;
            }
            if last == Some(Action::Suspend) && step.action != Action::Suspend {
                // What they have broken, the step might mend.
                *current = last;
                actions::check_all(vm)?;
            }
            *current = Some(step.action);
            actions::step(vm, *step, &before)?;
            last = *current;
            let mut progress = self.progress();
            progress.state.count(step.action);
            progress.go_on(&self.folder)?;
        }
        *current = last;
        actions::check_all(vm)?;
        *current = None;
        actions::end(vm)
    }
}

/// The long run; whether all that was done so far is good.
pub fn run(setup: &Setup, options: &Options) -> Result<bool> {
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
             Start again with --fresh",
            path.display(),
            state.subject,
            state.seed,
            options.seed
        ),
        Some(state) if options.round.is_none() => state,
        _ => State::new(options.seed, subject, target),
    };
    state.target = target;
    let mut run = Run {
        setup,
        folder,
        until: until(options.hours)?,
        progress: Mutex::new(Progress::new(state)),
    };
    eprintln!(
        "soak: Ctrl-C ends it after the actions under way; the same command goes on from there"
    );
    match options.round {
        Some(number) => {
            run.folder = run.folder.join("repeated");
            fs::create_dir_all(&run.folder)?;
            run.round(number)?;
        }
        None => {
            let processors = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
            let jobs = options.jobs.map(NonZeroUsize::get);
            run.go(jobs.unwrap_or_else(|| processors().min(8)))?;
        }
    }
    let state = &run.progress().state;
    println!("{}", state.sum_up());
    if !state.is_complete() && options.round.is_none() {
        println!("not complete: the same command goes on");
    }
    Ok(state.failures.is_empty() && Action::ALL.iter().any(|&action| state.done(action) > 0))
}

/// Ends at Ctrl-C, and after the hours that were asked for.
fn until(hours: Option<f64>) -> Result<Until> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = stopped.clone();
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("soak: ending after the actions under way; once more to end at once");
    })
    .context("cannot catch Ctrl-C")?;
    let deadline = hours.map(|hours| Instant::now() + Duration::from_secs_f64(hours * 3600.0));
    Ok(Until { stopped, deadline })
}

/// The short run of the checks, one VM after the other, until it is stopped.
pub(crate) fn short(setup: &Setup, size: &Size, stopped: &Arc<AtomicBool>) -> Result<State> {
    let target = Target {
        suspends: size.suspends,
        test_resumes: size.test_resumes,
        hibernations: size.hibernations,
        storms: size.storms,
    };
    let run = Run {
        setup,
        folder: fresh_folder(&setup.logs, "soak-short")?,
        until: Until {
            stopped: stopped.clone(),
            deadline: None,
        },
        progress: Mutex::new(Progress::new(State::new(1, subject(setup)?, target))),
    };
    run.go(1)?;
    let state = run.progress().state.clone();
    Ok(state)
}

/// Its one result.
pub(crate) fn report<W: Write>(run: &Result<State>, ktap: &mut Ktap<W>) -> Result<()> {
    let is_good = |state: &State| state.is_complete() && state.failures.is_empty();
    let verdict = match run {
        Ok(state) => {
            ktap.note(&state.sum_up())?;
            Verdict::of(is_good(state))
        }
        Err(error) => {
            ktap.note(&format!("{error:#}"))?;
            let lacks = error.downcast_ref::<Failure>();
            lacks.map_or(Verdict::NotRun(format!("{error:#}")), Verdict::from)
        }
    };
    Ok(ktap.outcome(&verdict, "endurance")?)
}
