// SPDX-License-Identifier: GPL-2.0

//! What the tests do, on the KCSAN kernel: data races of virtio are failures.

use std::time::Duration;

use machine::Variant;

use crate::cells::device::check_io;
use crate::cells::lifecycle;
use crate::cells::sleep::{self, Cycles};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

/// The last cell on the KCSAN kernel: it has looked at what the devices do.
fn races_were_looked_for() -> Cell {
    Cell::new("KCSAN has watched", |vm| {
        vm.ok("ensure_loaded && check_kcsan")?;
        check_io(vm, Kind::Blk)?;
        let counts = vm.ok("check_kcsan")?;
        vm.note(format!("KCSAN: {counts}"));
        for title in vm.other_races()? {
            vm.note(format!("not of virtio: {title}"));
        }
        Ok(())
    })
}

/// Everything, on the KCSAN kernel. Rust code is not instrumented.
pub(crate) fn all() -> Vec<Test> {
    let kinds = Kind::TESTED.to_vec();
    let mut cells = lifecycle::cells(&kinds);
    cells.extend(sleep::levels_at_once());
    let real = sleep::real_cells(Board::Pc, Cycles::ONE).into_iter();
    // Linux 7.3.4 with KCSAN does not come back from S3, with either driver.
    cells.extend(real.filter(|cell| !cell.name.starts_with("suspend to memory")));
    cells.push(races_were_looked_for());
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 4).with_swap();
    layout.kernel = Variant::Kcsan;
    // Races of others are no reason for a panic, and all are to be seen.
    layout.words = "panic_on_warn=0 log_buf_len=4M kcsan.skip_watch=1000";
    vec![Test::new(
        "kcsan",
        "every device, I/O, unbinding, hot-plug, sleep, on the KCSAN kernel",
        layout,
        cells,
    )
    .limit(Duration::from_secs(1200))]
}
