// SPDX-License-Identifier: GPL-2.0

//! Sets up the test machine: packages, kernel, QEMU and the programs of the tests.
//!
//! [`ensure`] does what is missing and nothing else. Whatever it makes lies in one cache directory,
//! `${VIRTIO_PCI_RS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/virtio_pci_rs}`, that all clones share.
//! Root or sudo is used for one thing only, which is installing packages of the distribution.

mod apt;
mod bindgen;
mod busybox;
mod chromium;
mod command;
mod config;
mod context;
mod debian;
mod guest_modules;
mod image;
mod kernel;
mod kernel_source;
mod libraries;
mod packages;
mod qemu;
mod rust;
mod series;
mod stock;
mod toolchain;
mod tools_disk;
mod tree;
mod unpacked;
mod version;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{env, thread};

use anyhow::{anyhow, bail, Context as _, Result};
use clap::ValueEnum;

use crate::bindgen::Bindgen;
use crate::context::Context;
use crate::packages::Purpose;
use crate::rust::Rust;

pub use crate::command::quote;
pub use crate::context::Lock;
pub use crate::debian::Debian;
pub use crate::qemu::Qemu;
pub use crate::series::{Arch, Series, OLDEST};
pub use crate::unpacked::{Program, Unpacked};

/// What to set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The clone: its toolchain file decides which rustc is used.
    pub repository: PathBuf,
    /// The kernel of the standard variant.
    pub kernel: Kernel,
    /// Its series.
    pub series: Series,
    /// Its architecture.
    pub arch: Arch,
    /// A kernel source tree to build instead of the distribution's.
    pub kernel_source: Option<PathBuf>,
    /// A kernel tree that the user has built: no kernel is built then.
    pub kdir: Option<PathBuf>,
    /// Which kernel.
    pub variant: Variant,
    /// Whether this repository's module is built for the kernel: that takes CONFIG_RUST and
    /// compilers.
    pub module: bool,
    /// Look for a newer kernel source and QEMU even if the cache has one.
    pub update: bool,
}

impl Options {
    /// The standard kernel for a clone at `repository`, to build the module for; `KERNEL`,
    /// `SERIES`, `ARCH`, `KERNEL_SRC` and `KDIR` are honoured.
    ///
    /// # Errors
    ///
    /// One of them has a value that it does not take.
    pub fn new(repository: &Path) -> Result<Self> {
        let given = |name| env::var_os(name).filter(|value| !value.is_empty());
        let series = given("SERIES").map(|text| text.to_string_lossy().parse());
        Ok(Self {
            repository: repository.to_owned(),
            kernel: choice("KERNEL", given("KERNEL"))?.unwrap_or(Kernel::Stock),
            series: series.transpose()?.unwrap_or_default(),
            // The builds of kernels have their own names.
            arch: choice("ARCH", given("ARCH").filter(|name| name != "x86"))?.unwrap_or_default(),
            kernel_source: given("KERNEL_SRC").map(PathBuf::from),
            kdir: given("KDIR").map(PathBuf::from),
            variant: Variant::Standard,
            module: true,
            update: false,
        })
    }

    /// Whether the user has named a kernel other than the one that the module is tested on.
    pub fn names_a_kernel(&self) -> bool {
        self.kdir.is_some() || self.series != Series::default()
    }

    /// Fails if the module is to be built for a series that it is not for, or if two kernels are
    /// given.
    fn check(&self) -> Result<()> {
        let Self { series, module, .. } = self;
        if *module && !series.has_module() {
            bail!(
                "SERIES={series}: the module is for Linux {OLDEST} and newer; the C driver is tested \
                 on any: DRIVER=c"
            );
        }
        if let (true, Variant::Standard, Some(source)) =
            (self.kernel.is_special(), self.variant, &self.kernel_source)
        {
            bail!(
                "KERNEL={} is Debian's own, and KERNEL_SRC={} would be built: leave one out",
                self.kernel.name(),
                source.display()
            );
        }
        Ok(())
    }

    /// Debian's kernel that is meant; none if it is another one.
    fn stock(&self, runs: bool) -> Option<stock::Wanted> {
        let is_stock = self.variant == Variant::Standard
            && self.kernel_source.is_none()
            && self.kdir.is_none();
        let flavour = self.kernel.flavour(self.arch).filter(|_| is_stock)?;
        Some(stock::Wanted {
            series: self.series.clone(),
            arch: self.arch,
            flavour,
            runs,
        })
    }

