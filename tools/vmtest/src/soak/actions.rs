// SPDX-License-Identifier: GPL-2.0

//! The actions of a round, each with the check that everything still works.

use std::time::Duration;

use super::schedule::{Action, Step};
use crate::cells::device::{check_all_bound, check_io};
use vm::failure::{Failure, Outcome};
use vm::layout::Kind;
use vm::Vm;

/// The disks that are written and verified all the time.
const LOADED: [Kind; 2] = [Kind::Blk, Kind::Scsi];
/// How often a device is pulled out and plugged in by a storm.
const PLUGS: u32 = 5;
/// How often a device is unbound and bound by a storm.
const BINDS: u32 = 10;
/// How often the module is removed and loaded by a storm.
const RELOADS: u32 = 3;
/// How long the load may take to verify what it wrote.
const VERIFY: Duration = Duration::from_secs(120);

fn loaded_slots() -> String {
    LOADED.map(Kind::slot).join(" ")
}

/// Loads the driver, puts work on the machine, and gives what tells this boot and its processes.
pub(super) fn begin(vm: &mut Vm) -> Outcome<String> {
    vm.ok(&format!("ensure_loaded && swap_on {}", Kind::Swap.slot()))?;
    vm.ok(&format!("net_up {}", Kind::Net.slot()))?;
    vm.ok(&format!("start_work {}", loaded_slots()))
}

/// Input and output of every device, and an end of the load without an error.
pub(super) fn end(vm: &mut Vm) -> Outcome {
    vm.connect_port()?;
    let mut idle = Kind::FROZEN.iter().filter(|kind| !LOADED.contains(kind));
    idle.try_for_each(|&kind| check_io(vm, kind))?;
    vm.ok_within(&format!("stop_load {}", loaded_slots()), VERIFY)?;
    LOADED.into_iter().try_for_each(|kind| check_io(vm, kind))?;
    vm.check_kernel()
}

/// Does a step and checks that the work goes on, in the same boot and the same processes.
pub(super) fn step(vm: &mut Vm, step: Step, before: &str) -> Outcome {
    let slot = step.kind.slot();
    // The kernel itself says when it is suspended.
    if step.action != Action::Suspend {
        vm.mark(&format!("{} {}", step.action, step.kind.name()))?;
    }
    match step.action {
        Action::Suspend => vm.suspend_to_memory()?,
        Action::TestResume => drop(vm.ok("test_resume")?),
        Action::Hibernate => vm.hibernate()?,
        Action::PlugStorm => {
            for _ in 0..PLUGS {
                vm.unplug(step.kind)?;
                vm.plug(step.kind)?;
            }
            vm.connect_port()?;
        }
        Action::BindStorm => {
            vm.ok(&format!(
                "for _ in $(seq {BINDS}); do rebind_device {slot} || exit; done"
            ))?;
        }
        Action::ReloadStorm => {
            vm.ok_within(&format!("stop_load {}", loaded_slots()), VERIFY)?;
            let reload = "unload_driver && load_driver || exit";
            vm.ok(&format!(
                "swapoff -a; for _ in $(seq {RELOADS}); do {reload}; done"
            ))?;
            vm.ok(&format!("swap_on {}", Kind::Swap.slot()))?;
            vm.ok(&format!("net_up {}", Kind::Net.slot()))?;
            vm.ok(&format!("start_work {}", loaded_slots()))?;
            vm.connect_port()?;
        }
    }
    let after = vm.ok_within(&format!("check_work {}", loaded_slots()), VERIFY)?;
    if before != after {
        let text = format!("another boot or another process:\n{before}\n{after}");
        return Err(Failure::Failed(text));
    }
    // Most steps are suspends, and to look at everything takes longer than these: it is done before
    // the next step of another kind.
    if step.action == Action::Suspend {
        return vm.check_log();
    }
    check_all(vm)
}

/// Every device is bound, and the kernel is well.
pub(super) fn check_all(vm: &mut Vm) -> Outcome {
    let kinds = vm.layout().kinds.clone();
    check_all_bound(vm, &kinds)?;
    vm.check_kernel()
}
