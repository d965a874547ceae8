// SPDX-License-Identifier: GPL-2.0

//! What QEMU traces of the registers, and what the guest sees of the devices.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::json;
use virtio_check::{DeviceInfo, Observations, Phase};
use vm::failure::{Failure, Outcome};
use vm::Vm;

/// The events that tell of accesses to registers.
const EVENTS: [&str; 2] = ["memory_region_ops_read", "memory_region_ops_write"];

/// Begins a phase in the trace.
pub(crate) fn mark(vm: &mut Vm, phase: Phase) -> Outcome {
    let port = virtio_check::MARK_PORT;
    vm.qmp()
        .human(&format!("o /b {port:#x} {}", phase.mark()))?;
    Ok(())
}

/// Has QEMU trace accesses to registers from now on.
pub(crate) fn trace_registers(vm: &mut Vm) -> Outcome {
    for event in EVENTS {
        vm.qmp().execute(
            "trace-event-set-state",
            &json!({ "name": event, "enable": true }),
        )?;
    }
    Ok(())
}

/// What the guest sees of the device in a slot, and where its registers are.
pub(crate) fn observe_slot(
    vm: &mut Vm,
    slot: &str,
    name: &str,
) -> Outcome<(DeviceInfo, Observations)> {
    let text = vm.ok(&format!("observe {slot}"))?;
    let mut values = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, value)) = line.split_once('=') {
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    let mut take = |name: &str| {
        values
            .remove(name)
            .ok_or_else(|| Failure::Failed(format!("observe says nothing of {name}: {text}")))
    };
    let interrupts = take("interrupts")?;
    let features = take("features")?;
    let status = take("status")?;
    let number = |text: String| {
        let digits = text.trim_start_matches("0x").to_owned();
        u64::from_str_radix(&digits, 16).with_context(|| format!("{text:?} is no address"))
    };
    let first = number(take("bar_first")?)?;
    let last = number(take("bar_last")?)?;
    let info = DeviceInfo {
        name: name.to_owned(),
        bar_base: first,
        bar_len: last - first + 1,
        // An interrupt of MSI-X is named for what it belongs to, after the device's name.
        msix: Some(interrupts.contains('-')),
        queues: None,
    };
    let observations = Observations {
        interrupts: interrupts.split_whitespace().map(str::to_owned).collect(),
        features,
        status,
        attributes: values.into_iter().collect(),
    };
    Ok((info, observations))
}
