// SPDX-License-Identifier: GPL-2.0

//! Guest instructions, counted by a clock that goes one nanosecond an instruction.

use results::Measurements;

use super::machine::{await_disk, exact, in_vm, name, Disk};
use super::samples::{in_turn, number, pair, Of, Samples};
use vm::driver::Driver;
use vm::failure::Outcome;
use vm::layout::Interrupts;
use vm::setup::Setup;
use vm::Vm;

const DISK: Disk = Disk {
    slot: 0x10,
    queues: 1,
};
/// How many machines are booted for each interrupt mode. What lies where in memory differs between
/// boots, and costs one driver or the other some instructions in all samples of a boot.
const BOOTS: usize = 4;
/// How many blocks are read for a sample.
const READS: usize = 500;

/// What counting takes by itself.
#[derive(Clone, Copy)]
struct Overhead {
    count: f64,
    time: f64,
}

/// Counts in both interrupt modes.
pub(super) fn measure(setup: &Setup, rounds: usize) -> Outcome<Measurements> {
    let mut samples = Samples::default();
    let mut commands = Vec::new();
    for interrupts in [Interrupts::PerQueue, Interrupts::Intx] {
        let layout = exact(interrupts, DISK);
        for boot in 0..BOOTS.min(rounds) {
            let name = format!("instructions-{interrupts}-{boot}");
            // As many rounds in each, but for what is left over.
            let rounds = (rounds + boot) / BOOTS.min(rounds);
            let command = in_vm(setup, &name, &layout, |vm, _| {
                vm.ok("release_tools_disk && silence_console")?;
                let overhead = Overhead {
                    count: number(vm, "count_nothing")?,
                    time: number(vm, "time_nothing")?,
                };
                // The first suspend of a boot takes a quarter more, whatever the driver.
                let mut cold = Samples::default();
                in_turn(vm, 1, |vm, driver| {
                    one_round(vm, driver, interrupts, overhead, &mut cold)
                })?;
                in_turn(vm, rounds, |vm, driver| {
                    one_round(vm, driver, interrupts, overhead, &mut samples)
                })
            })?;
            if boot == 0 {
                commands.push(command);
            }
        }
    }
    Ok(Measurements {
        about: format!(
            "Guest instructions with -icount shift=0 on one virtual CPU. Probe, remove, suspend \
             cycle: those of the process that writes to sysfs, which does all the work, idle time \
             and other processes apart; the device is bound and unbound, partition scan and all; \
             the cycle is that of the whole machine, pm_test=devices, no callback run \
             asynchronously. Restore callback: the PCI device's own part of it, in units of 1000. \
             Read: {READS} reads of 4 KiB from a device that answers at once, one after the other: \
             system call, block layer, virtio_blk, notification, interrupt. Each round loads the \
             driver again; there are {BOOTS} boots for each interrupt mode, since what lies where in memory differs \
             between boots. What counting takes by itself is subtracted."
        ),
        commands,
        series: samples.into_series(),
        ..Measurements::default()
    })
}

/// How much more the Rust driver may take: what the project has set itself.
fn limit(quantity: &str) -> Option<f64> {
    match quantity {
        "probe" => Some(0.02),
        "suspend cycle" => Some(0.0),
        "read of 4 KiB" => Some(0.01),
        _ => None,
    }
}

fn one_round(
    vm: &mut Vm,
    driver: Driver,
    interrupts: Interrupts,
    overhead: Overhead,
    samples: &mut Samples,
) -> Outcome {
    let slot = DISK.slot();
    await_disk(vm, &slot)?;
    let mut add = |quantity: &str, value: f64| {
        let of = Of {
            quantity,
            case: name(interrupts),
            unit: "instructions",
            limit: limit(quantity),
            ..Of::default()
        };
        samples.add(of, driver, value);
    };
    let mut count = |vm: &mut Vm, quantity: &str, command: &str| {
        add(quantity, number(vm, command)? - overhead.count);
        Outcome::Ok(())
    };
    count(vm, "probe", &format!("count_probe {slot}"))?;
    count(vm, "remove", &format!("count_remove {slot}"))?;
    count(vm, "suspend cycle", "count_cycle")?;
    vm.ok(&format!("await 10 disk_of {slot}"))?;
    let reads = number(vm, &format!("time_reads {slot} {READS}"))?;
    add("read of 4 KiB", (reads - overhead.time) / READS as f64);
    let [_, up] = pair(vm, &format!("time_callbacks {slot}"))?;
    add("restore callback", 1000.0 * up);
    Ok(())
}
