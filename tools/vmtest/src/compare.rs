// SPDX-License-Identifier: GPL-2.0

//! Records what both drivers do to the registers, for the comparison.

use std::fs;
use std::path::Path;

use anyhow::Context;
use machine::Arch;
use virtio_check::{DeviceInfo, Observations, Phase, Report, Run, INTENDED};

use crate::cells::device::{check_bound, check_io};
use crate::cells::traces::{mark, observe_slot, trace_registers};
use vm::driver::Driver;
use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::fresh_folder;
use vm::setup::Setup;
use vm::{Vm, BOOT};

/// What was seen of one driver.
struct Recording {
    run: Run,
    devices: Vec<DeviceInfo>,
    observations: Vec<(Kind, Observations)>,
}

/// The machine on which both drivers are recorded.
pub(crate) fn layout(arch: Arch, interrupts: Interrupts) -> Layout {
    let mut layout = Layout::new(Board::usual(arch), interrupts, 4);
    layout.traced = true;
    layout
}

/// Records one driver: load, I/O, one freeze and restore, removal.
fn record(setup: &Setup, layout: &Layout, dir: &Path) -> Outcome<Recording> {
    let mut vm = Vm::boot(setup, layout, dir, BOOT)?;
    let recorded = record_in(&mut vm);
    recorded.map_err(|failure| vm.explained(failure))
}

fn record_in(vm: &mut Vm) -> Outcome<Recording> {
    vm.ok("mount_tools")?;
    trace_registers(vm)?;
    mark(vm, Phase::Probe)?;
    // The C driver has no watchdog, and its reads would be in one phase or another.
    vm.ok("load_driver_with watchdog_s=0")?;
    mark(vm, Phase::Between)?;
    let kinds = vm.layout().kinds.clone();
    let mut devices = Vec::new();
    let mut observations = Vec::new();
    for &kind in &kinds {
        check_bound(vm, kind)?;
        let (info, seen) = observe_slot(vm, kind.slot(), kind.name())?;
        devices.push(info);
        observations.push((kind, seen));
    }
    mark(vm, Phase::Io)?;
    for &kind in &kinds {
        check_io(vm, kind)?;
    }
    mark(vm, Phase::Freeze)?;
    vm.ok("pm_test_cycles mem devices 1")?;
    mark(vm, Phase::Between)?;
    // The virtio driver of 9p has no freeze and no restore.
    for &kind in kinds.iter().filter(|&&kind| kind != Kind::NineP) {
        check_bound(vm, kind)?;
    }
    mark(vm, Phase::Remove)?;
    vm.ok("unload_driver")?;
    mark(vm, Phase::Ignore)?;
    vm.check_kernel()?;
    let run = Run::load(&vm.dir().join("trace.log"), &devices)?;
    Ok(Recording {
        run,
        devices,
        observations,
    })
}

/// Leaves what was recorded of a driver for the report: the trace, and what was known of it.
fn keep(
    setup: &Setup,
    driver: Driver,
    layout: &Layout,
    dir: &Path,
    recording: &Recording,
) -> anyhow::Result<results::Recording> {
    let folder = setup.results();
    let trace = format!("compare-{}-{driver}.txt", layout.interrupts);
    let text = fs::read_to_string(dir.join("trace.log"))?;
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(&trace), virtio_check::reduce(&text)?)?;
    let seen = recording.observations.iter();
    Ok(results::Recording {
        command: fs::read_to_string(dir.join("command"))?.trim().to_owned(),
        trace,
        devices: recording.devices.clone(),
        observations: seen
            .map(|(kind, seen)| (kind.name().to_owned(), seen.clone()))
            .collect(),
    })
}

/// Records both drivers on the same machine and compares them; the report is kept in a file.
pub(crate) fn compare(setup: &Setup, layout: &Layout) -> Outcome<(Report, Run)> {
    let record_one = |driver: Driver| {
        let name = format!("compare-{}-{}-{driver}", layout.board, layout.interrupts);
        let dir = fresh_folder(&setup.logs, &name)?;
        let recording = record(&setup.with_driver(driver), layout, &dir);
        Vm::tidy(&dir);
        let recording = recording?;
        let kept = keep(setup, driver, layout, &dir, &recording)
            .context("cannot leave the trace for the report")?;
        Outcome::Ok((recording, kept))
    };
    let (c, kept_c) = record_one(Driver::C)?;
    let (rust, kept_rust) = record_one(Driver::Rust)?;
    let comparison = results::Comparison {
        interrupts: layout.interrupts.to_string(),
        environment: setup.environment_of(layout),
        c: kept_c,
        rust: kept_rust,
    };
    let name = format!("{}-{}", results::COMPARISON, layout.interrupts);
    results::write(&setup.results(), &name, &comparison)?;
    let mut report = virtio_check::compare(&c.run, &rust.run, INTENDED);
    for ((kind, of_c), (_, of_rust)) in c.observations.iter().zip(&rust.observations) {
        report.observe(kind.name(), of_c, of_rust);
    }
    let file = format!("compare-{}-{}.txt", layout.board, layout.interrupts);
    let path = setup.logs.join(file);
    fs::write(&path, report.to_string())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok((report, c.run))
}

/// The order of before the 2014 fix must be caught by the checker.
pub(crate) fn pre_2014_is_caught(run: &Run) -> bool {
    virtio_check::check(&virtio_check::pre_2014(run)).len() > virtio_check::check(run).len()
}
