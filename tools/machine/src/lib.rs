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
mod guest_modules;
mod image;
mod kernel;
mod kernel_source;
mod packages;
mod qemu;
mod rust;
mod stock;
mod toolchain;
mod tools_disk;
mod tree;
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
pub use crate::kernel_source::SERIES;
pub use crate::qemu::Qemu;

/// What to set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The clone: its toolchain file decides which rustc is used.
    pub repository: PathBuf,
    /// The kernel of the standard variant.
    pub kernel: Kernel,
    /// A kernel source tree to build instead of the distribution's.
    pub kernel_source: Option<PathBuf>,
    /// A kernel tree that the user has built: no kernel is built then.
    pub kdir: Option<PathBuf>,
    /// Which kernel.
    pub variant: Variant,
    /// The series of a stock kernel; else that which the module is written for.
    pub series: Option<String>,
    /// Whether this repository's module is built for the kernel: that takes CONFIG_RUST and compilers.
    pub module: bool,
    /// Look for a newer kernel source and QEMU even if the cache has one.
    pub update: bool,
}

impl Options {
    /// The standard kernel for a clone at `repository`, to build the module for; `KERNEL`, `SERIES`,
    /// `KERNEL_SRC` and `KDIR` are honoured.
    ///
    /// # Errors
    ///
    /// `KERNEL` is none of [`Kernel`], or `SERIES` names no series.
    pub fn new(repository: &Path) -> Result<Self> {
        let given = |name| env::var_os(name).filter(|value| !value.is_empty());
        let kernel = given("KERNEL").unwrap_or_else(|| "stock".into());
        let kernel = kernel.to_string_lossy();
        let series = given("SERIES").map(|text| text.to_string_lossy().into_owned());
        series.as_deref().map_or(Ok(()), image::check_series)?;
        Ok(Self {
            repository: repository.to_owned(),
            kernel: Kernel::from_str(&kernel, true)
                .map_err(|_| anyhow!("KERNEL={kernel} is none of stock, cloud, rt, build"))?,
            kernel_source: given("KERNEL_SRC").map(PathBuf::from),
            kdir: given("KDIR").map(PathBuf::from),
            variant: Variant::Standard,
            series,
            module: true,
            update: false,
        })
    }

    /// Whether the user has named a kernel other than the one that the module is tested on.
    pub fn names_a_kernel(&self) -> bool {
        let is_own = |series: &String| series == kernel_source::SERIES;
        self.kdir.is_some() || !self.series.as_ref().is_none_or(is_own)
    }

    /// Fails if the options contradict each other.
    fn check(&self) -> Result<()> {
        let Some(series) = &self.series else {
            return Ok(());
        };
        if self.variant == Variant::Standard && !self.is_stock() {
            bail!("SERIES={series} names a stock kernel: give none of KERNEL=build, KERNEL_SRC=, KDIR=");
        }
        if self.module && series != kernel_source::SERIES {
            bail!(
                "SERIES={series}: the module is for Linux {}; the C driver is tested on any: DRIVER=c",
                kernel_source::SERIES
            );
        }
        Ok(())
    }

    /// Whether the kernel is one of Debian's own.
    fn is_stock(&self) -> bool {
        self.kernel != Kernel::Build
            && self.variant == Variant::Standard
            && self.kernel_source.is_none()
            && self.kdir.is_none()
    }
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
    /// Built from Debian's source.
    Build,
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
}

