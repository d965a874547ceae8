// SPDX-License-Identifier: GPL-2.0

//! What outlives a device or the module: files that are open, a mount, lines that say why.

use std::time::Duration;

use machine::Variant;

use super::config_space::{configure_behind, COMMAND, MEMORY_AND_MASTER};
use super::debug::no_leaks;
use super::device::{check_bound, check_io};
use crate::failure::Outcome;
use crate::layout::{Board, Interrupts, Kind, Layout};
use crate::runner::{Cell, Test};
use crate::setup::Driver;
use crate::vm::{Vm, BOOT};

/// How long a sleep may take that must not wait for a device.
const SLEEP: Duration = Duration::from_secs(60);

/// The files in debugfs, open while their device or the module goes. On the debug kernel, which sees
/// wrong accesses.
fn debugfs() -> Test {
    let slot = Kind::Rng.slot();
    let unbound = Cell::new("held over unbind", move |vm| {
        vm.ok("ensure_loaded")?;
        check_bound(vm, Kind::Rng)?;
        vm.ok(&format!("hold_debugfs {slot} && unbind_device {slot}"))?;
        vm.ok(&format!("let_go_debugfs && bind_device {slot}"))?;
        check_io(vm, Kind::Rng)
    });
    let unplugged = Cell::new("held over hot-unplug", move |vm| {
        vm.ok("ensure_loaded")?;
        vm.ok(&format!("hold_debugfs {slot}"))?;
        vm.unplug(Kind::Rng)?;
        vm.ok("let_go_debugfs")?;
        vm.plug(Kind::Rng)?;
        check_io(vm, Kind::Rng)
    });
    let removed = Cell::new("held over rmmod", move |vm| {
        vm.ok("ensure_loaded")?;
        check_bound(vm, Kind::Rng)?;
        vm.ok(&format!("hold_debugfs {slot} && rmmod_with_held_debugfs"))?;
        vm.ok("load_driver")?;
        check_io(vm, Kind::Rng)
    });
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2).with_kinds(&[Kind::Rng]);
    layout.kernel = Variant::Debug;
    Test {
        name: "debugfs-held".to_owned(),
        about: "files in debugfs that are open while their device or the module goes".to_owned(),
        layout,
        boot: BOOT,
        limit: Duration::from_secs(300),
        cells: [unbound, unplugged, removed, no_leaks()]
            .map(Cell::needs_module)
            .into(),
    }
}

/// Mounts a folder, and has its device die, unless that was done before.
fn dies_mounted(vm: &mut Vm) -> Outcome {
    let slot = Kind::NineP.slot();
    if vm.ok("grep -c ' /mnt/9p ' /proc/mounts; true")? == "1" {
        return Ok(());
    }
    vm.ok("ensure_unloaded && load_driver_with watchdog_s=1")?;
    check_bound(vm, Kind::NineP)?;
    vm.ok("mount_9p")?;
    configure_behind(vm, Kind::NineP, COMMAND, MEMORY_AND_MASTER)?;
    if vm.driver() == Driver::Rust {
        vm.ok(&format!("await 20 log_says {slot} 'device is gone'"))?;
    }
    Ok(())
}

/// Its virtio driver waits for the unmount, and nothing else is to wait for it.
fn mounted() -> Test {
    let sleeps = Cell::new("sleeps go on", |vm| {
        dies_mounted(vm)?;
        for level in ["freezer", "devices"] {
            vm.ok_within(&format!("pm_test_cycles mem {level} 2"), SLEEP)?;
            check_io(vm, Kind::Blk)?;
        }
        Ok(())
    });
    let siblings = Cell::new("a reset of another device goes on", |vm| {
        dies_mounted(vm)?;
        let slot = Kind::Blk.slot();
        vm.ok_within(&format!("reset_device {slot} 1"), SLEEP)?;
        check_io(vm, Kind::Blk)
    });
    Test {
        name: "9p-dies".to_owned(),
        about: "a folder that is mounted when its device dies".to_owned(),
        layout: Layout::new(Board::Q35, Interrupts::PerQueue, 2)
            .with_kinds(&[Kind::NineP, Kind::Blk]),
        boot: BOOT,
        limit: Duration::from_secs(300),
        cells: vec![siblings, sleeps.cycles(4)],
    }
}

/// A device behind a port that gives no I/O ports to what is behind it.
fn no_window() -> Test {
    let told = Cell::new("one line says why", |vm| {
        vm.ok("ensure_loaded")?;
        vm.ok("check_bound 07 per-queue")?;
        if vm.driver() == Driver::Rust {
            vm.ok("log_says_times 10 1 'window'")?;
        }
        Ok(())
    });
    let devices = [
        (
            "-device",
            "pcie-root-port,id=closed,bus=pcie.0,addr=0x10,chassis=1,slot=1,io-reserve=0".to_owned(),
        ),
        (
            "-device",
            "virtio-rng-pci,rng=random,id=shut,bus=closed,disable-legacy=off,disable-modern=on,vectors=2"
                .to_owned(),
        ),
    ];
    Test {
        name: "no-io-window".to_owned(),
        about: "a device behind a port without a window of I/O ports".to_owned(),
        layout: Layout::new(Board::Q35, Interrupts::PerQueue, 1)
            .with_kinds(&[Kind::Rng])
            .with(devices),
        boot: BOOT,
        limit: Duration::from_secs(120),
        cells: vec![told],
    }
}

/// The tests on the standard kernel.
pub(crate) fn all() -> Vec<Test> {
    vec![mounted(), no_window()]
}

/// Those on the debug kernel.
pub(crate) fn debugging() -> Vec<Test> {
    vec![debugfs()]
}
