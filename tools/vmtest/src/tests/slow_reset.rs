// SPDX-License-Identifier: GPL-2.0

//! A device whose first reset takes seconds: the order in which modules are loaded does not matter,
//! and other devices do not wait for it.

use scripted::Lie;

use vm::failure::{Failure, Outcome};
use vm::grade::Grade;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::scripted_slot::{Model, Scripted};
use vm::Vm;

const RNG: Scripted = Scripted {
    strict: false,
    ..Scripted::new("s-rng", "04", Model::Rng, 2)
};
/// The slot after that of the slow device, which is probed after it.
const OTHER: Kind = Kind::Net;
/// How often the status is read until the reset is seen complete: for seconds.
const READS: usize = 220;
/// What the C driver does: it takes the reset for complete.
const WARNS: &str = "WARNING: include/linux/virtio_config.h:348";

fn lied(vm: &Vm) -> usize {
    vm.scripted().iter().map(scripted::Device::lied).sum()
}

fn load_slow(vm: &mut Vm) -> Outcome {
    let lie: Lie = format!("probe read STATUS-after-reset set 0xf x{READS}").parse()?;
    vm.scripted().iter().for_each(|device| {
        device.lie(std::slice::from_ref(&lie));
    });
    vm.ok("load_driver")?;
    vm.ok(&format!(
        "await 10 is_live {0} || is_live {0}",
        OTHER.slot()
    ))?;
    if vm.layout().scripted.is_empty() || lied(vm) >= READS {
        let text = "the device behind the slow one waited for it";
        return Err(Failure::Failed(text.to_owned()));
    }
    Ok(())
}

fn ends_well(vm: &mut Vm) -> Outcome {
    vm.ok(&format!("await 30 is_live {0} || is_live {0}", RNG.slot))?;
    if lied(vm) < READS {
        return Err(Failure::Failed("the reset was not waited for".to_owned()));
    }
    vm.ok(&format!("check_rng {}", RNG.slot))?;
    vm.ok("unload_driver").map(drop)
}

/// The test of slow resets.
pub(crate) fn all() -> Vec<Test> {
    let before = Cell::new("the virtio driver is there before", |vm| {
        vm.ok("ensure_unloaded")?;
        load_slow(vm)?;
        ends_well(vm)
    });
    let before = before.on_c(Grade::Lost, WARNS);
    let during = Cell::new(
        "the virtio driver comes while the reset is waited for",
        |vm| {
            vm.ok("ensure_unloaded && rmmod virtio_rng")?;
            load_slow(vm)?;
            vm.ok("insmod /modules/kernel/virtio_rng.ko")?;
            ends_well(vm)
        },
    );
    let during = during.on_c(Grade::Lost, WARNS);
    let after = Cell::new("the virtio driver comes after the reset", |vm| {
        vm.ok("ensure_unloaded && rmmod virtio_rng")?;
        load_slow(vm)?;
        vm.ok(&format!("await 30 has_status {} 0x01", RNG.slot))?;
        vm.ok("insmod /modules/kernel/virtio_rng.ko")?;
        ends_well(vm)
    });
    let after = after.on_c(Grade::Errors, "the reset is not waited for");
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 1).with_kinds(&[OTHER]);
    layout.scripted = vec![RNG];
    vec![Test::new(
        "slow-reset",
        "a first reset that takes seconds, and the order in which modules are loaded",
        layout,
        vec![before, during, after],
    )
    .in_check()]
}
