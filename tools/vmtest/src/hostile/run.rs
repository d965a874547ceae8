// SPDX-License-Identifier: GPL-2.0

//! One scenario in a VM.

use std::time::Duration;

use scripted::Time;
use virtio_check::access::{ACKNOWLEDGE, DRIVER, DRIVER_OK};

use super::outcome::{Observed, Outcome};
use super::scenario::{Device, Expected, Scenario};
use vm::failure::{Failure, Outcome as Result};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::log_scan;
use vm::scripted_slot::{Model, Scripted};
use vm::Vm;

/// How long something may take in the guest before it hangs, in seconds.
const LIMIT: u32 = 40;
/// How long the host waits for that.
const PATIENCE: Duration = Duration::from_secs(150);
/// How long a machine may take to power off.
const POWER_OFF: Duration = Duration::from_secs(90);

const RNG: Scripted = Scripted::new("s-rng", "10", Model::Rng, 2);
const DISK: Scripted = Scripted::new("s-disk", "11", Model::Disk(8), 2);
const CONSOLE: Scripted = Scripted::new("s-console", "12", Model::Console, 3);

/// What is in the log of a device that is bad, and no fault of the kernel.
const SAID_OF_BAD_DEVICES: [&str; 7] = [
    "PM: ",
    "reset does not complete",
    "virtqueues restored",
    "failed to recover after reset",
    "not written after",
    "features before ACKNOWLEDGE",
    "find_vqs before DRIVER",
];

/// The machine: three devices that lie or do not, and one of QEMU's own.
pub(super) fn layout(msix: bool) -> Layout {
    let interrupts = match msix {
        true => Interrupts::PerQueue,
        false => Interrupts::Intx,
    };
    let mut layout = Layout::new(Board::Pc, interrupts, 2).with_kinds(&[Kind::Blk]);
    layout.scripted = [RNG, DISK, CONSOLE]
        .map(|device| Scripted {
            vectors: if msix { device.vectors } else { 0 },
            strict: false,
            ..device
        })
        .to_vec();
    layout
}

fn slot(device: Device) -> &'static str {
    match device {
        Device::Rng => RNG.slot,
        Device::Disk => DISK.slot,
        Device::Console => CONSOLE.slot,
    }
}

/// How something in the guest went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Went {
    Ok,
    Fails,
    Hangs,
}

fn bounded(vm: &mut Vm, command: &str) -> Result<Went> {
    match vm
        .ok_within(&format!("bounded {LIMIT} {command}"), PATIENCE)?
        .as_str()
    {
        "ok" => Ok(Went::Ok),
        "fails" => Ok(Went::Fails),
        "hangs" => Ok(Went::Hangs),
        other => Err(Failure::Failed(format!("bounded {command}: {other}"))),
    }
}

/// Makes a machine ready for scenarios.
pub(super) fn prepare(vm: &mut Vm) -> Result {
    vm.ok("go_on_after_splats")?;
    Ok(())
}

/// What was found while a scenario ran.
struct Findings {
    outcome: Outcome,
    faults: Vec<String>,
    lied: bool,
    /// What the device's journal has; nothing with the C driver.
    journal: String,
}

/// Goes through a scenario. A VM that is not clean after it, or was powered off, is unusable.
pub(super) fn run(vm: &mut Vm, scenario: &Scenario) -> Result<Observed> {
    vm.ok("ensure_unloaded")?;
    vm.take_log(&scenario.name)?;
    let findings = go_through(vm, scenario);
    let slot = slot(scenario.device);
    // What the kernel said tells more than that it is gone.
    let findings = findings.or_else(|failure| match failure {
        Failure::LostVm(_) | Failure::TimedOut { .. } => {
            let lost = match failure {
                Failure::LostVm(_) => "the VM is lost",
                _ => "the VM does not answer",
            };
            Ok(Findings {
                outcome: Outcome::Hangs,
                faults: vec![lost.to_owned()],
                lied: true,
                journal: String::new(),
            })
        }
        failure => Err(failure),
    })?;
    let log = vm.take_log("the end")?;
    let found = log_scan::findings(&log).into_iter();
    let splats = found.filter(|line| !SAID_OF_BAD_DEVICES.iter().any(|said| line.contains(said)));
    let splats: Vec<_> = splats.map(str::to_owned).collect();
    Ok(Observed {
        outcome: findings.outcome,
        spoke: log.lines().any(|line| is_about(line, slot)),
        splats,
        faults: findings.faults,
        lied: findings.lied,
        journal: findings.journal,
        log,
    })
}

/// Whether a line is about the device in a slot, beside the usual ones.
fn is_about(line: &str, slot: &str) -> bool {
    let usual = [
        "one MSI-X vector per virtqueue",
        ": INTx",
        "default/read/poll",
        "logical blocks",
    ];
    (line.contains(&format!("0000:00:{slot}.0")) || line.contains("virtio_"))
        && !usual.iter().any(|usual| line.contains(usual))
}

