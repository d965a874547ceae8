// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs, for each device: what happened to it and what it is like now.
//!
//! Reading a file changes nothing in the device: not the selected virtqueue, and never the ISR.

use kernel::{
    debugfs::Scope,
    fmt,
    prelude::*,
    sync::Arc, //
};

use super::{
    regs,
    status::Status,
    transport::Transport, //
};
use crate::abstractions::debugfs;

/// The files of a device; removed when this is dropped.
pub(super) type Files = Pin<KBox<Scope<Arc<Transport>>>>;

/// Makes the files of a device, if there is a directory for them.
///
/// Nobody does without a device for want of them.
pub(super) fn files(transport: &Arc<Transport>) -> Option<Files> {
    let directory = debugfs::directory()?;
    let scope = directory.scope(
        transport.clone(),
        transport.pci.name(),
        |transport, directory| {
            directory.read_callback_file(c"journal", transport, &journal);
            directory.read_callback_file(c"registers", transport, &registers);
            directory.read_callback_file(c"queues", transport, &queues);
            directory.read_callback_file(c"vectors", transport, &vectors);
            directory.read_callback_file(c"counters", transport, &counters);
        },
    );
    KBox::pin_init(scope, GFP_KERNEL).ok()
}

fn journal(transport: &Arc<Transport>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let journal = transport.journal.lock();
    let lost = journal.lost();
    if lost > 0 {
        writeln!(f, "{lost} older events are lost")?;
    }
    for entry in journal.entries() {
        writeln!(f, "{entry}")?;
    }
    Ok(())
}

fn registers(transport: &Arc<Transport>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // The PCI core does not begin a reset meanwhile. A device that is being removed is still mapped.
    let known = transport.known.lock();
    if !transport.is_connected() {
        return writeln!(f, "disconnected");
    }
    if known.resetting || !transport.pci.is_enabled() {
        return writeln!(f, "disabled");
    }
    let (all, none) = (u32::MAX, u16::MAX);
    let offered = transport.read(&regs::HOST_FEATURES, all);
    let accepted = transport.read(&regs::GUEST_FEATURES, all);
    let status = Status::from_raw(transport.read(&regs::STATUS, Status::GONE.raw()));
    writeln!(f, "HOST_FEATURES     {offered:#010x}")?;
    writeln!(f, "GUEST_FEATURES    {accepted:#010x}")?;
    let (selected, num, pfn) = (
        transport.read(&regs::QUEUE_SEL, none),
        transport.read(&regs::QUEUE_NUM, none),
        transport.read(&regs::QUEUE_PFN, all),
    );
    writeln!(f, "QUEUE_SEL         {selected}")?;
    writeln!(f, "QUEUE_NUM         {num}")?;
    writeln!(f, "QUEUE_PFN         {pfn:#010x}")?;
    writeln!(f, "STATUS            {status}")?;
    if transport.has_vector_registers() {
        let config = transport.read(&regs::MSI_CONFIG_VECTOR, none);
        let queue = transport.read(&regs::MSI_QUEUE_VECTOR, none);
        writeln!(f, "MSI_CONFIG_VECTOR {config:#06x}")?;
        writeln!(f, "MSI_QUEUE_VECTOR  {queue:#06x}")?;
    }
    let config = regs::config_offset(transport.has_vector_registers());
    writeln!(f, "device configuration at {config}")
}

fn queues(transport: &Arc<Transport>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match &*transport.queues.lock() {
        Some(queues) => queues.show(f),
        None => writeln!(f, "none"),
    }
}

fn vectors(transport: &Arc<Transport>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match &*transport.queues.lock() {
        Some(queues) => queues.show_vectors(f),
        None => writeln!(f, "none"),
    }
}

fn counters(transport: &Arc<Transport>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (counters, lint) = (&transport.counters, &transport.lint);
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
            &lint.early_notifications,
        ),
        (
            "lint: notifications after a reset",
            &lint.late_notifications,
        ),
        (
            "lint: configuration written before features",
            &lint.early_config_writes,
        ),
    ] {
        writeln!(f, "{name}: {}", counter.get())?;
    }
    let on = if super::lint::is_on() { "on" } else { "off" };
    writeln!(f, "lint is {on}")
}
