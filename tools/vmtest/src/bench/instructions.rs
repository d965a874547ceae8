// SPDX-License-Identifier: GPL-2.0

//! Guest instructions, counted by a clock that goes one nanosecond an instruction.

use results::Measurements;

use super::machine::{exact, in_vm, name, Disk};
use super::samples::{in_turn, number, numbers, with, Of, Samples};
use crate::failure::Outcome;
use crate::layout::Interrupts;
use crate::setup::{Driver, Setup};
use crate::vm::Vm;

const DISK: Disk = Disk {
    slot: 0x10,
    queues: 1,
};
/// How many blocks are read for a sample.
const READS: usize = 500;

/// Counts in both interrupt modes.
pub(super) fn measure(setup: &Setup, rounds: usize) -> Outcome<Measurements> {
    let mut samples = Samples::default();
    let mut commands = Vec::new();
    for interrupts in [Interrupts::PerQueue, Interrupts::Intx] {
        let layout = exact(interrupts, DISK);
        let name = format!("instructions-{interrupts}");
        commands.push(in_vm(setup, &name, &layout, |vm, _| {
            vm.ok("release_tools_disk")?;
            let nothing = number(vm, "time_nothing; time_nothing >/dev/null")?;
            in_turn(vm, rounds, |vm, driver| {
                one_round(vm, driver, interrupts, nothing, &mut samples)
            })
        })?);
    }
    Ok(Measurements {
        about: format!(
            "Guest instructions with -icount shift=0 on one virtual CPU; what reading the clock \
             takes is subtracted. Probe and remove: the device is bound and unbound by sysfs, \
             partition scan and all. Suspend cycle: the whole machine, pm_test=devices. Callbacks: \
             the PCI device's own part of it, in units of 1000 instructions. Reads: {READS} reads \
             of 4 KiB from a device that answers at once, one after the other: system call, block \
             layer, virtio_blk, notification, interrupt. Each round loads the driver anew in the \
             same machine."
        ),
        commands,
        series: samples.into_series(),
        ..Measurements::default()
    })
}

fn one_round(
    vm: &mut Vm,
    driver: Driver,
    interrupts: Interrupts,
    nothing: f64,
    samples: &mut Samples,
) -> Outcome {
    let slot = DISK.slot();
    vm.ok(&format!(
        "await 10 is_live {slot} && await 10 disk_of {slot}"
    ))?;
    let mut add = |quantity: &str, value: f64| {
        let of = Of {
            quantity,
            case: name(interrupts),
            unit: "instructions",
            ..Of::default()
        };
        samples.add(of, driver, value);
    };
    add(
        "probe",
        number(vm, &format!("time_probe {slot}"))? - nothing,
    );
    add(
        "remove",
        number(vm, &format!("time_remove {slot}"))? - nothing,
    );
    vm.ok(&format!("await 10 disk_of {slot}"))?;
    let reads = number(vm, &with(driver, &format!("time_reads {slot} {READS}")))?;
    add("read of 4 KiB", (reads - nothing) / READS as f64);
    add("suspend cycle", number(vm, "time_cycle mem")? - nothing);
    let callbacks = numbers(vm, &format!("time_callbacks {slot}"))?;
    if let [down, up] = callbacks[..] {
        add("freeze callback", 1000.0 * down);
        add("restore callback", 1000.0 * up);
    }
    Ok(())
}