    /// Fails if no built kernel takes the place of this one, which the mirror lacks.
    fn check_replaceable(&self) -> Result<()> {
        if self.kernel.is_special() {
            bail!(
                "KERNEL={}: Debian's mirror lacks it for Linux {} on {}; take KERNEL=stock, or \
                 KERNEL=build, which builds a small kernel for amd64",
                self.kernel.name(),
                self.series,
                self.arch
            );
        }
        Ok(())
    }

    /// Fails if no kernel is built for the architecture, nor another one like this.
    fn check_built(&self) -> Result<()> {
        match (self.kernel, self.arch) {
            (_, Arch::Arm64) => {
                bail!("ARCH=arm64 has Debian's kernels only: stock, cloud, rt, 16k")
            }
            (Kernel::Pages16k, Arch::Amd64) => bail!("KERNEL=16k is for ARCH=arm64"),
            _ => Ok(()),
        }
    }
}

/// The value that a variable has.
fn choice<T: ValueEnum>(name: &str, given: Option<OsString>) -> Result<Option<T>> {
    let Some(given) = given else {
        return Ok(None);
    };
    let given = given.to_string_lossy();
    let chosen = T::from_str(&given, true).map_err(|_| {
        let all = T::value_variants().iter().filter_map(T::to_possible_value);
        let all: Vec<_> = all.map(|value| value.get_name().to_owned()).collect();
        anyhow!("{name}={given} is none of {}", all.join(", "))
    })?;
    Ok(Some(chosen))
}

/// Where the kernel of the standard variant comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kernel {
    /// Debian's own.
    Stock,
    /// Debian's own for virtual machines of cloud providers.
    Cloud,
    /// Debian's own with real-time preemption.
    Rt,
    /// Debian's own with pages of 16 KiB, for arm64.
    #[value(name = "16k")]
    Pages16k,
    /// Built from Debian's source.
    Build,
}

impl Kernel {
    /// Whether it is one that no other takes the place of.
    fn is_special(self) -> bool {
        match self {
            Self::Cloud | Self::Rt | Self::Pages16k => true,
            Self::Stock | Self::Build => false,
        }
    }

    /// Its name, as `KERNEL=` has it.
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A kernel of the same source in another configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Variant {
    /// The kernel of most tests.
    Standard,
    /// Finds wrong memory accesses, wrong locking and leaks, and makes allocations fail.
    Debug,
    /// As `Debug`, and releases kobjects late; disks cannot be removed there.
    DelayedRelease,
    /// Finds data races.
    Kcsan,
    /// Has no message-signalled interrupts.
    NoMsi,
    /// Is for one processor.
    NoSmp,
}

impl Variant {
    /// Its name, part of the name of its build directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Debug => "debug",
            Self::DelayedRelease => "delayed-release",
            Self::Kcsan => "kcsan",
            Self::NoMsi => "no-msi",
            Self::NoSmp => "no-smp",
        }
    }

    /// Its configuration fragments in the clone at `repository`, the common ones first.
    fn fragments(self, repository: &Path) -> Vec<PathBuf> {
        let own: &[&str] = match self {
            Self::Standard => &[],
            Self::Debug => &["debug.config"],
            Self::DelayedRelease => &["debug.config", "delayed-release.config"],
            Self::Kcsan => &["kcsan.config"],
            Self::NoMsi => &["no-msi.config"],
            Self::NoSmp => &["no-smp.config"],
        };
        ["base.config", "virtio.config", "pm.config"]
            .iter()
            .chain(own)
            .map(|name| repository.join("tests/kernel").join(name))
            .collect()
    }
}

/// What the fragments want of a kernel that the module is built for, or not.
fn wishes(fragments: &[PathBuf], module: bool) -> Result<Vec<String>> {
    let mut texts = kernel::read_fragments(fragments)?;
    if !module {
        let of_rust = |line: &&str| line.starts_with("CONFIG_RUST");
        for text in &mut texts {
            *text = text
                .lines()
                .filter(|line| !of_rust(line))
                .collect::<Vec<_>>()
                .join("\n");
        }
    }
    Ok(texts)
}

