// SPDX-License-Identifier: GPL-2.0

//! Bus mastering: on exactly when the device is enabled and its last reset was seen complete.

use scripted::{Lie, Power};

use vm::failure::{Failure, Outcome};
use vm::grade::Grade;
use vm::layout::{Board, Interrupts, Layout};
use vm::runner::{Cell, Test};
use vm::scripted_slot::{Model, Scripted};
use vm::Vm;

const RNG: Scripted = Scripted {
    strict: false,
    power: Power::LosesState,
    ..Scripted::new("s-rng", "10", Model::Rng, 2)
};
/// A reset that is never seen complete.
const INCOMPLETE: &str = "probe read STATUS-after-reset set 0xf";
/// How long the driver waits for a reset here.
const TIMEOUT: &str = "reset_timeout_ms=1000";
const EARLY: &str = "bus mastering comes on before the reset";

fn device(vm: &Vm) -> Outcome<&scripted::Device> {
    let first = vm.scripted().first();
    first.ok_or_else(|| Failure::Failed("there is no scripted device".to_owned()))
}

fn lie(vm: &Vm, lies: &[&str]) -> Outcome {
    let lies = lies.iter().map(|text| text.parse());
    let lies: Vec<Lie> = lies.collect::<Result<_, _>>()?;
    device(vm)?.lie(&lies);
    Ok(())
}

fn expect_master(vm: &Vm, on: bool, when: &str) -> Outcome {
    if device(vm)?.is_master() == on {
        return Ok(());
    }
    let state = if on { "off" } else { "on" };
    Err(Failure::Failed(format!("bus mastering is {state} {when}")))
}

fn works(vm: &mut Vm) -> Outcome {
    vm.ok(&format!("await 10 is_live {0} || is_live {0}", RNG.slot))?;
    expect_master(vm, true, "at work")?;
    vm.ok(&format!("check_rng {}", RNG.slot)).map(drop)
}

fn restored(state: &'static str) -> Cell {
    let cell = Cell::new(format!("{state}, pm_test devices, 3 times"), move |vm| {
        vm.ok("ensure_loaded")?;
        works(vm)?;
        for _ in 0..3 {
            device(vm)?.set_sleeping(true);
            let slept = vm.ok(&format!("pm_test_cycles {state} devices 1"));
            device(vm)?.set_sleeping(false);
            slept?;
            match device(vm)?.mastered_at_restore() {
                Some(false) => {}
                Some(true) => return Err(Failure::Failed(EARLY.to_owned())),
                None => return Err(Failure::Failed("no reset at the restore".to_owned())),
            }
        }
        works(vm)
    });
    cell.cycles(3).on_c(Grade::Errors, EARLY)
}

/// The reset of an unbind is not seen complete; `between` comes before the next bind.
fn rebound(name: &str, between: Option<&'static str>) -> Cell {
    let cell = Cell::new(name, move |vm| {
        vm.allow(&["reset does not complete"]);
        vm.ok(&format!("ensure_unloaded && load_driver_with {TIMEOUT}"))?;
        works(vm)?;
        lie(vm, &[INCOMPLETE])?;
        vm.ok(&format!("unbind_virtio_driver {}", RNG.slot))?;
        expect_master(vm, false, "after a reset that was not seen complete")?;
        lie(vm, &[])?;
        if let Some(command) = between {
            vm.ok(&format!("{command} {} 1", RNG.slot))?;
        }
        vm.ok(&format!("bind_virtio_driver {} virtio_rng", RNG.slot))?;
        works(vm)?;
        vm.ok("unload_driver").map(drop)
    });
    cell.on_c(Grade::Lost, "WARNING: drivers/virtio/virtio.c:378")
}

/// The test of bus mastering.
pub(crate) fn all() -> Vec<Test> {
    let mut layout = Layout::new(Board::Pc, Interrupts::PerQueue, 1).with_kinds(&[]);
    layout.scripted = vec![RNG];
    vec![Test::new(
        "bus-mastering",
        "bus mastering over restores and over resets that are not seen complete",
        layout,
        vec![
            restored("mem"),
            restored("disk"),
            rebound("unbound without a complete reset, then bound", None),
            rebound(
                "unbound without a complete reset, reset by the PCI core, then bound",
                Some("reset_device"),
            ),
        ],
    )
    .in_check()]
}
