// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs, for each device: what happened to it and what it is like now.
//!
//! Reading a file changes nothing in the device: not the selected virtqueue, and never the ISR.

use kernel::{
    fmt,
    sync::Arc, //
};

use super::{
    core::{
        regs,
        status::Status, //
    },
    device::LegacyDevice,
    lint,
    queues::Queues, //
};
use crate::abstractions::debugfs::{
    Dir,
    File,
    Files, //
};

/// The files of a device; removed when this is dropped.
pub(super) type DeviceFiles = Files<LegacyDevice>;

/// Makes the files of a device. Failure to create them is not fatal.
pub(super) fn files(dev: &Arc<LegacyDevice>) -> Option<DeviceFiles> {
    let dir = Dir::below(
        <crate::LocalModule as kernel::ModuleMetadata>::NAME,
        dev.hw.pci().name(),
    );
    Some(Files::new(dir.ok()?, dev.clone(), FILES))
}

/// What the files of a device show.
const FILES: &[File<LegacyDevice>] = &[
    File {
        name: c"journal",
        show: show_journal,
    },
    File {
        name: c"registers",
        show: show_registers,
    },
    File {
        name: c"queues",
        show: |dev, f| show_queues(dev, f, Queues::show),
    },
    File {
        name: c"vectors",
        show: |dev, f| show_queues(dev, f, Queues::show_vectors),
    },
    File {
        name: c"counters",
        show: show_counters,
    },
];

fn show_journal(dev: &LegacyDevice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    dev.log.with_journal(|journal| {
        let lost = journal.lost();
        if lost > 0 {
            writeln!(f, "{lost} older events are lost")?;
        }
        for entry in journal.entries() {
            writeln!(f, "{entry}")?;
        }
        Ok(())
    })
}

fn show_registers(dev: &LegacyDevice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // No sleep, reset or removal begins while this is held.
    let life = dev.life.lock();
    if life.get().is_detached() {
        return writeln!(f, "detached");
    }
    if !life.get().has_registers() || !dev.hw.pci().is_enabled() {
        return writeln!(f, "stopped");
    }
    let hw = &dev.hw;
    // What a register reads as if it is not accessed.
    let (ones32, ones16) = (u32::MAX, u16::MAX);
    let long = |register| hw.read(register, ones32);
    let short = |register| u32::from(hw.read(register, ones16));
    let offered = long(&regs::HOST_FEATURES);
    let accepted = long(&regs::GUEST_FEATURES);
    let status = Status::from_raw(hw.read(&regs::STATUS, Status::GONE.raw()));
    show_hex(f, "HOST_FEATURES", 10, offered)?;
    show_hex(f, "GUEST_FEATURES", 10, accepted)?;
    let (selected, num) = (short(&regs::QUEUE_SEL), short(&regs::QUEUE_NUM));
    let pfn = long(&regs::QUEUE_PFN);
    writeln!(f, "QUEUE_SEL         {selected}\nQUEUE_NUM         {num}")?;
    show_hex(f, "QUEUE_PFN", 10, pfn)?;
    writeln!(f, "STATUS            {status}")?;
    if hw.has_vector_registers() {
        show_hex(f, "MSI_CONFIG_VECTOR", 6, short(&regs::MSI_CONFIG_VECTOR))?;
        show_hex(f, "MSI_QUEUE_VECTOR", 6, short(&regs::MSI_QUEUE_VECTOR))?;
    }
    writeln!(f, "device configuration at {}", hw.config_offset())
}

/// Shows a register with `digits` digits, the prefix counted.
fn show_hex(f: &mut fmt::Formatter<'_>, name: &str, digits: usize, value: u32) -> fmt::Result {
    writeln!(f, "{name:<17} {value:#0digits$x}")
}

/// Shows the virtqueues by `show`, if there are any.
fn show_queues(
    dev: &LegacyDevice,
    f: &mut fmt::Formatter<'_>,
    show: fn(&Queues, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    dev.vqs.with(|queues| match queues.count() {
        0 => f.write_str("none\n"),
        _ => show(queues, f),
    })
}

fn show_counters(dev: &LegacyDevice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (name, number) in dev.log.counters.iter() {
        writeln!(f, "{name}: {number}")?;
    }
    let on = if lint::is_on() { "on" } else { "off" };
    writeln!(f, "lint is {on}")
}
