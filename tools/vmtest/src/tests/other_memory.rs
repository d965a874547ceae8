// SPDX-License-Identifier: GPL-2.0

//! Images that the kernel refuses to resume: of a machine with other memory, or with a new swap.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;

use crate::cells::device::{check_all_bound, check_io};
use vm::evidence::AWAKE;
use vm::failure::{Failure, Outcome};
use vm::layout::{Board, Interrupts, Kind, Layout};
use vm::runner::{Cell, Test};
use vm::Vm;

/// What the kernel says of an image of a machine with other memory.
const OTHER_MEMORY: &str = "Hibernate inconsistent memory map\\|Image mismatch: memory size";
/// What it says besides; each image that is not resumed is a sleep without an end.
const REFUSED: &[&str] = &["Failed to load image", AWAKE];
/// The page of a swap area that tells whether it has an image.
const HEADER: [u8; 4096] = [0; 4096];

/// The image is refused, and the machine that was booted for it works.
fn refused(vm: &mut Vm, hibernated: u32, says: Option<&str>) -> Outcome {
    match vm.resume_image(hibernated) {
        Err(Failure::Failed(text)) if text.contains("no image on") => {}
        Ok(()) => return Err(Failure::Failed("the image was resumed".to_owned())),
        Err(failure) => return Err(failure),
    }
    if let Some(says) = says {
        vm.ok(&format!("kernel_log | grep -q '{says}'"))?;
    }
    check_all_bound(vm, &Kind::FROZEN)?;
    for kind in Kind::FROZEN {
        check_io(vm, kind)?;
    }
    Ok(())
}

fn hibernate(vm: &mut Vm) -> Outcome<u32> {
    let swap = Kind::Swap.slot();
    vm.allow(REFUSED);
    vm.ok(&format!("stop_swap; ensure_loaded && swap_on {swap}"))?;
    vm.hibernate_off("hibernate shutdown")
}

/// The machine has this much memory, in MiB, when the image is to be resumed.
fn other_memory(name: &str, memory: &'static str) -> Cell {
    Cell::new(name, move |vm| {
        let hibernated = hibernate(vm)?;
        vm.add_arguments(&["-m", memory]);
        refused(vm, hibernated, Some(OTHER_MEMORY))
    })
}

fn new_swap(vm: &mut Vm) -> Outcome {
    let hibernated = hibernate(vm)?;
    let image = vm.dir().join(format!("disk-{}.img", Kind::Swap.name()));
    let written = OpenOptions::new()
        .write(true)
        .open(&image)
        .and_then(|mut image| image.write_all(&HEADER));
    written.with_context(|| format!("cannot write {}", image.display()))?;
    refused(vm, hibernated, None)
}

/// The machine goes on as one that was never hibernated.
fn goes_on(vm: &mut Vm) -> Outcome {
    vm.allow(REFUSED);
    vm.ok("pm_test_cycles mem devices 3")?;
    let swap = Kind::Swap.slot();
    vm.ok(&format!("stop_swap; ensure_loaded && swap_on {swap}"))?;
    vm.hibernate()?;
    vm.connect_port()?;
    for kind in Kind::FROZEN {
        check_io(vm, kind)?;
    }
    Ok(())
}

/// The test of it.
pub(crate) fn all() -> Vec<Test> {
    let layout = Layout::new(Board::Pc, Interrupts::PerQueue, 2)
        .with_kinds(&Kind::FROZEN)
        .with_swap();
    let cells = vec![
        other_memory("more memory", "640"),
        other_memory("less memory", "448"),
        Cell::new("a new swap", new_swap),
        Cell::new("goes on", goes_on).cycles(4),
        Cell::new("rmmod", |vm| {
            vm.ok("stop_swap; ensure_loaded && unload_driver").map(drop)
        }),
    ];
    let about = "images of a machine that had other memory or another swap";
    vec![Test::new("other-memory", about, layout, cells).limit(Duration::from_secs(600))]
}
