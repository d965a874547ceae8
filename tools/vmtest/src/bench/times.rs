// SPDX-License-Identifier: GPL-2.0

//! How long the callbacks take, and how long it is from insmod to the first I/O.

use results::Measurements;

use super::machine::{await_disk, in_vm, name, with_disks, Disk};
use super::samples::{in_turn, number, pair, with, Of, Samples};
use vm::failure::Outcome;
use vm::layout::Interrupts;
use vm::setup::Setup;

const DISK: Disk = Disk {
    slot: 0x10,
    queues: 4,
};

/// Measures in both interrupt modes.
pub(super) fn measure(setup: &Setup, rounds: usize) -> Outcome<Measurements> {
    let mut samples = Samples::default();
    let mut commands = Vec::new();
    for interrupts in [Interrupts::PerQueue, Interrupts::Intx] {
        let layout = with_disks(interrupts, 4, &[DISK], false);
        let slot = DISK.slot();
        commands.push(in_vm(
            setup,
            &format!("times-{interrupts}"),
            &layout,
            |vm, _| {
                in_turn(vm, rounds, |vm, driver| {
                    await_disk(vm, &slot)?;
                    let mut add = |quantity: &str, value: f64| {
                        let of = Of {
                            quantity,
                            case: name(interrupts),
                            unit: "µs",
                            ..Of::default()
                        };
                        samples.add(of, driver, value);
                    };
                    // The first time, TCG translates the code that it runs.
                    vm.ok(&format!("time_callbacks {slot}"))?;
                    let [down, up] = pair(vm, &format!("time_callbacks {slot}"))?;
                    add("freeze callback", down);
                    add("restore callback", up);
                    let command = with(driver, &format!("time_first_io {slot}"));
                    add("insmod to first I/O", number(vm, &command)? / 1000.0);
                    Ok(())
                })
            },
        )?);
    }
    Ok(Measurements {
        about:
            "Times in the guest, of a disk with four virtqueues on four virtual CPUs. Under TCG \
                they say nothing of hardware, only how the two drivers compare. The callbacks are \
                those of the second cycle after loading: TCG translates code when it first runs, \
                and so insmod to first I/O grows with the size of the code."
                .to_owned(),
        commands,
        series: samples.into_series(),
        ..Measurements::default()
    })
}
