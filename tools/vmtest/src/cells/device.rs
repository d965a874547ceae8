// SPDX-License-Identifier: GPL-2.0

//! Checks of one device: bound as it should be, and its input and output correct.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use vm::failure::{Failure, Outcome};
use vm::layout::Kind;
use vm::Vm;

pub(crate) const MEBIBYTE: u64 = 1 << 20;
/// How long a balloon may take to change its size.
const BALLOON: Duration = Duration::from_secs(30);

/// The device is bound, live, and has the interrupts that it should have.
pub(crate) fn check_bound(vm: &mut Vm, kind: Kind) -> Outcome {
    check_all_bound(vm, &[kind])
}

/// The same for many devices.
pub(crate) fn check_all_bound(vm: &mut Vm, kinds: &[Kind]) -> Outcome {
    let mut command = "check_bound".to_owned();
    for kind in vm.driven(kinds)? {
        command.push_str(&format!(" {} {}", kind.slot(), vm.layout().policy(kind)));
    }
    vm.ok(&command)?;
    Ok(())
}

/// Input and output, with the data checked.
pub(crate) fn check_io(vm: &mut Vm, kind: Kind) -> Outcome {
    vm.driven(&[kind])?;
    match kind {
        Kind::Balloon => check_balloon(vm),
        Kind::NineP => check_9p(vm),
        _ => {
            vm.ok(&format!("check_{} {}", kind.name(), kind.slot()))?;
            Ok(())
        }
    }
}

/// Takes memory from the guest and gives it back.
fn check_balloon(vm: &mut Vm) -> Outcome {
    let full = balloon_size(vm)?;
    let before = memory_total(vm)?;
    set_balloon(vm, full - 64 * MEBIBYTE)?;
    let less = memory_total(vm)?;
    if before.saturating_sub(less) < 60 * 1024 {
        let text = format!("inflated by 64 MiB, MemTotal went from {before} to {less} KiB");
        return Err(Failure::Failed(text));
    }
    set_balloon(vm, full)?;
    let after = memory_total(vm)?;
    if after.abs_diff(before) > 1024 {
        let text = format!("deflated again, MemTotal is {after}, was {before} KiB");
        return Err(Failure::Failed(text));
    }
    Ok(())
}

/// Has the balloon leave this much memory, and waits until it does.
pub(crate) fn set_balloon(vm: &mut Vm, size: u64) -> Outcome {
    vm.qmp().execute("balloon", &json!({ "value": size }))?;
    await_balloon(vm, size)
}

/// Waits until the balloon leaves this much memory.
pub(crate) fn await_balloon(vm: &mut Vm, size: u64) -> Outcome {
    let deadline = Instant::now() + BALLOON;
    while balloon_size(vm)? != size {
        if Instant::now() > deadline {
            return Err(Failure::TimedOut {
                what: format!("a balloon that leaves {} MiB", size / MEBIBYTE),
                limit: BALLOON,
            });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The memory that the balloon leaves.
pub(crate) fn balloon_size(vm: &mut Vm) -> Outcome<u64> {
    let answer = vm.qmp().execute("query-balloon", &json!({}))?;
    answer["actual"]
        .as_u64()
        .ok_or_else(|| Failure::Failed(format!("query-balloon: {answer}")))
}

fn memory_total(vm: &mut Vm) -> Outcome<u64> {
    let text = vm.ok("memory_total")?;
    text.parse()
        .map_err(|_| Failure::Failed(format!("MemTotal reads {text:?}")))
}

/// Hands the guest a file and compares what it wrote back.
fn check_9p(vm: &mut Vm) -> Outcome {
    let share = vm.dir().join("share");
    let content: Vec<u8> = (0..262_144_u32)
        .flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let write = |name: &str| fs::write(share.join(name), &content);
    write("host").map_err(anyhow::Error::from)?;
    let _ = fs::remove_file(share.join("guest"));
    vm.ok("check_9p")?;
    let back = fs::read(share.join("guest")).map_err(anyhow::Error::from)?;
    if back != content {
        let text = format!("{} bytes came back as {} others", content.len(), back.len());
        return Err(Failure::Failed(text));
    }
    Ok(())
}
