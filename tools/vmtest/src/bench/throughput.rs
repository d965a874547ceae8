// SPDX-License-Identifier: GPL-2.0

//! I/O as fast as it goes.

use results::Measurements;

use super::machine::{await_disk, in_vm, with_disks, Disk};
use super::samples::{in_turn, number, Of, Samples};
use vm::failure::Outcome;
use vm::layout::{Interrupts, Kind};
use vm::setup::Setup;

/// The disks with one virtqueue and with four.
const DISKS: [Disk; 2] = [
    Disk {
        slot: 0x10,
        queues: 1,
    },
    Disk {
        slot: 0x11,
        queues: 4,
    },
];
/// How many pings a sample has.
const PINGS: u32 = 300;
/// How many MiB a sample sends and gets back.
const STREAM: u32 = 4;

/// Measures disks by fio, and the network by ping and by a stream that is sent back.
pub(super) fn measure(setup: &Setup, rounds: usize) -> Outcome<Measurements> {
    let mut samples = Samples::default();
    let mut layout = with_disks(Interrupts::PerQueue, 4, &DISKS, false);
    layout.kinds.push(Kind::Net);
    let command = in_vm(setup, "throughput", &layout, |vm, _| {
        vm.ok("mount_tools")?;
        in_turn(vm, rounds, |vm, driver| {
            for disk in DISKS {
                let (slot, queues) = (disk.slot(), disk.queues);
                await_disk(vm, &slot)?;
                for mode in ["randread", "randwrite"] {
                    for depth in [1, 32] {
                        let command = format!("fio_rate {slot} {mode} {depth} {queues}");
                        let quantity = format!("fio {mode} of 4 KiB");
                        let case = format!("{queues} virtqueues and jobs, {depth} in flight each");
                        let of = Of {
                            quantity: &quantity,
                            case: &case,
                            unit: "I/O a second",
                            more_is_better: true,
                            ..Of::default()
                        };
                        samples.add(of, driver, number(vm, &command)?);
                    }
                }
            }
            let net = Kind::Net.slot();
            vm.ok(&format!(
                "await 10 is_live {net} && await 10 interface_of {net}"
            ))?;
            let mut add = |quantity: &str, unit: &str, value: f64| {
                let of = Of {
                    quantity,
                    case: "one at a time",
                    unit,
                    more_is_better: true,
                    ..Of::default()
                };
                samples.add(of, driver, value);
            };
            let pings = number(vm, &format!("time_pings {net} {PINGS}"))?;
            add(
                "network, request and response",
                "a second",
                f64::from(PINGS) * 1e9 / pings,
            );
            let stream = number(vm, &format!("time_stream {net} {STREAM}"))?;
            add(
                "network, stream to the host and back",
                "MiB/s",
                f64::from(STREAM) * 1e9 / stream,
            );
            Ok(())
        })
    })?;
    Ok(Measurements {
        about:
            "fio on disks that answer at once and store nothing; pings that the host answers; a \
                stream that the host sends back. Wall-clock rates under TCG say nothing of \
                hardware, only how the two drivers compare."
                .to_owned(),
        commands: vec![command],
        series: samples.into_series(),
        ..Measurements::default()
    })
}
