// SPDX-License-Identifier: GPL-2.0

//! What becomes of each device of a machine: load, I/O, unbind, reload, hot-plug.

use super::device::{check_bound, check_io};
use vm::failure::Outcome;
use vm::layout::Kind;
use vm::runner::Cell;
use vm::{succeeded, Vm, COMMAND};

/// Ends what keeps devices busy; what the host side of the port still has to send back is dropped.
fn end_busy(vm: &mut Vm) -> Outcome {
    vm.ok("end_busy")?;
    vm.connect_port()
}

/// The driver, which was loaded once, has told the interrupts of each device.
fn policy_lines(kinds: &[Kind]) -> Cell {
    let kinds = kinds.to_vec();
    Cell::new("one line tells the interrupts of each device", move |vm| {
        vm.ok("ensure_loaded")?;
        kinds.iter().try_for_each(|&kind| {
            let (slot, policy) = (kind.slot(), vm.layout().policy(kind));
            vm.ok(&format!("check_policy_line {slot} {policy}"))
                .map(drop)
        })
    })
}

/// The cells of one VM.
pub(crate) fn cells(kinds: &[Kind]) -> Vec<Cell> {
    let mut cells = Vec::new();
    let some = |kinds: &[Kind], what: &str, body: fn(&mut Vm, Kind) -> Outcome| -> Vec<Cell> {
        let cell = |&kind: &Kind| {
            Cell::new(format!("{}: {what}", kind.name()), move |vm| {
                vm.ok("ensure_loaded")?;
                body(vm, kind)
            })
        };
        kinds.iter().map(cell).collect()
    };
    let each = |what: &str, body| some(kinds, what, body);
    let (idle, busy): (Vec<Kind>, Vec<Kind>) = kinds
        .iter()
        .partition(|kind| matches!(kind, Kind::Balloon | Kind::NineP));
    let bound = each("bound after insmod", check_bound);
    let io = each("I/O", check_io);
    let rebound = each("unbind and bind", |vm, kind| {
        vm.ok(&format!("rebind_device {}", kind.slot()))?;
        check_bound(vm, kind)?;
        check_io(vm, kind)
    });
    let reload = |number: u32| {
        Cell::new(format!("rmmod and insmod, time {number}"), |vm| {
            vm.ok("ensure_loaded && unload_driver && load_driver")?;
            Ok(())
        })
    };
    let first = each("I/O after reload 1", |vm, kind| {
        check_bound(vm, kind)?;
        check_io(vm, kind)
    });
    let second = each("I/O after reload 2", |vm, kind| {
        check_bound(vm, kind)?;
        check_io(vm, kind)
    });
    let busy_rebound = some(&busy, "unbind and bind with I/O running", |vm, kind| {
        let slot = kind.slot();
        vm.ok(&format!("keep_busy {} {slot}", kind.name()))?;
        let answer = vm.run(&format!("rebind_device {slot}"), COMMAND)?;
        end_busy(vm)?;
        succeeded("rebind_device", answer)?;
        check_bound(vm, kind)?;
        check_io(vm, kind)
    });
    let replugged = some(&idle, "hot-unplug and hot-plug", |vm, kind| {
        vm.unplug(kind)?;
        vm.plug(kind)?;
        check_bound(vm, kind)?;
        check_io(vm, kind)
    });
    let busy_replugged = some(
        &busy,
        "hot-unplug with I/O running and hot-plug",
        |vm, kind| {
            vm.ok(&format!("keep_busy {} {}", kind.name(), kind.slot()))?;
            vm.unplug(kind)?;
            end_busy(vm)?;
            vm.plug(kind)?;
            check_bound(vm, kind)?;
            check_io(vm, kind)
        },
    );
    cells.push(Cell::new("insmod", |vm| {
        vm.ok("ensure_unloaded && load_driver")?;
        Ok(())
    }));
    cells.push(policy_lines(kinds));
    cells.extend(bound);
    cells.extend(io);
    cells.extend(rebound);
    cells.extend(busy_rebound);
    cells.push(reload(1));
    cells.extend(first);
    cells.push(reload(2));
    cells.extend(second);
    cells.extend(replugged);
    cells.extend(busy_replugged);
    cells.push(Cell::new("rmmod with I/O running", |vm| {
        vm.ok("ensure_loaded")?;
        for kind in [Kind::Blk, Kind::Rng] {
            vm.ok(&format!("keep_busy {} {}", kind.name(), kind.slot()))?;
        }
        let answer = vm.run("unload_driver", COMMAND)?;
        end_busy(vm)?;
        succeeded("unload_driver", answer).map(drop)
    }));
    cells.push(Cell::new("rmmod", |vm| {
        vm.ok("ensure_loaded && unload_driver")?;
        Ok(())
    }));
    cells
}