/// What [`ensure`] found or made.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The directory that holds everything that was made.
    pub cache: PathBuf,
    /// The architecture of all but the compilers.
    pub arch: Arch,
    /// Source of the kernel, where it is known.
    pub kernel_source: Option<PathBuf>,
    /// The built kernel tree (`O=`), to be given to the module's build as `KDIR=`; none for an
    /// image that is only booted.
    pub kdir: Option<PathBuf>,
    /// The kernel image.
    pub bzimage: PathBuf,
    /// What `uname -r` says in the VM.
    pub kernel_release: String,
    /// Modules of the C transport in the order of insmod; none if it is built into the kernel.
    pub c_driver: Vec<PathBuf>,
    /// Modules of the kernel that the tests need, in the order of insmod.
    pub modules: Vec<PathBuf>,
    /// QEMU.
    pub qemu: Qemu,
    /// What the rustc of the kernel and of the module says of its version, if the module is built.
    pub rustc: Option<String>,
    /// A statically linked busybox.
    pub busybox: PathBuf,
    /// Environment for `make KDIR=` of the module.
    pub make_env: Vec<(String, OsString)>,
    /// An ext4 image with fio and other programs, and their libraries.
    pub tools_disk: PathBuf,
}

impl Machine {
    /// The built kernel tree.
    ///
    /// # Errors
    ///
    /// The kernel is an image that is only booted.
    pub fn tree(&self) -> Result<&Path> {
        let tree = self.kdir.as_deref();
        tree.with_context(|| {
            let release = &self.kernel_release;
            format!("there is no tree of {release} to build for: it is only booted, with DRIVER=c")
        })
    }
}

