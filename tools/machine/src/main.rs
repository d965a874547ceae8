// SPDX-License-Identifier: GPL-2.0

//! Sets up the test machine from the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anstream::println;
use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use machine::{ensure, ensure_chromium, quote, Arch, Kernel, Machine, Options, Series, Variant};

/// Sets up what the test VM needs: packages, kernel, QEMU, tools.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Do what is missing, and tell what there is.
    Ensure(What),
    /// Do what is missing, and print it as KEY=VALUE lines.
    Env(What),
    /// Do what is missing for the test of the report, and print the program of the browser.
    Chromium(What),
}

#[derive(Args)]
struct What {
    /// The clone.
    #[arg(long, value_name = "DIR", default_value = ".")]
    repository: PathBuf,
    /// The kernel of most tests; else KERNEL, else Debian's own.
    #[arg(long, value_enum, conflicts_with_all = ["kernel_src", "kdir"])]
    kernel: Option<Kernel>,
    /// The series of the kernel, like 7.3, or next; else SERIES, else the newest that is supported.
    #[arg(long)]
    series: Option<Series>,
    /// The architecture of the kernel; else ARCH, else amd64.
    #[arg(long, value_enum)]
    arch: Option<Arch>,
    /// Only to boot it with the C driver: nothing is built for it, and no Rust is needed.
    #[arg(long)]
    without_module: bool,
    /// Build this kernel source; else KERNEL_SRC.
    #[arg(long, value_name = "DIR")]
    kernel_src: Option<PathBuf>,
    /// Use this built kernel tree; else KDIR.
    #[arg(long, value_name = "DIR", conflicts_with = "kernel_src")]
    kdir: Option<PathBuf>,
    /// Which configuration; the others than the standard one are built.
    #[arg(long, value_enum, default_value_t = Variant::Standard, conflicts_with = "kdir")]
    variant: Variant,
    /// Look for a newer kernel, source and QEMU than the cache has.
    #[arg(long)]
    update: bool,
}

impl What {
    fn options(self) -> Result<Options> {
        let mut options = Options::new(&self.repository)?;
        if let Some(kernel) = self.kernel {
            options.kernel = kernel;
        }
        if let Some(series) = self.series {
            options.series = series;
        }
        if let Some(arch) = self.arch {
            options.arch = arch;
        }
        if self.kernel_src.is_some() || self.kdir.is_some() {
            options.kernel_source = self.kernel_src;
            options.kdir = self.kdir;
        }
        options.module = !self.without_module;
        options.variant = self.variant;
        options.update = self.update;
        Ok(options)
    }

    fn ensure(self) -> Result<Machine> {
        ensure(&self.options()?, &|line| eprintln!("{line}"))
    }

    fn chromium(self) -> Result<PathBuf> {
        ensure_chromium(&self.options()?, &|line| eprintln!("{line}"))
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Verb::Ensure(what) => what.ensure().map(|machine| tell(&machine)),
        Verb::Env(what) => what.ensure().map(|machine| print_env(&machine)),
        Verb::Chromium(what) => what.chromium().map(|start| println!("{}", start.display())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("machine: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tell(machine: &Machine) {
    println!(
        "kernel  {}: {}",
        machine.kernel_release,
        machine.bzimage.display()
    );
    if let Some(kdir) = &machine.kdir {
        println!("tree    {}", kdir.display());
    }
    if let Some(source) = &machine.kernel_source {
        println!("source  {}", source.display());
    }
    println!("qemu    {}: {}", machine.qemu.version, qemu(machine));
    println!("busybox {}", machine.busybox.display());
    println!("tools   {}", machine.tools_disk.display());
}

fn print_env(machine: &Machine) {
    let print = |name: &str, value: &str| println!("{name}={}", quote(value));
    if let Some(kdir) = &machine.kdir {
        print("KDIR", &kdir.to_string_lossy());
    }
    print("KERNEL_RELEASE", &machine.kernel_release);
    print("BZIMAGE", &machine.bzimage.to_string_lossy());
    print("BUSYBOX", &machine.busybox.to_string_lossy());
    print("TOOLS_DISK", &machine.tools_disk.to_string_lossy());
    print("QEMU", &qemu(machine));
    for (name, value) in &machine.make_env {
        print(name, &value.to_string_lossy());
    }
}

fn qemu(machine: &Machine) -> String {
    let words = machine
        .qemu
        .command
        .iter()
        .map(|word| quote(&word.to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}
