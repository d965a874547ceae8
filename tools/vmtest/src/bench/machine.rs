// SPDX-License-Identifier: GPL-2.0

//! The VMs in which the measurements run.

use std::fs;
use std::path::Path;

use anyhow::Context;

use vm::failure::Outcome;
use vm::layout::{Board, Interrupts, Layout};
use vm::runner::fresh_folder;
use vm::setup::Setup;
use vm::{Vm, BOOT};

/// Makes a nanosecond of the guest one instruction, the same ones each time.
const EXACT: [&str; 6] = [
    "-seed",
    "42",
    "-cpu",
    "qemu64,-rdrand,-rdseed",
    "-rtc",
    "base=2026-01-01,clock=vm",
];

/// A disk that stores nothing and answers at once.
#[derive(Clone, Copy)]
pub(super) struct Disk {
    /// Its PCI slot.
    pub(super) slot: u8,
    /// How many virtqueues it has.
    pub(super) queues: u8,
}

impl Disk {
    /// Its slot as the guest writes it.
    pub(super) fn slot(self) -> String {
        format!("{:02x}", self.slot)
    }

    fn arguments(self, interrupts: Interrupts, ioeventfd: bool) -> [String; 4] {
        let Self { slot, queues } = self;
        let vectors = vectors(interrupts, queues);
        let ioeventfd = if ioeventfd { "on" } else { "off" };
        [
            "-blockdev".to_owned(),
            format!("driver=null-co,node-name=null{slot},size=67108864,read-zeroes=on"),
            "-device".to_owned(),
            format!(
                "virtio-blk-pci,drive=null{slot},num-queues={queues},addr=0x{slot:x},\
                 disable-legacy=off,disable-modern=on,vectors={vectors},ioeventfd={ioeventfd}"
            ),
        ]
    }
}

/// How many vectors a device with this many virtqueues gets.
fn vectors(interrupts: Interrupts, queues: u8) -> u8 {
    match interrupts {
        Interrupts::PerQueue => queues + 1,
        Interrupts::Shared => 2,
        Interrupts::Intx => 0,
    }
}

/// Waits until a disk is there for users.
pub(super) fn await_disk(vm: &mut Vm, slot: &str) -> Outcome {
    vm.ok(&format!(
        "await 10 is_live {slot} && await 10 disk_of {slot}"
    ))?;
    Ok(())
}

/// The words for a disk in QEMU's terms, for messages.
pub(super) fn name(interrupts: Interrupts) -> &'static str {
    match interrupts {
        Interrupts::PerQueue => "MSI-X",
        Interrupts::Shared => "shared MSI-X",
        Interrupts::Intx => "INTx",
    }
}

/// A machine with these disks and no other virtio device.
pub(super) fn with_disks(interrupts: Interrupts, cpus: u8, disks: &[Disk], traced: bool) -> Layout {
    let mut layout = Layout::new(Board::Pc, interrupts, cpus).with_kinds(&[]);
    layout.traced = traced;
    let arguments = disks.iter().map(|disk| disk.arguments(interrupts, !traced));
    layout.extra.extend(arguments.flatten());
    layout
}

/// A machine with one virtual CPU that counts instructions, and this disk.
///
/// Notifications are handled before the guest goes on: while it waits for another thread of QEMU,
/// its clock would leap to the next timer.
pub(super) fn exact(interrupts: Interrupts, disk: Disk) -> Layout {
    let mut layout = with_disks(interrupts, 1, &[disk], true);
    layout.traced = false;
    counting(layout, "shift=0,sleep=off")
}

/// The same with a network interface in another slot.
///
/// Its clock does not leap while it waits for the host, who answers from another thread of QEMU.
pub(super) fn counted(interrupts: Interrupts, disk: Disk, network: &str) -> Layout {
    let mut layout = with_disks(interrupts, 1, &[disk], true);
    layout.traced = false;
    // Its virtqueues for what it receives and what it sends.
    let vectors = vectors(interrupts, 2);
    layout.extra.extend([
        "-netdev".to_owned(),
        "user,id=network".to_owned(),
        "-device".to_owned(),
        format!(
            "virtio-net-pci,netdev=network,addr=0x{network},disable-legacy=off,disable-modern=on,\
             vectors={vectors},ioeventfd=off,romfile="
        ),
    ]);
    counting(layout, "shift=0")
}

fn counting(mut layout: Layout, icount: &str) -> Layout {
    layout
        .extra
        .extend(["-icount".to_owned(), icount.to_owned()]);
    layout.extra.extend(EXACT.map(str::to_owned));
    layout.words = "nokaslr norandmaps randomize_kstack_offset=off rcupdate.rcu_expedited=1 \
        rcutree.jiffies_till_first_fqs=0 rcutree.jiffies_till_next_fqs=0";
    layout
}

/// Boots a machine, has something measured in it, and gives its command line.
pub(super) fn in_vm(
    setup: &Setup,
    name: &str,
    layout: &Layout,
    measure: impl FnOnce(&mut Vm, &Path) -> Outcome,
) -> Outcome<String> {
    let dir = fresh_folder(&setup.logs, &format!("bench-{name}"))?;
    let command = || {
        let path = dir.join("command");
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let mut vm = Vm::boot(setup, layout, &dir, BOOT)?;
    let outcome = measure(&mut vm, &dir);
    let outcome = outcome.map_err(|failure| vm.explained(failure));
    drop(vm);
    Vm::tidy(&dir);
    outcome?;
    Ok(command()?.trim().to_owned())
}
