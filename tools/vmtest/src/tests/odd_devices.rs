// SPDX-License-Identifier: GPL-2.0

//! Devices that QEMU has not: BAR0 too short or absent, one MSI-X vector, state that is kept in D3.

use scripted::{Bar, Power};

use crate::cells::strict::check_breaches;
use vm::failure::{Failure, Outcome};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::scripted_slot::{Model, Scripted};
use vm::Vm;

/// With MSI-X, 24 bytes are needed.
const SHORT: Scripted = Scripted {
    bar: Bar::Ports(16),
    ..Scripted::new("s-short", "10", Model::Rng, 2)
};
const NO_BAR: Scripted = Scripted {
    bar: Bar::None,
    ..Scripted::new("s-none", "11", Model::Rng, 2)
};
/// One vector is for the configuration, and none is left for the virtqueue.
const ONE_VECTOR: Scripted = Scripted::new("s-one", "12", Model::Disk(8), 1);

const KEEPS_STATE: Scripted = Scripted {
    power: Power::KeepsState,
    ..Scripted::new("s-keeps", "13", Model::Disk(8), 2)
};

fn left_alone(device: Scripted, why: &'static str) -> Cell {
    Cell::new(format!("{}: not driven", device.name), move |vm| {
        vm.ok("ensure_loaded")?;
        vm.ok(&format!("check_not_driven {} '{why}'", device.slot))
            .map(drop)
    })
}

fn accesses(vm: &Vm, name: &str) -> Outcome<usize> {
    let mut devices = vm.scripted().iter();
    let found = devices.find(|device| device.name() == name);
    found
        .map(scripted::Device::accesses)
        .ok_or_else(|| Failure::Failed(format!("there is no {name}")))
}

fn cells() -> Vec<Cell> {
    let one_vector = Cell::new("s-one: INTx", |vm| {
        vm.ok("ensure_loaded")?;
        let slot = ONE_VECTOR.slot;
        vm.ok(&format!("check_bound {slot} {}", ONE_VECTOR.policy()))?;
        vm.ok(&format!("check_blk {slot}"))?;
        check_breaches(vm)
    });
    let keeps_state = Cell::new("s-keeps: left alone in a suspend, not in a freeze", |vm| {
        vm.ok("ensure_loaded")?;
        let slot = KEEPS_STATE.slot;
        vm.ok(&format!("check_bound {slot} {}", KEEPS_STATE.policy()))?;
        // A disk that is not in use is left alone by the kernel as well.
        let io = format!("small_io disk {slot}");
        vm.ok(&io)?;
        let before = accesses(vm, KEEPS_STATE.name)?;
        vm.ok("pm_test_cycles mem devices 3")?;
        let after = accesses(vm, KEEPS_STATE.name)?;
        if before != after {
            let text = format!("{} accesses in a suspend", after - before);
            return Err(Failure::Failed(text));
        }
        vm.ok(&io)?;
        let sleeping = |vm: &Vm, sleeping| {
            let devices = vm.scripted().iter();
            devices.for_each(|device| device.set_sleeping(sleeping));
        };
        sleeping(vm, true);
        let slept = vm.ok("pm_test_cycles disk devices 3");
        sleeping(vm, false);
        slept?;
        if accesses(vm, KEEPS_STATE.name)? == after {
            return Err(Failure::Failed("it was not frozen".to_owned()));
        }
        vm.ok(&io)?;
        check_breaches(vm)
    });
    vec![
        left_alone(SHORT, "BAR0 has 16 bytes, the registers need 24"),
        left_alone(NO_BAR, "no BAR0"),
        one_vector,
        keeps_state,
        Cell::new("rmmod", |vm| {
            vm.ok("ensure_loaded && unload_driver").map(drop)
        }),
    ]
}

/// The test of odd devices.
pub(crate) fn all() -> Vec<Test> {
    let layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2)
        .with_kinds(&[Kind::Blk])
        .with_scripted(&[SHORT, NO_BAR, ONE_VECTOR, KEEPS_STATE]);
    vec![Test::new(
        "odd-devices",
        "BAR0 too short or absent, one MSI-X vector, state that is kept in D3",
        layout,
        cells(),
    )]
}