impl Variant {
    /// Its name, part of the name of its build directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Debug => "debug",
            Self::DelayedRelease => "delayed-release",
            Self::Kcsan => "kcsan",
        }
    }

    /// Its configuration fragments in the clone at `repository`, the common ones first.
    fn fragments(self, repository: &Path) -> Vec<PathBuf> {
        let own: &[&str] = match self {
            Self::Standard => &[],
            Self::Debug => &["debug.config"],
            Self::DelayedRelease => &["debug.config", "delayed-release.config"],
            Self::Kcsan => &["kcsan.config"],
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
    /// Source of the kernel, where it is known.
    pub kernel_source: Option<PathBuf>,
    /// The built kernel tree (`O=`), to be given to the module's build as `KDIR=`; none for an image
    /// that is only booted.
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

/// Makes sure that all of the test machine is there; `say` gets each line meant for people.
///
/// # Errors
///
/// The first thing that could not be had, with the reason.
pub fn ensure(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<Machine> {
    options.check()?;
    let mut cx = context(options, say)?;
    if options.is_stock() && !options.module {
        return on_image(options, &mut cx);
    }
    if options.is_stock() {
        let (packages, fetched) = thread::scope(|scope| {
            // The distribution's packages and Debian's newer ones do not wait for each other.
            let mut beside = cx.beside();
            let fetching = scope.spawn(move || stock::fetch(&mut beside, options.kernel));
            let packages = packages::ensure(&mut cx, Purpose::Build);
            let fetched = fetching.join();
            (packages, fetched.unwrap_or_else(|_| bail!("it panicked")))
        });
        packages?;
        if let Some(stock) = fetched.context("no stock kernel could be had")? {
            return on_stock(&mut cx, stock);
        }
        cx.say("building the kernel instead");
    }
    on_tree(options, &mut cx)
}

/// The machine with a kernel of Debian's own that nothing is built for.
fn on_image(options: &Options, cx: &mut Context<'_>) -> Result<Machine> {
    packages::ensure(cx, Purpose::Run)?;
    let series = options.series.as_deref().unwrap_or(kernel_source::SERIES);
    let image = image::ensure(cx, options.kernel, series)?;
    Ok(Machine {
        cache: cx.cache.clone(),
        kernel_source: None,
        kdir: None,
        bzimage: image.bzimage,
        kernel_release: image.release,
        c_driver: image.modules.c_driver,
        modules: image.modules.of_tests,
        qemu: own_qemu()?,
        busybox: busybox::ensure(cx)?,
        rustc: None,
        make_env: Vec::new(),
        tools_disk: tools_disk::ensure(cx)?,
    })
}

/// The machine with a kernel of Debian's own.
fn on_stock(cx: &mut Context<'_>, stock: stock::Stock) -> Result<Machine> {
    let busybox = busybox::ensure(cx)?;
    let tools_disk = tools_disk::ensure(cx)?;
    let ready = stock.ensure(cx)?;
    Ok(Machine {
        cache: cx.cache.clone(),
        kernel_source: Some(ready.source),
        kdir: Some(ready.kdir),
        bzimage: ready.bzimage,
        kernel_release: ready.release,
        c_driver: ready.modules.c_driver,
        modules: ready.modules.of_tests,
        qemu: own_qemu()?,
        busybox,
        rustc: Some(ready.rustc),
        make_env: vec![
            ("KERNEL_TOOLS".to_owned(), ready.tools.into()),
            ("RUST_LIB_SRC".to_owned(), ready.rust_src.into()),
        ],
        tools_disk,
    })
}

/// The programs that build a kernel.
struct Builders {
    llvm: u32,
    /// For a kernel with Rust, and the module.
    rust: Option<(Rust, Bindgen)>,
}

impl Builders {
    fn ensure(cx: &mut Context<'_>, module: bool) -> Result<Self> {
        let llvm = packages::ensure(cx, Purpose::Llvm)?.llvm()?;
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
    let fragments = options.variant.fragments(&cx.repository);
    let wishes = wishes(&fragments, options.module)?;
    let is_given = options.kdir.is_some() && !options.module;
    let builders = match is_given {
        true => None,
        false => Some(Builders::ensure(cx, options.module)?),
    };
    if is_given {
        packages::ensure(cx, Purpose::Run)?;
    }
    let rust = builders
        .as_ref()
        .and_then(|builders| builders.rust.as_ref());
    let mut make_env = match &builders {
        Some(builders) => builders.environment()?,
        None => Vec::new(),
    };
    let tree = match (&options.kdir, &builders) {
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
            let llvm = tree.llvm(|name| command::find_program(name).is_some());
            make_env.extend(llvm.map(|llvm| ("LLVM".to_owned(), llvm.into())));
            tree
        }
        (None, Some(builders)) => {
            let source = match &options.kernel_source {
                Some(tree) => kernel_source::given(tree)?,
                None => kernel_source::ensure(cx)?,
            };
            if let Some((rust, _)) = rust {
                let rust_src = rust::ensure_sources(cx, rust)?;
                make_env.push(("RUST_LIB_SRC".to_owned(), rust_src.into()));
            }
            make_env.push(("LLVM".to_owned(), format!("-{}", builders.llvm).into()));
            let inputs = kernel::Inputs {
                variant: options.variant.name(),
                source: &source,
                wishes: &wishes,
                tools: builders.versions()?,
                environment: &make_env,
            };
            tree::open(&kernel::ensure(cx, &inputs)?, options.module)?
        }
        (None, None) => bail!("there is neither a kernel nor what builds one"),
    };
    if let Some((rust, _)) = rust {
        tree.check_rustc(rust)?;
    }
    let modules = guest_modules::in_tree(cx, &tree.kdir)?;
    Ok(Machine {
        cache: cx.cache.clone(),
        kernel_source: tree.source,
        kdir: Some(tree.kdir),
        bzimage: tree.bzimage,
        kernel_release: tree.release,
        c_driver: modules.c_driver,
        modules: modules.of_tests,
        qemu: own_qemu()?,
        busybox: busybox::ensure(cx)?,
        rustc: rust.map(|(rust, _)| rust.text.clone()),
        make_env,
        tools_disk: tools_disk::ensure(cx)?,
    })
}

fn own_qemu() -> Result<Qemu> {
    qemu::own().context("there is no QEMU although its package is installed")
}

/// Makes sure that there is the whole source of a kernel, with its own tools for tests.
///
/// # Errors
///
/// `KERNEL_SRC` is no kernel source, or Debian's mirror does not have it.
pub fn ensure_kernel_source(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<PathBuf> {
    let source = match &options.kernel_source {
        Some(tree) => kernel_source::given(tree)?,
        None => kernel_source::ensure(&mut context(options, say)?)?,
    };
    Ok(source.tree)
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
