// SPDX-License-Identifier: GPL-2.0

//! The user's terminal, connected to a shell in the VM.

use std::io::{IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use anyhow::{Context, Result};

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

/// Connects the terminal to a shell, until the end key or the end of the VM.
pub fn connect(socket: UnixStream) -> Result<()> {
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
