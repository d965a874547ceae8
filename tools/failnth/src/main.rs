// SPDX-License-Identifier: GPL-2.0

//! Makes the n-th allocation of one system call fail, by `/proc/thread-self/fail-nth`.
//!
//! Everything that the system call needs is opened before, so that all allocations that are counted
//! are its own. What came of it is one line, `fired` or `spare` and then the error number of the
//! system call, 0 if it succeeded: `spare` says that there was no n-th allocation.

use std::ffi::{CString, OsString};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anstream::println;
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Makes the n-th allocation of one system call fail.
#[derive(Parser)]
struct Arguments {
    /// Which allocation fails; 1 is the first.
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    nth: u32,
    #[command(subcommand)]
    call: Call,
}

/// The system call.
#[derive(Subcommand)]
enum Call {
    /// Writes a text to a file.
    Write {
        /// The file.
        file: PathBuf,
        /// The text.
        text: OsString,
    },
    /// Loads a module.
    Insmod {
        /// The module's file.
        file: PathBuf,
    },
    /// Removes a module.
    Rmmod {
        /// The module's name.
        name: OsString,
    },
}

/// A system call that has all it needs.
type Ready = Box<dyn FnOnce() -> std::io::Result<()>>;

impl Call {
    /// Opens and reads what the system call needs.
    fn prepare(self) -> Result<Ready> {
        let open = |path: &PathBuf, options: &OpenOptions| {
            options
                .open(path)
                .with_context(|| format!("cannot open {}", path.display()))
        };
        Ok(match self {
            Self::Write { file, text } => {
                let mut file = open(&file, OpenOptions::new().write(true))?;
                Box::new(move || file.write_all(&text.into_vec()))
            }
            Self::Insmod { file } => {
                let file = open(&file, OpenOptions::new().read(true))?;
                Box::new(move || Ok(rustix::system::finit_module(&file, c"", 0)?))
            }
            Self::Rmmod { name } => {
                let name = CString::new(name.into_vec())?;
                Box::new(move || Ok(rustix::system::delete_module(&name, 0)?))
            }
        })
    }
}

/// Makes the system call; gives its error number and how many allocations were left to the fault.
fn run(nth: u32, call: Ready) -> Result<(i32, u32)> {
    let mut counter = File::options()
        .read(true)
        .write(true)
        .open("/proc/thread-self/fail-nth")
        .context("cannot open fail-nth: no fault injection in this kernel")?;
    let text = format!("{nth}");
    let mut left = [0; 16];
    counter.write_all(text.as_bytes())?;
    let result = call();
    let read = counter.read_at(&mut left, 0);
    counter.write_all(b"0")?;
    let left = std::str::from_utf8(&left[..read?])?.trim().parse()?;
    let error = result
        .err()
        .map_or(0, |error| error.raw_os_error().unwrap_or(-1));
    Ok((error, left))
}

fn main() -> ExitCode {
    let Arguments { nth, call } = Arguments::parse();
    match call.prepare().and_then(|call| run(nth, call)) {
        Ok((error, left)) => {
            println!("{} {error}", if left == 0 { "fired" } else { "spare" });
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("failnth: {error:#}");
            ExitCode::FAILURE
        }
    }
}
