// SPDX-License-Identifier: GPL-2.0

//! Interrupts and notifications for each I/O.

use results::Measurements;
use virtio_check::access::Register;
use virtio_check::{Phase, Run};

use super::machine::{await_disk, in_vm, name, with_disks, Disk};
use super::samples::{in_turn, number, Of, Samples};
use crate::cells::traces::{mark, observe_slot, trace_registers};
use vm::driver::Driver;
use vm::failure::{Failure, Outcome};
use vm::layout::Interrupts;
use vm::setup::Setup;

const DISK: Disk = Disk {
    slot: 0x10,
    queues: 1,
};
/// How many reads a sample has.
const READS: u32 = 2000;
/// How many are in flight.
const DEPTHS: [u32; 2] = [1, 32];

/// Counts in both interrupt modes.
pub(super) fn measure(setup: &Setup, rounds: usize) -> Outcome<Measurements> {
    let mut samples = Samples::default();
    let mut commands = Vec::new();
    for interrupts in [Interrupts::PerQueue, Interrupts::Intx] {
        commands.push(count(setup, interrupts, rounds, &mut samples)?);
    }
    Ok(Measurements {
        about: format!(
            "Interrupts (from /proc/interrupts) and notifications (from QEMU's trace) for each of \
             {READS} random reads of 4 KiB by fio, with 1 and 32 in flight. QEMU runs on one \
             processor of the host: with more, it is chance how many reads are done while the guest \
             makes the next one."
        ),
        commands,
        series: samples.into_series(),
        ..Measurements::default()
    })
}

fn count(
    setup: &Setup,
    interrupts: Interrupts,
    rounds: usize,
    samples: &mut Samples,
) -> Outcome<String> {
    let mut layout = with_disks(interrupts, 1, &[DISK], true);
    layout.pinned = true;
    let slot = DISK.slot();
    let mut taken: Vec<(Driver, u32)> = Vec::new();
    let mut run = Run::default();
    let command = in_vm(
        setup,
        &format!("interrupts-{interrupts}"),
        &layout,
        |vm, dir| {
            vm.ok("mount_tools")?;
            let mut device = None;
            in_turn(vm, rounds, |vm, driver| {
                await_disk(vm, &slot)?;
                if device.is_none() {
                    device = Some(observe_slot(vm, &slot, "disk")?.0);
                }
                trace_registers(vm)?;
                for depth in DEPTHS {
                    mark(vm, Phase::Io)?;
                    let command = format!("count_interrupts {slot} {depth} {READS}");
                    let counted = number(vm, &command)?;
                    mark(vm, Phase::Ignore)?;
                    let of = of("interrupts for a read", interrupts, depth);
                    samples.add(of, driver, counted / f64::from(READS));
                    taken.push((driver, depth));
                }
                Ok(())
            })?;
            let devices: Vec<_> = device.into_iter().collect();
            run = Run::load(&dir.join("trace.log"), &devices)?;
            Ok(())
        },
    )?;
    let traced = run
        .devices
        .first()
        .map_or(&[][..], |device| &device.segments);
    if traced.len() != taken.len() {
        let text = format!("{} samples, but {} traced", taken.len(), traced.len());
        return Err(Failure::Failed(text));
    }
    for (segment, (driver, depth)) in traced.iter().zip(taken) {
        let notifications = segment.accesses.iter();
        let notifications = notifications.filter(|a| a.register == Register::QueueNotify);
        let each = notifications.count() as f64 / f64::from(READS);
        samples.add(
            of("notifications for a read", interrupts, depth),
            driver,
            each,
        );
    }
    Ok(command)
}

fn of(quantity: &str, interrupts: Interrupts, depth: u32) -> Of<'_> {
    let case = match (interrupts, depth) {
        (Interrupts::Intx, 1) => "INTx, 1 in flight",
        (Interrupts::Intx, _) => "INTx, 32 in flight",
        (_, 1) => "MSI-X, 1 in flight",
        _ => "MSI-X, 32 in flight",
    };
    debug_assert!(case.starts_with(name(interrupts)));
    Of {
        quantity,
        case,
        unit: "a read",
        ..Of::default()
    }
}
