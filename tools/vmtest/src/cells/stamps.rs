// SPDX-License-Identifier: GPL-2.0

//! Work that must go on in a machine that is moved or put back: numbered blocks that are written to
//! a disk, each of which comes back.

use std::time::Duration;

use super::device::{check_bound, check_io};
use vm::failure::{Failure, Outcome};
use vm::layout::Kind;
use vm::Vm;

/// The devices beside the disk. A 9p device whose folder is mounted cannot be moved.
pub(crate) const KINDS: [Kind; 4] = [Kind::Net, Kind::Console, Kind::Rng, Kind::Balloon];

/// The slot of the disk.
pub(crate) const DISK: &str = Kind::Blk.slot();

/// Blocks are written to the disk, and each comes back.
pub(crate) fn begin(vm: &mut Vm) -> Outcome {
    vm.ok(&format!("ensure_loaded && start_stamps {DISK}"))?;
    KINDS.into_iter().try_for_each(|kind| check_bound(vm, kind))
}

/// They still do, and the other devices work.
pub(crate) fn goes_on(vm: &mut Vm) -> Outcome {
    vm.ok("stamps_move")?;
    vm.connect_port()?;
    KINDS.into_iter().try_for_each(|kind| check_io(vm, kind))
}

pub(crate) fn end(vm: &mut Vm) -> Outcome {
    vm.ok_within(&format!("stop_stamps {DISK}"), Duration::from_secs(90))?;
    vm.ok("unload_driver").map(drop)
}

pub(crate) fn stamps(vm: &mut Vm) -> Outcome<u32> {
    let said = vm.ok("stamps")?;
    said.parse()
        .map_err(|_| Failure::Failed(format!("stamps: {said}")))
}
