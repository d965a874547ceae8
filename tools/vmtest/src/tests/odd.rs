// SPDX-License-Identifier: GPL-2.0

//! Devices that QEMU has not: BAR0 too short or absent, one MSI-X vector, state that is kept in D3.
//!
//! With `short-configuration`, the ports of the three devices follow each other: firmware places BARs
//! of one size side by side.

use std::time::Duration;

use scripted::{Bar, Power};

use super::strict::check_breaches;
use crate::failure::{Failure, Outcome};
use crate::layout::{Board, Interrupts, Kind, Layout};
use crate::runner::{Cell, Test};
use crate::scripted_slot::{Model, Scripted};
use crate::vm::{Vm, BOOT};

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
/// There is no interrupt at all.
const NO_PIN: Scripted = Scripted {
    has_pin: false,
    strict: false,
    ..Scripted::new("s-nopin", "14", Model::Rng, 0)
};
const KEEPS_STATE: Scripted = Scripted {
    power: Power::KeepsState,
    ..Scripted::new("s-keeps", "13", Model::Disk(8), 2)
};

/// With MSI-X, 8 bytes of the device configuration are left: the capacity, and not the number of
/// segments.
const LITTLE: Scripted = Scripted {
    bar: Bar::Ports(32),
    ..Scripted::new("s-little", "11", Model::Disk(8), 2)
};
/// What is behind the ports of that disk are the ports of one of these.
const NEIGHBOURS: [Scripted; 2] = [
    Scripted {
        bar: Bar::Ports(32),
        ..Scripted::new("s-below", "10", Model::Rng, 2)
    },
    Scripted {
        bar: Bar::Ports(32),
        ..Scripted::new("s-above", "12", Model::Rng, 2)
    },
];

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

fn neighbours_are_left_alone() -> Vec<Cell> {
    vec![Cell::new("s-little: no access behind BAR0", |vm| {
        vm.ok("ensure_loaded")?;
        let slot = LITTLE.slot;
        vm.ok(&format!("check_bound {slot} {}", LITTLE.policy()))?;
        vm.ok(&format!("small_io disk {slot}"))?;
        check_breaches(vm)?;
        let says = "device configuration has 8 bytes, 4 at 0xc are outside";
        vm.ok(&format!("log_says {slot} '.*{says}'")).map(drop)
    })]
}

/// The tests of odd devices.
pub(crate) fn all() -> Vec<Test> {
    let test = |name: &str, about: &str, devices: &[Scripted], cells| {
        let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&[Kind::Blk]);
        layout.scripted = devices.to_vec();
        Test {
            name: name.to_owned(),
            about: about.to_owned(),
            layout,
            boot: BOOT,
            limit: Duration::from_secs(300),
            cells,
        }
    };
    let [below, above] = NEIGHBOURS;
    vec![
        test(
            "odd-devices",
            "BAR0 too short or absent, one MSI-X vector, state that is kept in D3",
            &[SHORT, NO_BAR, ONE_VECTOR, KEEPS_STATE],
            cells(),
        ),
        test(
            "no-interrupt",
            "a device without an interrupt",
            &[NO_PIN],
            vec![Cell::new("refused", |vm| {
                vm.ok("ensure_loaded")?;
                vm.ok(&format!("check_no_interrupt {}", NO_PIN.slot))
                    .map(drop)
            })],
        ),
        test(
            "short-configuration",
            "a field of the device configuration is outside of BAR0",
            &[below, LITTLE, above],
            neighbours_are_left_alone(),
        ),
    ]
}