fn go_through(vm: &mut Vm, scenario: &Scenario) -> Result<Findings> {
    let mut faults = Vec::new();
    let outcome = lie_and_look(vm, scenario)?;
    if outcome != Outcome::Hangs {
        for neighbour in [Device::Rng, Device::Disk, Device::Console] {
            if neighbour != scenario.device && small_io(vm, neighbour)? != Went::Ok {
                faults.push(format!("{} harmed", neighbour.name()));
            }
        }
        let blk = bounded(vm, &format!("small_io disk {}", Kind::Blk.slot()))?;
        if blk != Went::Ok {
            faults.push("QEMU's disk harmed".to_owned());
        }
    }
    faults.extend(left_behind(
        scripted_of(vm, scenario.device)?,
        scenario,
        outcome,
    ));
    let journal = match outcome {
        Outcome::Hangs => String::new(),
        _ => vm.ok(&format!("journal_of {}", slot(scenario.device)))?,
    };
    let lied = scripted_of(vm, scenario.device)?.lied() > 0;
    if scenario.powers_off {
        if vm.power_off(POWER_OFF).is_err() {
            faults.push("power-off hangs".to_owned());
        }
        return Ok(Findings {
            outcome,
            faults,
            lied,
            journal,
        });
    }
    let gone = bounded(vm, "unload_driver")? == Went::Ok;
    let lied = scripted_of(vm, scenario.device)?.lied() > 0;
    if !gone {
        faults.push("rmmod hangs".to_owned());
        return Ok(Findings {
            outcome,
            faults,
            lied,
            journal,
        });
    }
    stop_lying(vm);
    vm.ok("load_driver")?;
    for device in vm.layout().scripted.clone() {
        vm.ok(&format!("check_bound {} {}", device.slot, device.policy()))?;
    }
    if small_io(vm, scenario.device)? != Went::Ok {
        faults.push("dead afterwards".to_owned());
    }
    vm.ok("unload_driver")?;
    Ok(Findings {
        outcome,
        faults,
        lied,
        journal,
    })
}

/// What is wrong with the state that the driver left the device in.
fn left_behind(device: &scripted::Device, scenario: &Scenario, outcome: Outcome) -> Option<String> {
    let live = ACKNOWLEDGE | DRIVER | DRIVER_OK;
    let status = device.status();
    match (&scenario.expected, outcome) {
        (Expected::Only(Outcome::Works), Outcome::Works) if status & live != live => {
            Some(format!("device at work with status {status:#04x}"))
        }
        (Expected::Only(Outcome::Detached | Outcome::Errors), seen)
            if seen != Outcome::Works && device.is_master() =>
        {
            Some("bus mastering left on".to_owned())
        }
        _ => None,
    }
}

/// The scripted device of this kind.
fn scripted_of(vm: &Vm, device: Device) -> Result<&scripted::Device> {
    let name = format!("s-{}", device.name());
    let mut devices = vm.scripted().iter();
    let found = devices.find(|device| device.name() == name);
    found.ok_or_else(|| Failure::Failed(format!("there is no {name}")))
}

fn stop_lying(vm: &Vm) {
    for device in vm.scripted() {
        device.lie(&[]);
        device.set_sleeping(false);
    }
}

fn small_io(vm: &mut Vm, device: Device) -> Result<Went> {
    bounded(vm, &format!("small_io {} {}", device.name(), slot(device)))
}

/// Has the device lie and tells what comes of it.
fn lie_and_look(vm: &mut Vm, scenario: &Scenario) -> Result<Outcome> {
    let slot = slot(scenario.device);
    let lie = |vm: &Vm| -> Result {
        scripted_of(vm, scenario.device)?.lie(&scenario.lies);
        Ok(())
    };
    if scenario.lies_at(Time::Probe) {
        lie(vm)?;
    }
    // A reset that never completes must not take the time of the others.
    let load = match scenario.unwatched {
        true => "load_driver_with watchdog_s=0 reset_timeout_ms=5000",
        false => "load_driver_with reset_timeout_ms=5000",
    };
    if bounded(vm, load)? == Went::Hangs {
        return Ok(Outcome::Hangs);
    }
    if scenario.expected == Expected::Only(Outcome::Works) {
        // A slow reset is waited for in the background.
        bounded(vm, &format!("await 10 is_live {slot}"))?;
    }
    if !scenario.lies_at(Time::Probe) {
        vm.ok(&format!("await 10 is_live {slot}"))?;
        lie(vm)?;
    } else if state(vm, slot)? != "live" {
        return Ok(Outcome::Refused);
    }
    if scenario.lies_at(Time::Run) {
        vm.ok(&format!("read_status {slot}"))?;
    }
    if scenario.sleeps || scenario.lies_at(Time::Freeze) || scenario.lies_at(Time::Restore) {
        // The second time must go as well, whatever the first did.
        for kind in ["mem", "disk"] {
            vm.scripted()
                .iter()
                .for_each(|device| device.set_sleeping(true));
            if bounded(vm, &format!("sleep_once {kind}"))? == Went::Hangs {
                return Ok(Outcome::Hangs);
            }
            if state(vm, slot)? != "live" {
                // It is unregistered as soon as that can be done.
                vm.ok(&format!("await 10 fails virtio_of {slot}"))?;
            }
        }
        if state(vm, slot)? != "live" {
            return Ok(Outcome::Detached);
        }
    }
    if scenario.idle {
        return Ok(Outcome::Works);
    }
    Ok(match small_io(vm, scenario.device)? {
        Went::Ok => Outcome::Works,
        Went::Fails => Outcome::Errors,
        Went::Hangs => Outcome::Waits,
    })
}

fn state(vm: &mut Vm, slot: &str) -> Result<String> {
    vm.ok(&format!("state_of {slot}"))
}
