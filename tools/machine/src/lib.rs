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
use crate::rust::Rust;

pub use crate::command::quote;
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
    /// Look for a newer kernel source and QEMU even if the cache has one.
    pub update: bool,
}

impl Options {
    /// The standard kernel for a clone at `repository`; `KERNEL`, `KERNEL_SRC` and `KDIR` are
    /// honoured.
    ///
    /// # Errors
    ///
    /// `KERNEL` is none of [`Kernel`].
    pub fn new(repository: &Path) -> Result<Self> {
        let given = |name| env::var_os(name).filter(|value| !value.is_empty());
        let kernel = given("KERNEL").unwrap_or_else(|| "stock".into());
        let kernel = kernel.to_string_lossy();
        Ok(Self {
            repository: repository.to_owned(),
            kernel: Kernel::from_str(&kernel, true)
                .map_err(|_| anyhow!("KERNEL={kernel} is none of stock, cloud, rt, build"))?,
            kernel_source: given("KERNEL_SRC").map(PathBuf::from),
            kdir: given("KDIR").map(PathBuf::from),
            variant: Variant::Standard,
            update: false,
        })
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

/// What [`ensure`] found or made.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The directory that holds everything that was made.
    pub cache: PathBuf,
    /// Source of the kernel, where it is known.
    pub kernel_source: Option<PathBuf>,
    /// The built kernel tree (`O=`), to be given to the module's build as `KDIR=`.
    pub kdir: PathBuf,
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
    /// What the rustc of the kernel and of the module says of its version.
    pub rustc: String,
    /// A statically linked busybox.
    pub busybox: PathBuf,
    /// Environment for `make KDIR=` of the module.
    pub make_env: Vec<(String, OsString)>,
    /// An ext4 image with fio and other programs, and their libraries.
    pub tools_disk: PathBuf,
}

/// Makes sure that all of the test machine is there; `say` gets each line meant for people.
///
/// # Errors
///
/// The first thing that could not be had, with the reason.
pub fn ensure(options: &Options, say: &(dyn Fn(&str) + Sync)) -> Result<Machine> {
    let mut cx = context(options, say)?;
    if options.is_stock() {
        let (packages, fetched) = thread::scope(|scope| {
            // The distribution's packages and Debian's newer ones do not wait for each other.
            let mut beside = cx.beside();
            let fetching = scope.spawn(move || stock::fetch(&mut beside, options.kernel));
            let packages = packages::ensure(&mut cx, false);
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

/// The machine with a kernel of Debian's own.
fn on_stock(cx: &mut Context<'_>, stock: stock::Stock) -> Result<Machine> {
    let busybox = busybox::ensure(cx)?;
    let tools_disk = tools_disk::ensure(cx)?;
    let ready = stock.ensure(cx)?;
    Ok(Machine {
        cache: cx.cache.clone(),
        kernel_source: Some(ready.source),
        kdir: ready.kdir,
        bzimage: ready.bzimage,
        kernel_release: ready.release,
        c_driver: Vec::new(),
        modules: ready.modules,
        qemu: own_qemu()?,
        busybox,
        rustc: ready.rustc,
        make_env: vec![
            ("KERNEL_TOOLS".to_owned(), ready.tools.into()),
            ("RUST_LIB_SRC".to_owned(), ready.rust_src.into()),
        ],
        tools_disk,
    })
}

/// The machine with a kernel that is built, or that the user has built.
fn on_tree(options: &Options, cx: &mut Context<'_>) -> Result<Machine> {
    let fragments = options.variant.fragments(&cx.repository);
    let llvm = packages::ensure(cx, true)?.llvm()?;
    let rust = rust::find(cx)?;
    let bindgen = bindgen::ensure(cx)?;
    let busybox = busybox::ensure(cx)?;
    let tools_disk = tools_disk::ensure(cx)?;

    let mut make_env = vec![
        (
            "PATH".to_owned(),
            path(&rust, &bindgen, &env::var_os("PATH").unwrap_or_default())?,
        ),
        (
            "LIBCLANG_PATH".to_owned(),
            format!("/usr/lib/llvm-{llvm}/lib").into(),
        ),
    ];
    let tree = match &options.kdir {
        Some(kdir) => {
            let tree = tree::open(kdir)?;
            for line in config::unmet(&kernel::read_fragments(&fragments)?, &tree.config) {
                cx.say(format!(
                    "note: in KDIR, {line}; tests that need it will fail"
                ));
            }
            let llvm = tree.llvm(|name| command::find_program(name).is_some());
            make_env.extend(llvm.map(|llvm| ("LLVM".to_owned(), llvm.into())));
            tree
        }
        None => {
            let source = match &options.kernel_source {
                Some(tree) => kernel_source::given(tree)?,
                None => kernel_source::ensure(cx)?,
            };
            let rust_src = rust::ensure_sources(cx, &rust)?;
            make_env.push(("RUST_LIB_SRC".to_owned(), rust_src.into()));
            make_env.push(("LLVM".to_owned(), format!("-{llvm}").into()));
            let inputs = kernel::Inputs {
                variant: options.variant.name(),
                source: &source,
                fragments: &fragments,
                tools: vec![
                    rust.text.clone(),
                    kernel::clang_version(llvm)?,
                    bindgen.text.clone(),
                ],
                environment: &make_env,
            };
            tree::open(&kernel::ensure(cx, &inputs)?)?
        }
    };
    tree.check_rustc(&rust)?;
    Ok(Machine {
        cache: cx.cache.clone(),
        kernel_source: tree.source,
        kdir: tree.kdir,
        bzimage: tree.bzimage,
        kernel_release: tree.release,
        c_driver: tree.c_driver,
        modules: Vec::new(),
        qemu: own_qemu()?,
        busybox,
        rustc: rust.text,
        make_env,
        tools_disk,
    })
}

fn own_qemu() -> Result<Qemu> {
    qemu::own().context("there is no QEMU although its package is installed")
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
