// SPDX-License-Identifier: GPL-2.0

//! A shell in the VM, for the user.

use std::io::{IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use anyhow::{Context, Result};

use crate::failure::Outcome;
use crate::layout::Layout;
use crate::runner::fresh_folder;
use crate::setup::Setup;
use crate::vm::{Vm, BOOT};

/// The key that ends the session, Ctrl-].
const END: u8 = 0x1d;

/// The terminal's settings, put back when dropped.
struct RawTerminal {
    settings: Option<String>,
}

fn stty(argument: &str) -> Result<String> {
    let output = Command::new("stty")
        .args(argument.split(' '))
        .stdin(std::process::Stdio::inherit())
        .output()
        .context("cannot run stty")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl RawTerminal {
    /// Hands every key to the guest, if there is a terminal at all.
    fn enter() -> Result<Self> {
        if !std::io::stdin().is_terminal() {
            return Ok(Self { settings: None });
        }
        let settings = stty("-g")?;
        stty("raw -echo")?;
        Ok(Self {
            settings: Some(settings),
        })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.settings {
            // Nothing better can be done about a terminal that does not listen.
            let _ = stty(settings);
        }
    }
}

/// Sends what is typed to the guest, until the end key or the end of input.
fn type_into(mut socket: UnixStream) {
    std::thread::spawn(move || {
        let mut bytes = [0; 256];
        while let Ok(count) = std::io::stdin().read(&mut bytes) {
            let typed = &bytes[..count];
            if count == 0 {
                return;
            }
            if typed.contains(&END) || socket.write_all(typed).is_err() {
                // Wakes the reader, which ends the session.
                let _ = socket.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    });
}

/// Boots a VM with every device, loads the driver and connects the terminal to a shell.
pub(crate) fn run(setup: &Setup, layout: &Layout) -> Outcome {
    let dir = fresh_folder(&setup.logs, "shell")?;
    let mut vm = Vm::boot(setup, layout, &dir, BOOT)?;
    vm.ok("load_driver && mount_tools")?;
    eprintln!(
        "driver {} is loaded; Ctrl-] or poweroff -f ends the VM",
        setup.driver
    );
    connect(vm.connect_shell()?)?;
    drop(vm);
    Vm::tidy(&dir);
    Ok(())
}

/// Connects the terminal to a shell, until the end key or the end of the VM.
pub(crate) fn connect(socket: UnixStream) -> Result<()> {
    type_into(
        socket
            .try_clone()
            .context("cannot clone the shell's socket")?,
    );
    let terminal = RawTerminal::enter()?;
    let mut out = std::io::stdout();
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = (&socket).read(&mut bytes) {
        out.write_all(&bytes[..count])
            .and_then(|()| out.flush())
            .context("cannot write to the terminal")?;
    }
    drop(terminal);
    Ok(())
}
