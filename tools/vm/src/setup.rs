// SPDX-License-Identifier: GPL-2.0

//! What every test of a run shares: the machine, the driver under test, where logs go.

use std::collections::btree_map::{BTreeMap, Entry};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use machine::{Arch, Kernel, Machine, Qemu, Series, Variant};

use crate::driver::{Accel, Driver};
use crate::failure::{Failure, Outcome};
use crate::guest_program;
use crate::known::{self, Known};
use crate::ktap::{Count, Ktap};
use crate::layout::Layout;
use crate::module;
use crate::outputs::{About, Outputs};

/// What a run is about.
#[derive(Clone, Debug, clap::Args)]
pub struct Wish {
    /// The transport driver under test.
    #[arg(
        long,
        env = "DRIVER",
        default_value = "rust",
        global = true,
        ignore_case = true
    )]
    pub driver: Driver,
    /// The driver's module parameters, separated by commas.
    #[arg(long, default_value = "", global = true)]
    parameters: String,
    /// A list of known failures beside tests/known-failures.toml.
    #[arg(long, value_name = "FILE", global = true)]
    known: Option<PathBuf>,
    /// Print the QEMU command of each test.
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Files of results.
    #[command(flatten)]
    pub outputs: Outputs,
}

/// What differs when the kernel is not the standard one.
struct Other {
    machine: Machine,
    module: Option<PathBuf>,
    programs: Vec<PathBuf>,
}

/// What every test of a run shares.
#[derive(Clone)]
pub struct Setup {
    /// The repository's root.
    pub root: PathBuf,
    /// Kernel, QEMU and guest programs.
    pub machine: Machine,
    /// This repository's module, built for that kernel; none if only the C driver is tested.
    module: Option<PathBuf>,
    /// Programs for the guest, beside busybox.
    pub programs: Vec<PathBuf>,
    /// The other kernels that were set up in this run.
    others: Arc<Mutex<BTreeMap<(Variant, Arch), Other>>>,
    /// The newer QEMU, once it was needed.
    newer_qemu: Arc<Mutex<Option<Qemu>>>,
    /// The driver under test.
    pub driver: Driver,
    /// The driver's module parameters, separated by commas.
    pub parameters: String,
    /// How QEMU runs the guest's code.
    pub accel: Accel,
    /// Where the log folders of the tests go.
    pub logs: PathBuf,
    /// Whether each QEMU command is printed.
    pub verbose: bool,
    /// Whether tests run on the standard kernel alone, and no other one is built.
    only_standard: bool,
    /// Whether the standard kernel is Debian's next one, whose release reads like its series.
    is_prerelease: bool,
    known: Arc<Known>,
    outputs: Outputs,
}

/// The repository's root, which becomes the current folder: paths in logs stay short.
pub fn enter_root() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root
        .canonicalize()
        .with_context(|| format!("cannot find {}", root.display()))?;
    std::env::set_current_dir(&root)
        .with_context(|| format!("cannot change to {}", root.display()))?;
    Ok(root)
}

impl Setup {
    /// Sets up the machine as far as that is not done yet.
    pub fn load(wish: Wish) -> Result<Self> {
        let known = wish.known.as_deref().map(std::path::absolute).transpose()?;
        let outputs = wish.outputs.begin()?;
        let root = enter_root()?;
        let options = Self::options(&root, wish.driver)?;
        let machine = machine::ensure(&options, &|line| eprintln!("{line}"))?;
        Ok(Self {
            module: options.module.then(|| root.join(module::MODULE)),
            known: Arc::new(Known::load(&root, known.as_deref())?),
            root,
            machine,
            programs: Vec::new(),
            others: Arc::default(),
            newer_qemu: Arc::default(),
            driver: wish.driver,
            parameters: wish.parameters,
            accel: Accel::Tcg,
            logs: PathBuf::from("logs"),
            verbose: wish.verbose,
            only_standard: wish.driver == Driver::C && options.names_a_kernel(),
            is_prerelease: options.kdir.is_none() && options.series == Series::Next,
            outputs,
        })
    }

    /// What the machine is to have. Only this repository's driver is built.
    fn options(root: &Path, driver: Driver) -> Result<machine::Options> {
        let mut options = machine::Options::new(root)?;
        options.module = driver == Driver::Rust;
        Ok(options)
    }

    /// What the part of a test counts for that ended so.
    pub fn known(&self, test: &str, part: &str, outcome: Outcome) -> Outcome {
        let release = &self.machine.kernel_release;
        self.known.judge(self.driver, release, test, part, outcome)
    }

    /// Whether the kernel is a release of the series that the records of the C driver are of.
    pub fn is_recorded_series(&self) -> bool {
        let release = known::series_of(&self.machine.kernel_release);
        release == Series::default().to_string() && !self.is_prerelease
    }

    /// The same for tests on the standard kernel alone.
    pub fn only_standard(&self) -> Self {
        let mut other = self.clone();
        other.only_standard = true;
        other
    }

    /// Why a test on the kernel of this machine is not run.
    pub fn lacks_kernel(&self, layout: &Layout) -> Option<Failure> {
        let arch = layout.arch();
        let why = match layout.kernel {
            _ if !self.only_standard => return None,
            Variant::Standard if arch == self.machine.arch => return None,
            Variant::Standard => format!("it runs on a kernel for {}", arch.debian()),
            kernel => {
                let name = kernel.name();
                format!("it runs on the {name} kernel, which is built from Debian's source")
            }
        };
        Some(Failure::Lacks(why))
    }

