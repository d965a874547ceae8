// SPDX-License-Identifier: GPL-2.0

//! Disks whose backends work in threads of their own or slowly.

use std::time::Duration;

use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// Disks: one in an I/O thread, one whose virtqueues are mapped to two of them, one that is
/// throttled.
const DISKS: [&str; 3] = ["10", "11", "12"];
/// How often each disk is reset under load.
const RESETS: u32 = 10;

/// A load on all disks that verifies, and something that happens to them.
fn cell(name: &str, cycles: u32, happens: impl Fn(&mut Vm) -> Outcome + 'static) -> Cell {
    let cell = Cell::new(name, move |vm| {
        let slots = DISKS.join(" ");
        vm.ok(&format!("ensure_loaded && start_work {slots}"))?;
        happens(vm)?;
        vm.ok_within(&format!("check_work {slots}"), Duration::from_secs(120))?;
        vm.ok_within(&format!("stop_load {slots}"), Duration::from_secs(90))
            .map(drop)
    });
    cell.cycles(cycles)
}

fn test(interrupts: Interrupts) -> Test {
    let vectors = |queues: u8| match interrupts {
        Interrupts::Intx => 0,
        _ => queues + 1,
    };
    let legacy = "\"disable-legacy\":\"off\",\"disable-modern\":true";
    let disk = |name: &str, slot: &str, queues: u8, more: &str| {
        let vectors = vectors(queues);
        let device = format!(
            "{{\"driver\":\"virtio-blk-pci\",\"id\":\"dev-{name}\",\"drive\":\"{name}\",\
             \"bus\":\"port-{slot}\",{legacy},\"num-queues\":{queues},\"vectors\":{vectors}{more}}}"
        );
        ("-device", device)
    };
    let mapped = ",\"iothread-vq-mapping\":[{\"iothread\":\"io1\"},{\"iothread\":\"io2\"}]";
    // What is written is kept in memory before a device that takes its time for all else.
    let drive = |name: &str, more: &str| {
        let text = format!(
            "if=none,id={name},snapshot=on,file.driver=null-co,file.size=67108864,\
             file.read-zeroes=on,{more}"
        );
        ("-drive", text)
    };
    let io = |name: &str| ("-object", format!("iothread,id={name}"));
    // The PCI core can reset what is behind a PCIe port.
    let port = |slot| {
        let text = format!(
            "pcie-root-port,id=port-{slot},bus=pcie.0,addr=0x{slot},chassis=0x{slot},slot=0x{slot}"
        );
        ("-device", text)
    };
    let layout = Layout::new(Board::Q35, interrupts, 2)
        .with_kinds(&[])
        .with(DISKS.map(port))
        .with(["io0", "io1", "io2"].map(io))
        .with([
            drive("d0", "file.latency-ns=2000000"),
            drive("d1", "file.latency-ns=2000000"),
            drive("d2", "throttling.iops-total=200,throttling.iops-size=4096"),
            disk("d0", DISKS[0], 1, ",\"iothread\":\"io0\""),
            disk("d1", DISKS[1], 2, mapped),
            disk("d2", DISKS[2], 1, ""),
        ]);
    let reset = cell("resets by the PCI core", 0, |vm| {
        for slot in DISKS {
            vm.ok(&format!("reset_device {slot} {RESETS}"))?;
        }
        Ok(())
    });
    let slept = cell("mem and disk, pm_test devices", 2, |vm| {
        vm.ok("pm_test_cycles mem devices 1 && pm_test_cycles disk devices 1")
            .map(drop)
    });
    // One S3 a boot is all that QEMU's q35 takes.
    let memory = cell("suspend to memory", 1, Vm::suspend_to_memory);
    let rebound = Cell::new("unbind and bind with requests in flight", |vm| {
        vm.ok("ensure_loaded")?;
        for slot in DISKS {
            vm.ok(&format!("keep_busy blk {slot}"))?;
            vm.ok(&format!("rebind_device {slot}; end_busy"))?;
            vm.ok(&format!("await 10 is_live {slot} && check_blk {slot}"))?;
        }
        Ok(())
    });
    Test::new(
        format!("io-threads-{interrupts}"),
        format!("disks in I/O threads and throttled ones, {interrupts} interrupts"),
        layout,
        vec![reset, slept, rebound, memory],
    )
    .limit(Duration::from_secs(600))
}

/// The tests of backends in threads.
pub(crate) fn all() -> Vec<Test> {
    vec![test(Interrupts::PerQueue), test(Interrupts::Intx)]
}
