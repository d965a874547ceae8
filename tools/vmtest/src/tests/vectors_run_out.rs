// SPDX-License-Identifier: GPL-2.0

//! More interrupt vectors than a processor has.

use std::time::Duration;

use crate::cells::device::check_bound;
use vm::failure::Outcome;
use vm::grade::Grade;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// Consoles with 66 vectors each; a processor has about 200.
const SLOTS: [&str; 4] = ["10", "11", "12", "13"];
/// The device whose input and output are looked at.
const USED: Kind = Kind::Blk;
/// What the C driver does: the next interrupt policy is tried with QUEUE_PFN 0, by which the device
/// is reset, and it is not taken through the handshake again.
const WEAK: &str = "devices at work with status 0x04";

fn check_all(vm: &mut Vm) -> Outcome {
    for slot in SLOTS {
        vm.ok(&format!("await 10 is_live {slot} || is_live {slot}"))?;
    }
    check_bound(vm, USED)?;
    vm.ok(&format!("small_io disk {}", USED.slot())).map(drop)
}

fn cells() -> Vec<Cell> {
    let loaded = Cell::new("insmod", |vm| {
        vm.ok("ensure_unloaded && load_driver")?;
        check_all(vm)
    });
    let loaded = loaded.on_c(Grade::Errors, WEAK);
    let tested = |state: &'static str| {
        let cell = Cell::new(format!("{state}, pm_test devices, 2 times"), move |vm| {
            vm.ok("ensure_loaded")?;
            vm.ok(&format!("pm_test_cycles {state} devices 2"))?;
            check_all(vm)
        });
        cell.cycles(2).on_c(Grade::Errors, WEAK)
    };
    let memory = Cell::new("suspend to memory, 2 times", |vm| {
        vm.ok("ensure_loaded")?;
        for _ in 0..2 {
            vm.suspend_to_memory()?;
        }
        check_all(vm)
    });
    let removed = Cell::new("rmmod", |vm| {
        vm.ok("ensure_loaded && unload_driver").map(drop)
    });
    vec![
        loaded,
        tested("mem"),
        tested("disk"),
        memory.cycles(2).on_c(Grade::Errors, WEAK),
        removed,
    ]
}

/// The test of vectors that run out.
pub(crate) fn all() -> Vec<Test> {
    let consoles = SLOTS.map(|slot| {
        let device = format!(
            "virtio-serial-pci,id=many-{slot},addr=0x{slot},disable-legacy=off,disable-modern=on,\
             vectors=66,max_ports=31"
        );
        ("-device", device)
    });
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 1)
        .with_kinds(&[USED])
        .with(consoles);
    // It needs vectors as well.
    layout.has_tools = false;
    vec![Test::new(
        "vectors-run-out",
        "more MSI-X vectors than the processor has",
        layout,
        cells(),
    )
    .limit(Duration::from_secs(600))]
}
