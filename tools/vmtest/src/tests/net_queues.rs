// SPDX-License-Identifier: GPL-2.0

//! A network interface of several queues, whose number changes: by ethtool, with processors, over
//! sleep.

use std::time::Duration;

use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

const SLOT: &str = "10";
/// Processors, and pairs of queues.
const PAIRS: u8 = 4;

/// The interface has this many pairs of queues; every processor sends and hears an answer.
fn check(vm: &mut Vm, pairs: u8) -> Outcome {
    vm.ok(&format!("has_pairs {SLOT} {pairs}"))?;
    vm.ok(&format!("check_pairs {SLOT}"))?;
    vm.ok("pings_go_on").map(drop)
}

fn begin(vm: &mut Vm) -> Outcome {
    vm.ok("ensure_loaded")?;
    vm.ok(&format!("start_pings {SLOT}"))?;
    vm.ok(&format!("set_pairs {SLOT} {PAIRS}"))?;
    check(vm, PAIRS)
}

fn end(vm: &mut Vm) -> Outcome {
    vm.ok("stop_pings").map(drop)
}

fn cells() -> Vec<Cell> {
    let changed = Cell::new("by ethtool, under traffic", |vm| {
        begin(vm)?;
        for pairs in [1, 3, 2, PAIRS] {
            vm.ok(&format!("set_pairs {SLOT} {pairs}"))?;
            check(vm, pairs)?;
        }
        end(vm)
    });
    let asleep = Cell::new("over suspend and hibernation", |vm| {
        begin(vm)?;
        for pairs in [3, PAIRS] {
            vm.ok(&format!("set_pairs {SLOT} {pairs}"))?;
            vm.suspend_to_memory()?;
            check(vm, pairs)?;
        }
        vm.ok(&format!("swap_on {}", Kind::Swap.slot()))?;
        vm.ok(&format!("set_pairs {SLOT} 2"))?;
        vm.hibernate()?;
        check(vm, 2)?;
        vm.ok("stop_swap")?;
        end(vm)
    });
    let processors = Cell::new("with processors off line, and on line after sleep", |vm| {
        begin(vm)?;
        vm.ok("set_processor 3 0")?;
        check(vm, PAIRS)?;
        vm.suspend_to_memory()?;
        check(vm, PAIRS)?;
        vm.ok("set_processor 3 1")?;
        vm.suspend_to_memory()?;
        check(vm, PAIRS)?;
        end(vm)
    });
    vec![
        changed,
        asleep.cycles(3),
        processors.cycles(2),
        Cell::new("rmmod", |vm| {
            vm.ok("ensure_loaded && unload_driver").map(drop)
        }),
    ]
}

fn test(interrupts: Interrupts) -> Test {
    let vectors = match interrupts {
        Interrupts::PerQueue => 2 * PAIRS + 2,
        Interrupts::Shared => 2,
        Interrupts::Intx => 0,
    };
    let device = format!(
        "virtio-net-pci,netdev=tap,mq=on,addr=0x{SLOT},disable-legacy=off,disable-modern=on,\
         romfile=,vectors={vectors}"
    );
    let netdev = format!("tap,id=tap,ifname=tap,script=no,downscript=no,vhost=off,queues={PAIRS}");
    let mut layout = Layout::new(Board::Pc, interrupts, PAIRS)
        .with_kinds(&[])
        .with_swap()
        .with([("-netdev", netdev), ("-device", device)]);
    layout.has_tap = true;
    Test::new(
        format!("net-queues-{interrupts}"),
        format!("a network interface of {PAIRS} pairs of queues, {interrupts} interrupts"),
        layout,
        cells(),
    )
    .limit(Duration::from_secs(600))
}

/// The tests of a network interface of several queues.
pub(crate) fn all() -> Vec<Test> {
    [Interrupts::PerQueue, Interrupts::Shared, Interrupts::Intx]
        .map(test)
        .into()
}
