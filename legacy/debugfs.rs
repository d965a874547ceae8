// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs, for each device: what happened to it and what it is like now.
//!
//! Reading a file changes nothing in the device: not the selected virtqueue, and never the ISR.

use kernel::{
    fmt,
    prelude::*,
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
    Files,
    Show, //
};

/// The files of a device; removed when this is dropped.
pub(super) type DeviceFiles = Files<LegacyDevice>;

/// Makes the files of a device. Failure to create them is not fatal.
pub(super) fn files(dev: &Arc<LegacyDevice>) -> Option<DeviceFiles> {
    let dir = Dir::below(
        <crate::LocalModule as kernel::ModuleMetadata>::NAME,
        dev.hw.pci().name(),
    );
    let files = Files::new(dir.ok()?, dev.clone());
    files.add::<JournalFile>();
    files.add::<RegistersFile>();
    files.add::<QueuesFile>();
    files.add::<VectorsFile>();
    files.add::<CountersFile>();
    Some(files)
}

struct JournalFile;

impl Show<LegacyDevice> for JournalFile {
    const NAME: &'static CStr = c"journal";

    fn show(dev: &LegacyDevice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
}

struct RegistersFile;

impl Show<LegacyDevice> for RegistersFile {
    const NAME: &'static CStr = c"registers";

    fn show(dev: &LegacyDevice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No sleep, reset or removal begins while this is held.
        let life = dev.life.lock();
        if life.get().is_detached() {
            return writeln!(f, "detached");
        }
        if !life.get().has_registers() || !dev.hw.pci().is_enabled() {
            return writeln!(f, "stopped");
        }
        let hw = &dev.hw;
        let (all, none) = (u32::MAX, u16::MAX);
        let offered = hw.read(&regs::HOST_FEATURES, all);
        let accepted = hw.read(&regs::GUEST_FEATURES, all);
        let status = Status::from_raw(hw.read(&regs::STATUS, Status::GONE.raw()));
        writeln!(f, "HOST_FEATURES     {offered:#010x}")?;
        writeln!(f, "GUEST_FEATURES    {accepted:#010x}")?;
        let (selected, num, pfn) = (
            hw.read(&regs::QUEUE_SEL, none),
            hw.read(&regs::QUEUE_NUM, none),
            hw.read(&regs::QUEUE_PFN, all),
        );
        writeln!(f, "QUEUE_SEL         {selected}")?;
        writeln!(f, "QUEUE_NUM         {num}")?;
        writeln!(f, "QUEUE_PFN         {pfn:#010x}")?;
        writeln!(f, "STATUS            {status}")?;
        if hw.has_vector_registers() {
            let config = hw.read(&regs::MSI_CONFIG_VECTOR, none);
            let queue = hw.read(&regs::MSI_QUEUE_VECTOR, none);
            writeln!(f, "MSI_CONFIG_VECTOR {config:#06x}")?;
            writeln!(f, "MSI_QUEUE_VECTOR  {queue:#06x}")?;
        }
        writeln!(f, "device configuration at {}", hw.config_offset())
    }
}

struct QueuesFile;

impl Show<LegacyDevice> for QueuesFile {
    const NAME: &'static CStr = c"queues";

    fn show(dev: &LegacyDevice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_queues(dev, f, Queues::show)
    }
}

struct VectorsFile;

impl Show<LegacyDevice> for VectorsFile {
    const NAME: &'static CStr = c"vectors";

    fn show(dev: &LegacyDevice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_queues(dev, f, Queues::show_vectors)
    }
}

/// Has the virtqueues shown by `show`, if there are any.
fn show_queues(
    dev: &LegacyDevice,
    f: &mut fmt::Formatter<'_>,
    show: impl FnOnce(&Queues, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    match dev.vqs.with(|queues| show(queues, f)) {
        Some(shown) => shown,
        None => writeln!(f, "none"),
    }
}

struct CountersFile;

impl Show<LegacyDevice> for CountersFile {
    const NAME: &'static CStr = c"counters";

    fn show(dev: &LegacyDevice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (counters, breaches) = (&dev.log.counters, &dev.lint);
        for (name, counter) in [
            ("resets", &counters.resets),
            ("restored", &counters.restored),
            ("not restored", &counters.not_restored),
            ("interrupt policies refused", &counters.policies_refused),
            ("configuration reads", &counters.config_reads),
            ("configuration reads repeated", &counters.config_rereads),
            ("configuration accesses outside", &counters.config_outside),
            ("status writes refused", &counters.status_refused),
            ("looks whether the device is there", &counters.checks),
            (
                "lint: notifications before DRIVER_OK",
                &breaches.early_notifications,
            ),
            (
                "lint: notifications after a reset",
                &breaches.late_notifications,
            ),
            (
                "lint: configuration written before features",
                &breaches.early_config_writes,
            ),
        ] {
            writeln!(f, "{name}: {}", counter.get())?;
        }
        let on = if lint::is_on() { "on" } else { "off" };
        writeln!(f, "lint is {on}")
    }
}
