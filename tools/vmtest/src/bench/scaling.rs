// SPDX-License-Identifier: GPL-2.0

//! Many devices, behind bridges.

use results::{Count, Measurements};
use virtio_check::{Phase, Run};

use super::machine::in_vm;
use super::samples::{in_turn, number, numbers, with, Of, Samples};
use crate::cells::traces::{mark, trace_registers};
use vm::driver::Driver;
use vm::failure::{Failure, Outcome};
use vm::layout::{Board, Interrupts, Layout};
use vm::setup::Setup;

/// How many devices.
const SIZES: [u32; 4] = [1, 8, 32, 100];
/// How many devices a bridge has.
const A_BRIDGE: u32 = 30;
/// The slot of the first bridge.
const BRIDGES: u32 = 0x10;
/// The most samples of a machine: with 100 devices, one takes half a minute.
const ROUNDS: usize = 10;

/// Measures times, memory and accesses for each number of devices.
pub(super) fn measure(setup: &Setup, rounds: usize) -> Outcome<Measurements> {
    let mut measured = Measurements {
        about:
            "Legacy virtio-rng devices behind PCI bridges, MSI-X, two virtual CPUs. Probe: insmod \
                until the last device is probed. Cycles: pm_test=devices, the whole machine, with \
                the PM core suspending and resuming PCI devices one by one or side by side \
                (power/async in sysfs; the PCI core enables it for each device, whatever its \
                driver)."
                .to_owned(),
        ..Measurements::default()
    };
    let mut samples = Samples::default();
    for devices in SIZES {
        let name = format!("scaling-{devices}");
        let command = in_vm(setup, &name, &layout(devices, false), |vm, _| {
            in_turn(vm, rounds.min(ROUNDS), |vm, driver| {
                one_round(vm, driver, devices, &mut samples)
            })
        })?;
        measured.commands.push(command);
        measured.counts.extend(accesses(setup, devices)?);
    }
    measured.series = samples.into_series();
    Ok(measured)
}

/// A machine with that many devices.
fn layout(devices: u32, traced: bool) -> Layout {
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&[]);
    layout.traced = traced;
    let mut add = |option: &str, value: String| layout.extra.extend([option.to_owned(), value]);
    add("-object", "rng-builtin,id=random".to_owned());
    for number in 0..devices {
        let (bridge, place) = (number / A_BRIDGE, number % A_BRIDGE);
        if place == 0 {
            add(
                "-device",
                format!(
                    "pci-bridge,id=bridge{bridge},chassis_nr={},addr=0x{:x},shpc=off",
                    bridge + 1,
                    BRIDGES + bridge
                ),
            );
        }
        let ioeventfd = if traced { "off" } else { "on" };
        add(
            "-device",
            format!(
                "virtio-rng-pci,rng=random,bus=bridge{bridge},addr=0x{:x},vectors=2,\
                 disable-legacy=off,disable-modern=on,ioeventfd={ioeventfd}",
                place + 1
            ),
        );
    }
    layout
}

fn one_round(vm: &mut vm::Vm, driver: Driver, devices: u32, samples: &mut Samples) -> Outcome {
    let mut add = |quantity: &str, unit: &str, value: f64| {
        let of = Of {
            quantity,
            case: "for each device",
            n: Some(devices),
            unit,
            ..Of::default()
        };
        samples.add(of, driver, value / f64::from(devices));
    };
    let load = numbers(vm, &with(driver, &format!("time_load {devices}")))?;
    let [probe, memory] = load[..] else {
        return Err(Failure::Failed(format!("time_load says {load:?}")));
    };
    add("probe", "µs", probe / 1000.0);
    add("kernel memory", "KiB", memory);
    for (setting, words) in [("disabled", "one by one"), ("enabled", "side by side")] {
        vm.ok(&format!("set_async {setting}"))?;
        for state in ["mem", "disk"] {
            let took = number(vm, &format!("time_cycle {state}"))?;
            add(&format!("cycle to {state}, {words}"), "µs", took / 1000.0);
        }
    }
    Ok(())
}

/// Accesses for each device at probe and in a cycle.
fn accesses(setup: &Setup, devices: u32) -> Outcome<Vec<Count>> {
    let (c, rust) = (
        traced(setup, devices, Driver::C)?,
        traced(setup, devices, Driver::Rust)?,
    );
    let phases = [Phase::Probe, Phase::Freeze, Phase::Restore, Phase::Remove];
    let count = |phase: Phase| {
        let each = |run: &Run| {
            let segments = run
                .devices
                .iter()
                .filter_map(|device| device.segment(phase, 0));
            let steps = |accesses: &[virtio_check::access::Access]| {
                let steps = virtio_check::steps::steps(accesses, None);
                steps.iter().map(|step| step.accesses).sum::<usize>()
            };
            let all: usize = segments.map(|segment| steps(&segment.accesses)).sum();
            all as f64 / f64::from(devices)
        };
        Count {
            quantity: phase.to_string(),
            case: "accesses for each device".to_owned(),
            n: Some(devices),
            unit: "accesses".to_owned(),
            c: each(&c),
            rust: each(&rust),
            ..Count::default()
        }
    };
    Ok(phases.into_iter().map(count).collect())
}

fn traced(setup: &Setup, devices: u32, driver: Driver) -> Outcome<Run> {
    let mut run = Run::default();
    let name = format!("scaling-{devices}-traced-{driver}");
    in_vm(setup, &name, &layout(devices, true), |vm, dir| {
        trace_registers(vm)?;
        mark(vm, Phase::Probe)?;
        vm.ok(&with(
            driver,
            &format!("load_driver && await 20 all_live {devices}"),
        ))?;
        mark(vm, Phase::Freeze)?;
        vm.ok("pm_test_cycles mem devices 1")?;
        mark(vm, Phase::Remove)?;
        vm.ok(&with(driver, "unload_driver"))?;
        mark(vm, Phase::Ignore)?;
        vm.check_kernel()?;
        run = Run::load(&dir.join("trace.log"), &[])?;
        let found = run.devices.len();
        if found != devices as usize {
            return Err(Failure::Failed(format!("{found} devices were traced")));
        }
        Ok(())
    })?;
    Ok(run)
}
