// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs that are open while their device or the module goes; on the debug kernel, which
//! sees wrong accesses.

use machine::Variant;

use crate::cells::device::{check_bound, check_io};
use crate::cells::leaks::no_leaks;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
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
    let test = Test::new(
        "debugfs-held",
        "files in debugfs that are open while their device or the module goes",
        layout,
        [unbound, unplugged, removed, no_leaks()]
            .map(Cell::needs_module)
            .into(),
    );
    vec![test.in_check()]
}
