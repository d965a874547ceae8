// SPDX-License-Identifier: GPL-2.0

//! A shell in the VM, for the user.

use vm::failure::Outcome;
use vm::layout::Layout;
use vm::runner::fresh_folder;
use vm::setup::Setup;
use vm::{terminal, Vm, BOOT};

/// Boots a VM with every device, loads the driver and connects the terminal to a shell.
pub fn run(setup: &Setup, layout: &Layout) -> Outcome {
    let dir = fresh_folder(&setup.logs, "shell")?;
    let mut vm = Vm::boot(setup, layout, &dir, BOOT)?;
    vm.ok("load_driver && mount_tools")?;
    eprintln!(
        "driver {} is loaded; Ctrl-] or poweroff -f ends the VM",
        setup.driver
    );
    terminal::connect(vm.connect_shell()?)?;
    drop(vm);
    Vm::tidy(&dir);
    Ok(())
}