    /// Ends the output of a run; gives the counts.
    pub fn finish<W: Write>(&self, ktap: Ktap<W>) -> Result<Count> {
        let source = self.machine.kernel_source.as_deref();
        let about = About::new(self.environment(), self.driver, self.machine.arch, source);
        self.outputs.finish(&about, ktap)
    }

    /// The same with another kernel, which is set up at its first use.
    pub fn on(&self, kernel: Variant, arch: Arch) -> Result<Self> {
        let mut other = self.clone();
        if (kernel, arch) == (Variant::Standard, self.machine.arch) {
            return Ok(other);
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match others.entry((kernel, arch)) {
            Entry::Occupied(made) => made.into_mut(),
            Entry::Vacant(place) => {
                let driver = match self.module {
                    Some(_) => Driver::Rust,
                    None => Driver::C,
                };
                let mut options = Self::options(&self.root, driver)?;
                options.kdir = None;
                options.variant = kernel;
                if arch != options.arch {
                    // What the user gives is for the architecture that is under test.
                    options.arch = arch;
                    options.kernel = Kernel::Stock;
                    options.kernel_source = None;
                }
                let machine = machine::ensure(&options, &|line| eprintln!("{line}"))?;
                let (name, programs) = match kernel {
                    Variant::Standard => (arch.debian(), Vec::new()),
                    _ => {
                        let program = guest_program::build(&self.root, "failnth")?;
                        (kernel.name(), vec![program])
                    }
                };
                let module = match &self.module {
                    Some(_) => {
                        let (kdir, make_env) = (machine.tree()?, &machine.make_env);
                        let built = module::build(&self.root, &self.logs, name, kdir, make_env)?;
                        Some(built.module)
                    }
                    None => None,
                };
                place.insert(Other {
                    module,
                    programs,
                    machine,
                })
            }
        };
        other.machine = made.machine.clone();
        other.module.clone_from(&made.module);
        other.programs.clone_from(&made.programs);
        Ok(other)
    }

    /// The same with the kernel and the programs of a machine.
    pub fn for_layout(&self, layout: &Layout) -> Result<Self> {
        let mut other = self.on(layout.kernel, layout.arch())?;
        for program in layout.programs {
            let program = guest_program::build(&self.root, program)?;
            other.programs.push(program);
        }
        Ok(other)
    }

    /// Whether a machine needs a newer QEMU than this one: those with scripted devices, and those
    /// with several processors if TCG is not reliable with them.
    fn takes_newer_qemu(&self, layout: &Layout, own: &Qemu) -> bool {
        let is_reliable = layout.cpus == 1
            || layout.arch() != Arch::Amd64
            || self.accel == Accel::Kvm
            || own.parallel_tcg;
        !(layout.scripted.is_empty() && is_reliable)
    }

    /// The QEMU for a machine.
    pub fn qemu(&self, layout: &Layout) -> Result<Qemu> {
        let own = &self.machine.qemu;
        if !self.takes_newer_qemu(layout, own) {
            return Ok(own.clone());
        }
        let mut found = self
            .newer_qemu
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(qemu) = &*found {
            return Ok(qemu.clone());
        }
        let options = machine::Options::new(&self.root)?;
        let qemu = machine::ensure_newer_qemu(&options, &|line| eprintln!("{line}"))?;
        Ok(found.insert(qemu).clone())
    }

    /// Whether the kernel has the C driver built in.
    pub fn c_is_built_in(&self) -> bool {
        self.machine.c_driver.is_empty()
    }

    /// The same with another driver.
    pub fn with_driver(&self, driver: Driver) -> Self {
        let mut other = self.clone();
        other.driver = driver;
        if driver == Driver::C {
            other.parameters.clear();
        }
        other
    }

    /// Where what the report shows is left.
    pub fn results(&self) -> PathBuf {
        self.root.join(results::FOLDER)
    }

    /// What a test on a machine ran on, for the report: its kernel and QEMU, if they were set up.
    pub fn environment_of(&self, layout: &Layout) -> results::Environment {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let machine = match others.get(&(layout.kernel, layout.arch())) {
            Some(other) => &other.machine,
            None => &self.machine,
        };
        let newer = self
            .newer_qemu
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let qemu = match &*newer {
            Some(qemu) if self.takes_newer_qemu(layout, &machine.qemu) => qemu,
            _ => &machine.qemu,
        };
        self.environment_with(machine, qemu)
    }

    /// What the tests on the standard kernel with the machine's own QEMU run on, for the report.
    pub fn environment(&self) -> results::Environment {
        self.environment_with(&self.machine, &self.machine.qemu)
    }

    fn environment_with(&self, machine: &Machine, qemu: &Qemu) -> results::Environment {
        let said = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output();
            let text = output.map(|output| output.stdout).unwrap_or_default();
            String::from_utf8_lossy(&text).trim().to_owned()
        };
        results::Environment {
            kernel: machine.kernel_release.clone(),
            qemu: qemu.version.clone(),
            accel: self.accel.name().to_owned(),
            rustc: machine.rustc.clone().unwrap_or_else(|| "none".to_owned()),
            revision: said("git", &["describe", "--always", "--dirty"]),
            date: said("date", &["-u", "+%Y-%m-%d %H:%M"]),
        }
    }

    /// The modules of a driver, in the order in which they are loaded.
    pub fn modules(&self, driver: Driver) -> Vec<PathBuf> {
        match driver {
            Driver::Rust => self.module.clone().into_iter().collect(),
            Driver::C => self.machine.c_driver.clone(),
        }
    }
}