/// Makes sure that all of the test machine is there; `say` gets each line for the user.
///
/// # Errors
///
/// The first thing that could not be had, with the reason.
pub fn ensure(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<Machine> {
    options.check()?;
    let mut cx = context(options, say)?;
    if let (Some(wanted), false) = (options.stock(true), options.module) {
        return on_image(&wanted, &mut cx);
    }
    if let Some(wanted) = options.stock(true) {
        let (packages, fetched) = thread::scope(|scope| {
            // The distribution's packages and Debian's newer ones do not wait for each other.
            let mut beside = cx.beside();
            let fetching = scope.spawn(move || stock::fetch(&mut beside, &wanted));
            let packages = packages::ensure(&mut cx, Purpose::Build, options.arch);
            let fetched = fetching.join();
            (packages, fetched.unwrap_or_else(|_| bail!("it panicked")))
        });
        packages?;
        if let Some(stock) = fetched.context("no stock kernel could be had")? {
            return on_stock(options.arch, &mut cx, &stock);
        }
        options.check_replaceable()?;
        cx.say("building the kernel instead");
    }
    on_tree(options, &mut cx)
}

/// The machine with a kernel of Debian's own that nothing is built for.
fn on_image(wanted: &stock::Wanted, cx: &mut Context<'_>) -> Result<Machine> {
    let arch = wanted.arch;
    packages::ensure(cx, Purpose::Run, arch)?;
    let image = image::ensure(cx, wanted)?;
    Ok(Machine {
        cache: cx.cache.clone(),
        arch,
        kernel_source: None,
        kdir: None,
        bzimage: image.bzimage,
        kernel_release: image.release,
        c_driver: image.modules.c_driver,
        modules: image.modules.of_tests,
        qemu: own_qemu(arch)?,
        busybox: busybox::ensure(cx, arch)?,
        rustc: None,
        make_env: Vec::new(),
        tools_disk: tools_disk::ensure(cx, arch)?,
    })
}

/// The machine with a kernel of Debian's own.
fn on_stock(arch: Arch, cx: &mut Context<'_>, stock: &stock::Stock) -> Result<Machine> {
    let busybox = busybox::ensure(cx, arch)?;
    let tools_disk = tools_disk::ensure(cx, arch)?;
    let tree = stock.tree(cx)?;
    let installed = stock.installed(cx)?;
    Ok(Machine {
        cache: cx.cache.clone(),
        arch,
        kernel_source: Some(tree.source),
        kdir: Some(tree.kdir),
        bzimage: installed.bzimage,
        kernel_release: tree.release,
        c_driver: installed.modules.c_driver,
        modules: installed.modules.of_tests,
        qemu: own_qemu(arch)?,
        busybox,
        rustc: Some(installed.rustc),
        make_env: tree.make_env,
        tools_disk,
    })
}

/// A tree to build the module for a kernel of Debian's own.
pub struct StockTree {
    /// What `uname -r` says.
    pub release: String,
    /// Debian's version, which tells a pre-release from the release.
    pub version: String,
    /// The tree, to be given to the module's build as `KDIR=`.
    pub kdir: PathBuf,
    /// Environment for `make KDIR=` of the module.
    pub make_env: Vec<(String, OsString)>,
}

/// Makes sure that the module can be built for a kernel of Debian's own, which need not run.
///
/// None if the mirror does not have the kernel, or not all that the build needs.
///
/// # Errors
///
/// What the mirror has could not be had, or is not what the kernel was built from.
pub fn ensure_stock_tree(
    options: &Options,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Option<StockTree>> {
    let mut cx = context(options, say)?;
    let wanted = options
        .stock(false)
        .context("that is no kernel of Debian's own")?;
    let Some(stock) = stock::fetch(&mut cx, &wanted)? else {
        return Ok(None);
    };
    let tree = stock.tree(&mut cx)?;
    Ok(Some(StockTree {
        release: tree.release,
        version: tree.version,
        kdir: tree.kdir,
        make_env: tree.make_env,
    }))
}

/// The programs that build a kernel.
struct Builders {
    llvm: u32,
    /// For a kernel with Rust, and the module.
    rust: Option<(Rust, Bindgen)>,
}

impl Builders {
    fn ensure(cx: &mut Context<'_>, module: bool) -> Result<Self> {
        let llvm = packages::ensure(cx, Purpose::Llvm, Arch::Amd64)?.llvm()?;
        let rust = match module {
            true => Some((rust::find(cx)?, bindgen::ensure(cx)?)),
            false => None,
        };
        Ok(Self { llvm, rust })
    }

    /// The environment of make.
    fn environment(&self) -> Result<Vec<(String, OsString)>> {
        let Some((rust, bindgen)) = &self.rust else {
            return Ok(Vec::new());
        };
        let old = env::var_os("PATH").unwrap_or_default();
        let libclang = format!("/usr/lib/llvm-{}/lib", self.llvm);
        Ok(vec![
            ("PATH".to_owned(), path(rust, bindgen, &old)?),
            ("LIBCLANG_PATH".to_owned(), libclang.into()),
        ])
    }

    /// The environment of make for a kernel.
    fn kernel_environment(&self, cx: &mut Context<'_>) -> Result<Vec<(String, OsString)>> {
        let mut environment = self.environment()?;
        if let Some((rust, _)) = &self.rust {
            let rust_src = rust::ensure_sources(cx, rust)?;
            environment.push(("RUST_LIB_SRC".to_owned(), rust_src.into()));
        }
        environment.push(("LLVM".to_owned(), format!("-{}", self.llvm).into()));
        Ok(environment)
    }

    /// What they say of their versions.
    fn versions(&self) -> Result<Vec<String>> {
        let clang = kernel::clang_version(self.llvm)?;
        Ok(match &self.rust {
            Some((rust, bindgen)) => vec![rust.text.clone(), clang, bindgen.text.clone()],
            None => vec![clang],
        })
    }
}

/// The machine with a kernel that is built, or that the user has built.
fn on_tree(options: &Options, cx: &mut Context<'_>) -> Result<Machine> {
    options.check_built()?;
    let arch = options.arch;
    let fragments = options.variant.fragments(&cx.repository);
    let wishes = wishes(&fragments, options.module)?;
    let is_given = options.kdir.is_some() && !options.module;
    let builders = match is_given {
        true => None,
        false => Some(Builders::ensure(cx, options.module)?),
    };
    if is_given {
        packages::ensure(cx, Purpose::Run, arch)?;
    }
    let rust = builders
        .as_ref()
        .and_then(|builders| builders.rust.as_ref());
    let (tree, make_env) = match (&options.kdir, &builders) {
        (Some(kdir), _) => {
            let tree = tree::open(kdir, options.module)?;
            let unmet = match options.module {
                true => config::unmet(&wishes, &tree.config),
                false => config::lacking(&wishes, &tree.config),
            };
            if !unmet.is_empty() {
                let all = unmet.join("; ");
                cx.say(format!("note: KDIR is not all that the tests want: {all}"));
            }
            let mut make_env = match &builders {
                Some(builders) => builders.environment()?,
                None => Vec::new(),
            };
            let llvm = tree.llvm(|name| command::find_program(name).is_some());
            make_env.extend(llvm.map(|llvm| ("LLVM".to_owned(), llvm.into())));
            (tree, make_env)
        }
        (None, Some(builders)) => {
            let source = whole_source(options, cx)?;
            let make_env = builders.kernel_environment(cx)?;
            let inputs = kernel::Inputs {
                variant: options.variant.name(),
                source: &source,
                wishes: &wishes,
                tools: builders.versions()?,
                environment: &make_env,
            };
            let tree = tree::open(&kernel::ensure(cx, &inputs)?, options.module)?;
            (tree, make_env)
        }
        (None, None) => bail!("there is neither a kernel nor what builds one"),
    };
    if let Some((rust, _)) = rust {
        tree.check_rustc(rust)?;
    }
    let modules = guest_modules::in_tree(cx, &tree.kdir)?;
    Ok(Machine {
        cache: cx.cache.clone(),
        arch,
        kernel_source: tree.source,
        kdir: Some(tree.kdir),
        bzimage: tree.bzimage,
        kernel_release: tree.release,
        c_driver: modules.c_driver,
        modules: modules.of_tests,
        qemu: own_qemu(arch)?,
        busybox: busybox::ensure(cx, arch)?,
        rustc: rust.map(|(rust, _)| rust.text.clone()),
        make_env,
        tools_disk: tools_disk::ensure(cx, arch)?,
    })
}

/// The whole source of a kernel, of the user or of Debian.
fn whole_source(options: &Options, cx: &mut Context<'_>) -> Result<kernel_source::Source> {
    match &options.kernel_source {
        Some(tree) => kernel_source::given(tree, &options.series),
        None => kernel_source::ensure(cx, &options.series),
    }
}

fn own_qemu(arch: Arch) -> Result<Qemu> {
    qemu::own(arch).context("there is no QEMU although its package is installed")
}

/// Makes sure that there is what builds a kernel with Rust, but no kernel; gives the environment of
/// make.
///
/// # Errors
///
/// The distribution does not have it.
pub fn ensure_builders(
    options: &Options,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Vec<(String, OsString)>> {
    let mut cx = context(options, say)?;
    Builders::ensure(&mut cx, true)?.kernel_environment(&mut cx)
}

/// Makes sure that there is what the kernel's build needs for some configurations besides.
///
/// # Errors
///
/// The distribution does not have it.
pub fn ensure_for_configurations(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<()> {
    packages::ensure_named(&mut context(options, say)?, &packages::OF_CONFIGURATIONS)
}

/// Makes sure that there is the whole source of a kernel, with its own tools for tests.
///
/// # Errors
///
/// `KERNEL_SRC` is no kernel source, or Debian's mirror does not have it.
pub fn ensure_kernel_source(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<PathBuf> {
    Ok(whole_source(options, &mut context(options, say)?)?.tree)
}

/// Makes sure that there is a QEMU with devices over vfio-user and a reliable TCG.
///
/// # Errors
///
/// Debian's mirror does not have it, or it does not run here.
pub fn ensure_newer_qemu(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<Qemu> {
    qemu::ensure_newer(&mut context(options, say)?)
}

/// Makes sure that there is a headless Chromium, and gives the program that starts it.
///
/// # Errors
///
/// Debian's mirror does not have it, or it does not run here.
pub fn ensure_chromium(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<PathBuf> {
    let mut cx = context(options, say)?;
    chromium::ensure(&mut cx)
}

/// Makes sure that a package is unpacked, in the version that a suite has.
///
/// # Errors
///
/// Debian's mirror does not have it.
pub fn ensure_unpacked(
    options: &Options,
    package: &str,
    suite: &str,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Unpacked> {
    unpacked::package(&mut context(options, say)?, package, suite)
}

/// Makes sure that a program is unpacked with all libraries that it needs, in the version that a
/// suite has.
///
/// # Errors
///
/// Debian's mirror does not have it, or a library is missing.
pub fn ensure_program(
    options: &Options,
    program: &Program,
    suite: &str,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Unpacked> {
    unpacked::program(&mut context(options, say)?, program, suite)
}

/// Makes sure that Debian's kernel of a series for cloud providers is unpacked.
///
/// # Errors
///
/// Debian's mirror does not have it.
pub fn ensure_series(
    options: &Options,
    series: &str,
    say: &(dyn Fn(&str) + Sync),
) -> Result<PathBuf> {
    let flavour = Kernel::Cloud.flavour(Arch::Amd64);
    let wanted = stock::Wanted {
        series: series.parse()?,
        arch: Arch::Amd64,
        flavour: flavour.context("there is no kernel for cloud providers")?,
        runs: true,
    };
    let (_, root) = image::ensure_packages(&mut context(options, say)?, &wanted)?;
    Ok(image::packages(&root))
}

/// Makes sure that there is a static busybox.
///
/// # Errors
///
/// Debian's mirror does not have it.
pub fn ensure_busybox(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<PathBuf> {
    busybox::ensure(&mut context(options, say)?, Arch::Amd64)
}

/// Makes sure that there is a root of Debian 13, and what makes packages for it and runs it.
///
/// # Errors
///
/// This process is not root, or the mirror lacks a part of it.
pub fn ensure_debian(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<Debian> {
    debian::ensure(&mut context(options, say)?)
}

/// Makes sure that what makes Debian packages is installed.
///
/// # Errors
///
/// The distribution does not have it, or this process cannot become root.
pub fn ensure_packagers(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<()> {
    packages::ensure_named(&mut context(options, say)?, &debian::PACKAGERS)
}

fn context<'a>(options: &Options, say: &'a (dyn Fn(&str) + Sync)) -> Result<Context<'a>> {
    let directory = |name| env::var_os(name).map(PathBuf::from);
    let cache = context::cache_root(
        directory("VIRTIO_PCI_RS_CACHE"),
        directory("XDG_CACHE_HOME"),
        directory("HOME"),
    )?;
    let repository = std::path::absolute(&options.repository)?;
    Ok(Context::new(cache, repository, options.update, say))
}

/// `PATH` with the toolchain's own programs and bindgen first, whatever directory make runs in.
///
/// Directories that `PATH` has stay where they are: they may hold an old twin of the other tool.
fn path(rust: &Rust, bindgen: &Bindgen, old: &OsStr) -> Result<OsString> {
    let old: Vec<PathBuf> = env::split_paths(old).collect();
    let toolchain = Some(rust.sysroot.join("bin")).filter(|path| !old.contains(path));
    let first = bindgen.directory.clone().into_iter().chain(toolchain);
    env::join_paths(first.chain(old.iter().cloned()))
        .context("a directory of the toolchain cannot be put in PATH")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(kernel: Kernel) -> Options {
        Options {
            repository: ".".into(),
            kernel,
            series: Series::default(),
            arch: Arch::Amd64,
            kernel_source: None,
            kdir: None,
            variant: Variant::Standard,
            module: true,
            update: false,
        }
    }

    #[test]
    fn only_the_usual_kernel_is_built_when_the_mirror_lacks_it() {
        for kernel in [Kernel::Rt, Kernel::Cloud, Kernel::Pages16k] {
            assert!(options(kernel).check_replaceable().is_err(), "{kernel:?}");
        }
        assert!(options(Kernel::Stock).check_replaceable().is_ok());
        let error = options(Kernel::Rt).check_replaceable().unwrap_err();
        let start = format!(
            "KERNEL=rt: Debian's mirror lacks it for Linux {} on amd64; ",
            Series::default()
        );
        assert!(error.to_string().starts_with(&start), "{error}");
    }

    #[test]
    fn a_kernel_by_name_and_a_source_exclude_each_other() {
        let given = |kernel, variant| {
            let source = Some("/src".into());
            Options {
                kernel_source: source,
                variant,
                ..options(kernel)
            }
            .check()
        };
        let error = given(Kernel::Rt, Variant::Standard)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("KERNEL=rt ") && error.contains("KERNEL_SRC=/src "),
            "{error}"
        );
        assert!(given(Kernel::Stock, Variant::Standard).is_ok());
        assert!(given(Kernel::Rt, Variant::Debug).is_ok());
    }

    #[test]
    fn path_gets_what_it_lacks_and_keeps_its_order() {
        let rust = |sysroot: &str| Rust {
            text: String::new(),
            version: String::new(),
            sysroot: sysroot.into(),
        };
        let bindgen = |directory: Option<&str>| Bindgen {
            directory: directory.map(PathBuf::from),
            text: String::new(),
        };
        let path = |sysroot, directory| {
            path(
                &rust(sysroot),
                &bindgen(directory),
                OsStr::new("/a:/usr/bin"),
            )
            .unwrap()
        };
        assert_eq!(path("/usr", None), "/a:/usr/bin");
        assert_eq!(path("/usr", Some("/cache/bin")), "/cache/bin:/a:/usr/bin");
        assert_eq!(
            path("/r", Some("/cache/bin")),
            "/cache/bin:/r/bin:/a:/usr/bin"
        );
    }
}
