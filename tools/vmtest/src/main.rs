// SPDX-License-Identifier: GPL-2.0

//! Runs the tests that need a VM: `vmtest help` lists what it can do.

use std::process::ExitCode;

use anstream::println;
use anyhow::{bail, ensure, Result};
use clap::{Parser, Subcommand};
use machine::Variant;

use vm::driver::{Accel, Driver};
use vm::layout::{Board, Interrupts, Layout};
use vm::setup::{Setup, Wish};
use vm::{accel, runner};
use vmtest::tests::Cycles;
use vmtest::{bench, check, hostile, kernels, main_job, shell, soak, system, tests, trace_sleep};

/// Tests of the legacy virtio PCI transport in a VM.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    wish: Wish,
    /// How QEMU runs the guest; KVM only if a probe guest answers.
    #[arg(
        long,
        env = "ACCEL",
        default_value = "tcg",
        global = true,
        ignore_case = true
    )]
    accel: Accel,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sets up the test machine: packages, kernel, QEMU.
    Setup,
    /// Lists the tests, one line each.
    List {
        /// Their parts, too.
        #[arg(long)]
        cells: bool,
    },
    /// Runs the tests whose names contain one of the words.
    Run {
        /// Parts of names, as of TEST or of TEST/PART.
        #[arg(required = true)]
        names: Vec<String>,
        /// Print the QEMU commands and run nothing.
        #[arg(long)]
        print_command: bool,
        #[command(flatten)]
        cycles: Cycles,
    },
    /// The main job: devices, I/O, every kind of sleep, comparison with the C driver.
    Vm,
    /// Every test, each kind of sleep many times.
    Matrix,
    /// Compares the register accesses of the two drivers.
    Compare,
    /// Records one suspend and one hibernation for Perfetto and sleepgraph.
    TraceSleep,
    /// Devices that misbehave, on both drivers.
    Hostile(hostile::Options),
    /// Devices that misbehave in ways made from seeds.
    Random(hostile::Seeds),
    /// Measures what the two drivers cost.
    Bench {
        #[command(flatten)]
        wish: bench::Wish,
    },
    /// Builds the module for kernels of many configurations.
    Kernels(kernels::Options),
    /// Tests the harness itself.
    Selftest,
    /// Everything that continuous integration runs.
    Check {
        /// How much of the endurance run it has.
        #[command(flatten)]
        size: soak::Size,
    },
    /// Endurance: sleep, hot-plug, bind and reload at random, for hours; goes on where it stopped.
    Soak(soak::Options),
    /// Makes the packages for Debian.
    Deb,
    /// A real system on the module: Debian, its package, every kind of sleep.
    System(system::Options),
    /// Boots the real system and gives a shell in it.
    SystemShell,
    /// Boots a VM with the driver loaded and gives a shell in it.
    Shell {
        /// The kind of machine [the usual one of the architecture].
        #[arg(long)]
        board: Option<Board>,
        /// The interrupts that the devices offer.
        #[arg(long, default_value = "msix")]
        interrupts: Interrupts,
        /// How many processors the machine has.
        #[arg(long, default_value_t = 2)]
        cpus: u8,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("vmtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<bool> {
    let Arguments {
        wish,
        accel,
        command,
    } = arguments;
    if let Command::List { cells } = command {
        tests::list(cells);
        return Ok(true);
    }
    let has_results = !matches!(
        command,
        Command::Deb
            | Command::System(_)
            | Command::SystemShell
            | Command::Shell { .. }
            | Command::TraceSleep
    );
    if wish.outputs.is_wanted() && !has_results {
        bail!("--junit and --kcidb are for tests: run this without them");
    }
    match &command {
        Command::Deb => return system::make_packages().map(|()| true),
        Command::System(options) => return system::run(options),
        Command::SystemShell => return system::run_shell(wish.driver).map(|()| true),
        _ => {}
    }
    let both = match command {
        Command::Compare => Some("compares both drivers"),
        Command::Bench { .. } => Some("measures both drivers"),
        Command::Kernels(_) => Some("builds this repository's driver"),
        _ => None,
    };
    if let (Some(both), Driver::C) = (both, wish.driver) {
        bail!("this {both}: run it without DRIVER=c");
    }
    let mut setup = Setup::load(wish)?;
    accel::choose(&mut setup, accel);
    let good = match command {
        Command::Setup
        | Command::List { .. }
        | Command::Deb
        | Command::System(_)
        | Command::SystemShell => true,
        Command::Run {
            names,
            print_command,
            cycles,
        } => {
            let tests = tests::select(tests::all(cycles), &names);
            if print_command {
                for test in &tests {
                    println!("{}", runner::pasteable(&setup, test)?);
                }
                return Ok(!tests.is_empty());
            }
            check::run_tests(&setup, &tests)?.is_good()
        }
        Command::Vm => main_job::run(&setup)?,
        Command::Matrix => {
            let mut tests = tests::all(Cycles::MATRIX);
            tests.retain(|test| {
                test.layout.kernel == Variant::Standard && test.layout.arch() == setup.machine.arch
            });
            check::run_tests(&setup, &tests)?.is_good()
        }
        Command::Compare => check::compare(&setup)?.is_good(),
        Command::TraceSleep => trace_sleep::run(&setup)?,
        Command::Hostile(options) => hostile::run(&setup, &options)?,
        Command::Random(seeds) => hostile::run_seeds(&setup, &seeds)?,
        Command::Bench { wish } => {
            ensure!(
                !setup.c_is_built_in(),
                "both drivers are measured in one VM, but this kernel has the C driver built in; \
                 give KERNEL=build"
            );
            bench::run(&setup, &wish)?.is_good()
        }
        Command::Kernels(options) => kernels::run(&setup, &options)?.is_good(),
        Command::Selftest => check::selftest(&setup)?.is_good(),
        Command::Check { size } => check::run(&setup, &size)?.is_good(),
        Command::Soak(options) => soak::run(&setup, &options)?,
        Command::Shell {
            board,
            interrupts,
            cpus,
        } => {
            let board = board.unwrap_or_else(|| Board::usual(setup.machine.arch));
            shell::run(&setup, &Layout::new(board, interrupts, cpus).with_swap())?;
            true
        }
    };
    Ok(good)
}
