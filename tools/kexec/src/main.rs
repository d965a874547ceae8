// SPDX-License-Identifier: GPL-2.0

//! Loads a kernel beside the one that runs, and boots it: the part of kexec-tools that the tests
//! need, without libraries.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::ExitCode;

use anstream::println;
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use nix::sys::reboot::{reboot, RebootMode};

/// The flag of kexec_file_load(2) for the kernel that a panic boots.
const ON_CRASH: libc::c_ulong = 2;

/// Loads a kernel beside the one that runs, and boots it.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    call: Call,
}

#[derive(Subcommand)]
enum Call {
    /// Loads a kernel.
    Load {
        /// For the next panic.
        #[arg(long)]
        panic: bool,
        /// The kernel's file.
        kernel: PathBuf,
        /// The initramfs.
        initramfs: PathBuf,
        /// The kernel's command line.
        words: String,
    },
    /// Boots the kernel that was loaded.
    Boot,
}

fn open(path: &PathBuf) -> Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

#[allow(unsafe_code)]
fn load(kernel: &File, initramfs: &File, words: &str, flags: libc::c_ulong) -> Result<()> {
    let words = CString::new(words)?;
    let length = words.as_bytes_with_nul().len();
    // SAFETY: both descriptors are open while their files are borrowed, and the kernel reads
    // `length` bytes of `words`, which are there; it writes to no memory of this process.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            kernel.as_raw_fd(),
            initramfs.as_raw_fd(),
            length,
            words.as_ptr(),
            flags,
        )
    };
    if result == 0 {
        return Ok(());
    }
    Err(std::io::Error::last_os_error()).context("kexec_file_load")
}

fn run(call: Call) -> Result<()> {
    match call {
        Call::Load {
            panic,
            kernel,
            initramfs,
            words,
        } => {
            let flags = if panic { ON_CRASH } else { 0 };
            load(&open(&kernel)?, &open(&initramfs)?, &words, flags)
        }
        Call::Boot => match reboot(RebootMode::RB_KEXEC) {
            Ok(never) => match never {},
            Err(error) => Err(error).context("reboot"),
        },
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().call) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("kexec: {error:#}");
            ExitCode::FAILURE
        }
    }
}
