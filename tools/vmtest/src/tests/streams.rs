// SPDX-License-Identifier: GPL-2.0

//! Streams over the network that outlive sleeps.

use std::time::Duration;

use crate::cells::device::check_io;
use crate::cells::sleep::Cycles;
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};

fn test(interrupts: Interrupts, cycles: Cycles) -> Test {
    let slot = Kind::Net.slot();
    let images = 3.max(cycles.test_resume);
    let tcp = Cell::new(
        format!("a TCP stream over {images} test_resume"),
        move |vm| {
            vm.ok(&format!("ensure_loaded && swap_on {}", Kind::Swap.slot()))?;
            vm.ok(&format!("start_streams {slot}"))?;
            for _ in 0..images {
                vm.ok("test_resume")?;
                vm.ok("stream_goes_on && stream_pings_go_on")?;
            }
            vm.ok("stop_streams")?;
            check_io(vm, Kind::Net)
        },
    );
    // With the QEMU process goes its end of each stream, but not what answers to a ping.
    let hibernations = 3.max(cycles.hibernate);
    let pings = Cell::new(
        format!("pings over {hibernations} hibernations"),
        move |vm| {
            vm.ok(&format!("ensure_loaded && swap_on {}", Kind::Swap.slot()))?;
            vm.ok(&format!("start_streams {slot}"))?;
            for _ in 0..hibernations {
                vm.hibernate()?;
                vm.ok("stream_pings_go_on")?;
                check_io(vm, Kind::Net)?;
            }
            vm.ok("stop_streams; stop_swap; unload_driver").map(drop)
        },
    );
    Test::new(
        format!("streams-{interrupts}"),
        format!("what goes over the network goes on, {interrupts} interrupts"),
        Layout::new(Board::Pc, interrupts, 2)
            .with_kinds(&[Kind::Net])
            .with_swap(),
        vec![tcp.cycles(images), pings.cycles(hibernations)],
    )
    .limit(Duration::from_secs(600))
}

/// The tests of streams.
pub(crate) fn all(cycles: Cycles) -> Vec<Test> {
    vec![
        test(Interrupts::PerQueue, cycles),
        test(Interrupts::Intx, cycles),
    ]
}
