// SPDX-License-Identifier: GPL-2.0

//! Leaks, which the debug kernel finds.

use vm::runner::Cell;

/// The last cell of a test on the debug kernel.
pub(crate) fn no_leaks() -> Cell {
    Cell::new("nothing leaked", |vm| {
        // What leaks at each load is found even if something that looks like a reference to one
        // of the objects is left somewhere.
        let reload = "load_driver && unload_driver";
        vm.ok(&format!(
            "stop_swap; ensure_unloaded && {reload} && {reload}"
        ))?;
        vm.ok("check_leaks").map(drop)
    })
}
