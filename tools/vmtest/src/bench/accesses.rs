// SPDX-License-Identifier: GPL-2.0

//! Register accesses of each operation, counted in QEMU's trace.

use results::{Count, Measurements};
use virtio_check::access::{Access, Register};
use virtio_check::{Phase, Report, Run, INTENDED};

use super::machine::{in_vm, name, with_disks, Disk};
use super::samples::with;
use crate::cells::traces::{mark, observe_slot, trace_registers};
use vm::driver::Driver;
use vm::failure::{Failure, Outcome};
use vm::layout::Interrupts;
use vm::setup::Setup;
use vm::Vm;

/// The disks, one for each number of virtqueues.
const DISKS: [Disk; 4] = [
    Disk {
        slot: 0x10,
        queues: 1,
    },
    Disk {
        slot: 0x11,
        queues: 2,
    },
    Disk {
        slot: 0x12,
        queues: 4,
    },
    Disk {
        slot: 0x13,
        queues: 8,
    },
];
/// How many blocks are read.
const READS: usize = 100;

/// Counts in both interrupt modes.
pub(super) fn measure(setup: &Setup, _samples: usize) -> Outcome<Measurements> {
    let mut measured = Measurements {
        about: format!(
            "Register accesses of a disk with N virtqueues, counted in QEMU's trace: exact, and the \
             same with each hypervisor. I/O: {READS} reads of 4 KiB, one after the other; the \
             limits are those of the design."
        ),
        ..Measurements::default()
    };
    for interrupts in [Interrupts::PerQueue, Interrupts::Intx] {
        let (c, command) = record(setup, interrupts, Driver::C)?;
        let (rust, _) = record(setup, interrupts, Driver::Rust)?;
        let report = virtio_check::compare(&c, &rust, INTENDED);
        if let Some(difference) = report.unexplained().next() {
            return Err(Failure::Failed(format!("{difference:?}")));
        }
        measured.counts.extend(counts(&report, interrupts));
        measured.counts.extend(io(&c, &rust, interrupts)?);
        measured.commands.push(command);
    }
    Ok(measured)
}

fn record(setup: &Setup, interrupts: Interrupts, driver: Driver) -> Outcome<(Run, String)> {
    let layout = with_disks(interrupts, 8, &DISKS, true);
    let mut run = Run::default();
    let name = format!("accesses-{interrupts}-{driver}");
    let command = in_vm(setup, &name, &layout, |vm, dir| {
        let devices = phases(vm, driver)?;
        run = Run::load(&dir.join("trace.log"), &devices)?;
        Ok(())
    })?;
    Ok((run, command))
}

/// Goes through the phases of a device's life.
fn phases(vm: &mut Vm, driver: Driver) -> Outcome<Vec<virtio_check::DeviceInfo>> {
    trace_registers(vm)?;
    mark(vm, Phase::Probe)?;
    vm.ok(&with(driver, "load_driver"))?;
    mark(vm, Phase::Between)?;
    let mut devices = Vec::new();
    for disk in DISKS {
        vm.ok(&format!("await 10 is_live {}", disk.slot()))?;
        devices.push(observe_slot(vm, &disk.slot(), &disk.queues.to_string())?.0);
    }
    mark(vm, Phase::Io)?;
    for disk in DISKS {
        vm.ok(&format!("time_reads {} {READS}", disk.slot()))?;
    }
    mark(vm, Phase::Freeze)?;
    vm.ok("pm_test_cycles mem devices 1")?;
    mark(vm, Phase::Remove)?;
    vm.ok(&with(driver, "unload_driver"))?;
    mark(vm, Phase::Ignore)?;
    vm.check_kernel()?;
    Ok(devices)
}

/// The handshakes and the device configuration at probe.
fn counts(report: &Report, interrupts: Interrupts) -> Vec<Count> {
    let mut counts = Vec::new();
    let phases = [Phase::Probe, Phase::Freeze, Phase::Restore, Phase::Remove];
    for phase in phases {
        for device in &report.devices {
            let found = device
                .phases
                .iter()
                .find(|p| p.phase == phase && p.round == 0);
            let Some(found) = found else { continue };
            let cost = &found.cost;
            counts.push(Count {
                quantity: phase.to_string(),
                case: name(interrupts).to_owned(),
                n: device.name.parse().ok(),
                unit: "accesses".to_owned(),
                c: cost.c.handshake as f64,
                rust: cost.rust.handshake as f64,
                limit: Some(cost.reach as f64),
                floor: device.msix.then_some(cost.floor as f64),
            });
        }
    }
    let probe = report
        .devices
        .first()
        .and_then(|d| d.phases.iter().find(|p| p.phase == Phase::Probe));
    counts.extend(probe.map(|probe| Count {
        quantity: "probe, device configuration".to_owned(),
        case: name(interrupts).to_owned(),
        unit: "accesses".to_owned(),
        c: probe.cost.c.config as f64,
        rust: probe.cost.rust.config as f64,
        ..Count::default()
    }));
    counts
}

/// Whether an access is of the kind that is counted.
type Pick = fn(&Access) -> bool;

/// Notifications and reads of ISR for a read of 4 KiB, by the disk with one virtqueue.
fn io(c: &Run, rust: &Run, interrupts: Interrupts) -> Outcome<Vec<Count>> {
    let per_read = |run: &Run, pick: Pick| -> Outcome<f64> {
        let device = run.device("1");
        let segment = device.and_then(|device| device.segment(Phase::Io, 0));
        let segment = segment.ok_or_else(|| Failure::Failed("no I/O was traced".to_owned()))?;
        let count = segment
            .accesses
            .iter()
            .filter(|access| pick(access))
            .count();
        Ok(count as f64 / READS as f64)
    };
    let picks: [(&str, Pick); 3] = [
        ("notifications a read", |a| {
            a.register == Register::QueueNotify
        }),
        ("reads of ISR a read", |a| a.register == Register::Isr),
        ("other accesses a read", |a| {
            !matches!(a.register, Register::QueueNotify | Register::Isr)
        }),
    ];
    let count = |(quantity, pick): (&str, Pick)| {
        Ok(Count {
            quantity: quantity.to_owned(),
            case: name(interrupts).to_owned(),
            unit: "accesses".to_owned(),
            c: per_read(c, pick)?,
            rust: per_read(rust, pick)?,
            ..Count::default()
        })
    };
    picks.into_iter().map(count).collect()
}
