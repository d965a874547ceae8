// SPDX-License-Identifier: GPL-2.0

//! Debian's own kernel, unchanged: its image and modules, and a tree to build modules for it.
//!
//! The packaged headers lack what the kernel's Rust leaves for modules. It is made from the source
//! package of the same revision with the compilers that built the kernel, and is right if the
//! symbols come out that the packaged kernel exports.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{bail, Context as _, Result};

use crate::apt::{Apt, Candidate};
use crate::command::{command, elapsed, output, run_long};
use crate::config;
use crate::context::{create_dir, digest, read, remove_dir, write, Context};
use crate::guest_modules;
use crate::series::number_of;
use crate::toolchain::{self, Toolchain};
use crate::version::{compare, newest};
use crate::{Arch, Kernel, Series};

/// Options that follow from the programs of this machine, and change nothing that a module sees.
/// What depends on the version of binutils is an option of its own; of the compiler's text,
/// [`toolchain`] checks all but Debian's revision.
const OF_THE_MACHINE: [&str; 10] = [
    "AS_VERSION",
    "CC_CAN_LINK",
    "CC_VERSION_TEXT",
    "COMPAT_VDSO",
    "LD_VERSION",
    "MODULE_SIG_KEY_TYPE_MLDSA_44",
    "MODULE_SIG_KEY_TYPE_MLDSA_65",
    "MODULE_SIG_KEY_TYPE_MLDSA_87",
    "OPENSSL_SUPPORTS_ML_DSA",
    "THUMB2_COMPAT_VDSO",
];

/// Files of the source that are not unpacked: what only the image and its modules are made of.
const NOT_UNPACKED: [&str; 13] = [
    "*.dts*",
    "Documentation/*/*",
    "arch/[!ax]*/*.[chS]",
    "arch/alpha/*.[chS]",
    "arch/arc/*.[chS]",
    "arch/arm/*.[chS]",
    "drivers/*.c",
    "drivers/gpu/*.h",
    "fs/*.c",
    "net/*.c",
    "sound/*.c",
    "tools/perf/*",
    "tools/testing/*",
];

/// Which stock kernel.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) series: Series,
    pub(crate) arch: Arch,
    /// Debian's name of the flavour.
    pub(crate) flavour: &'static str,
    /// Whether its image and modules are needed, beside what a module is built with.
    pub(crate) runs: bool,
}

/// A stock kernel in the cache.
pub(crate) struct Stock {
    root: PathBuf,
    /// What `uname -r` says.
    release: String,
    /// Debian's version.
    version: String,
    arch: Arch,
    toolchain: Toolchain,
}

/// What the module's build takes from a stock kernel.
pub(crate) struct Tree {
    pub(crate) kdir: PathBuf,
    pub(crate) source: PathBuf,
    pub(crate) release: String,
    /// Debian's version.
    pub(crate) version: String,
    /// The environment of make.
    pub(crate) make_env: Vec<(String, OsString)>,
}

/// What the VM takes from a stock kernel.
pub(crate) struct Installed {
    pub(crate) bzimage: PathBuf,
    pub(crate) modules: guest_modules::Modules,
    /// What the rustc says of its version.
    pub(crate) rustc: String,
}

/// A kernel image that the mirror has.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Image {
    package: String,
    release: String,
    version: String,
}

impl Image {
    /// Reads the name of a package: `linux-binary-7.3.4+deb13-amd64`.
    fn of(package: &str, candidate: &Candidate, flavour: &str) -> Option<Self> {
        let rest = package.strip_prefix("linux-binary-")?;
        let release = rest.strip_prefix("unsigned-").unwrap_or(rest);
        let (_, own) = release.split_once('-')?;
        (own == flavour).then(|| Self {
            package: package.to_owned(),
            release: release.to_owned(),
            version: candidate.version.clone(),
        })
    }

    /// The package of what modules are built with.
    fn headers(&self) -> String {
        format!("linux-headers-{}", self.release)
    }

    /// The package of the source.
    fn source(&self) -> String {
        format!("linux-source-{}", number_of(&self.version))
    }

    /// The packages that are installed together with it.
    fn installed(&self) -> [String; 3] {
        let Self {
            package, release, ..
        } = self;
        [
            package.clone(),
            format!("linux-base-{release}"),
            format!("linux-modules-{release}"),
        ]
    }

    /// Newer ones are better than older ones, signed ones than unsigned ones.
    fn compare(&self, other: &Self) -> Ordering {
        let is_signed = |image: &Self| !image.package.contains("-unsigned-");
        compare(&self.version, &other.version).then(is_signed(self).cmp(&is_signed(other)))
    }
}

impl Kernel {
    /// Debian's name for the flavour, if there is one of this architecture.
    pub(crate) fn flavour(self, arch: Arch) -> Option<&'static str> {
        match (self, arch) {
            (Self::Stock, Arch::Amd64) => Some("amd64"),
            (Self::Stock, Arch::Arm64) => Some("arm64"),
            (Self::Cloud, Arch::Amd64) => Some("cloud-amd64"),
            (Self::Cloud, Arch::Arm64) => Some("cloud-arm64"),
            (Self::Rt, Arch::Amd64) => Some("rt-amd64"),
            (Self::Rt, Arch::Arm64) => Some("rt-arm64"),
            (Self::Pages16k, Arch::Arm64) => Some("arm64-16k"),
            (Self::Pages16k, Arch::Amd64) | (Self::Build, _) => None,
        }
    }
}

/// Makes sure that a stock kernel, its source and its compilers are unpacked in the cache.
///
/// None if the mirror lacks a part of each, after a line for each that says so.
pub(crate) fn fetch(cx: &mut Context<'_>, wanted: &Wanted) -> Result<Option<Stock>> {
    let all = cx.cache.join("stock");
    if let (false, Some(stock)) = (cx.update, newest_in(&all, wanted)) {
        return Ok(Some(stock));
    }
    let _lock = cx.lock("stock")?;
    if let (false, Some(stock)) = (cx.update, newest_in(&all, wanted)) {
        return Ok(Some(stock));
    }
    let apt = Apt::open_for(cx, wanted.arch)?;
    for image in images(&apt, wanted)? {
        if let Some(stock) = fetch_image(cx, &apt, &image, wanted)? {
            return Ok(Some(stock));
        }
    }
    let Wanted {
        series, flavour, ..
    } = wanted;
    cx.say(format!(
        "Debian's mirror has no kernel {flavour} of Linux {series} with all that a module needs"
    ));
    Ok(None)
}

/// The images that are wanted, the best first.
fn images(apt: &Apt, wanted: &Wanted) -> Result<Vec<Image>> {
    let names = apt.names("linux-binary-")?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let versions = apt.versions_of(&names)?;
    let images = versions.iter().flat_map(|(package, candidates)| {
        let of = |candidate| Image::of(package, candidate, wanted.flavour);
        candidates.iter().filter_map(of)
    });
    let mut images: Vec<_> = images
        .filter(|image| wanted.series.has(&image.version))
        .collect();
    images.sort_by(|a, b| b.compare(a));
    images.dedup_by(|a, b| a.release == b.release && a.version == b.version);
    Ok(images)
}

fn fetch_image(
    cx: &mut Context<'_>,
    apt: &Apt,
    image: &Image,
    wanted: &Wanted,
) -> Result<Option<Stock>> {
    let Image {
        package,
        release,
        version,
    } = image;
    let (headers, source) = (image.headers(), image.source());
    let mut needed = vec![headers.clone(), source.clone()];
    if wanted.runs {
        needed.extend(image.installed());
    }
    let known = apt.versions_of(&needed)?;
    let has = |name: &str| {
        let mut candidates = known.get(name).into_iter().flatten();
        candidates.any(|candidate| candidate.version == *version)
    };
    if let Some(lacks) = needed.iter().find(|name| !has(name)) {
        cx.say(format!(
            "Debian's mirror has {package} {version}, but no {lacks} of this revision; looking on"
        ));
        return Ok(None);
    }
    let root = cx.cache.join("stock").join(format!("{release}_{version}"));
    let of_version = |name: &str| format!("{name}={version}");
    let packages = root.join("packages");
    if wanted.runs && !packages.exists() {
        cx.say(format!(
            "fetching Debian's kernel {release} with its modules (about 125 MB)"
        ));
        let names = image.installed().map(|name| of_version(&name));
        cx.timed("kernel", |cx| {
            cx.fill(&packages, |cx, partial| {
                apt.unpack_all(cx, "the kernel", &names, partial)
            })
        })?;
    }
    let unpacked = root.join("headers");
    if !unpacked.exists() {
        cx.fill(&unpacked, |cx, partial| {
            apt.unpack(cx, &headers, version, partial)
        })?;
    }
    let config = read(&unpacked.join(format!("usr/src/{headers}/.config")))?;
    let Some(toolchain) = toolchain::ensure(cx, wanted.arch, apt, &config)? else {
        return Ok(None);
    };
    // Flavours and architectures have one source.
    let tree = cx.cache.join("stock-source").join(version);
    if !tree.exists() {
        cx.say(format!(
            "fetching {source} {version} (about 170 MB) and unpacking a part of it (300 MB)"
        ));
        cx.timed("source", |cx| {
            cx.fill(&tree, |cx, partial| {
                let xz = toolchain.bin.join("xz");
                unpack_source(cx, apt, &source, version, &xz, partial)
            })
        })?;
    }
    let link = root.join("source");
    if !link.exists() {
        symlink(&tree, &link).with_context(|| format!("cannot make {}", link.display()))?;
    }
    let bin = toolchain.bin.to_string_lossy();
    write(&root.join("toolchain"), bin.as_ref())?;
    let rust_src = toolchain.rust_src.to_string_lossy();
    write(&root.join("rust-src"), rust_src.as_ref())?;
    write(&root.join("fetched"), "")?;
    Ok(Some(Stock {
        root,
        release: release.clone(),
        version: version.clone(),
        arch: wanted.arch,
        toolchain,
    }))
}

/// Unpacks the source in a package, as far as modules need it.
fn unpack_source(
    cx: &mut Context<'_>,
    apt: &Apt,
    name: &str,
    version: &str,
    xz: &Path,
    target: &Path,
) -> Result<()> {
    let files = target.join("package");
    apt.unpack(cx, name, version, &files)?;
    let archive = files.join(format!("usr/src/{name}.tar.xz"));
    let log = cx.log("stock-source")?;
    let mut tar = command("tar");
    tar.arg("-C").arg(target).arg("--anchored");
    for pattern in NOT_UNPACKED {
        tar.arg(format!("--exclude={name}/{pattern}"));
    }
    tar.arg(format!("--use-compress-program={} -T0", xz.display()));
    tar.args(["--strip-components=1", "-xf"]).arg(archive);
    run_long(cx, &mut tar, &log, elapsed("unpacking the kernel source"))?;
    remove_dir(&files)
}

/// The newest kernel of those that are wanted that was fetched completely.
fn newest_in(all: &Path, wanted: &Wanted) -> Option<Stock> {
    let entries = fs::read_dir(all).ok()?.flatten();
    let found = entries.filter_map(|entry| {
        let root = entry.path();
        let name = entry.file_name().into_string().ok()?;
        let (release, version) = name.split_once('_')?;
        let (_, own) = release.split_once('-')?;
        let ours = wanted.series.has(version) && own == wanted.flavour;
        let runs = root.join("packages").exists();
        if !ours || wanted.runs && !runs || !root.join("fetched").exists() {
            return None;
        }
        let path = |file: &str| fs::read_to_string(root.join(file)).map(PathBuf::from);
        let toolchain = Toolchain {
            bin: path("toolchain").ok()?,
            rust_src: path("rust-src").ok()?,
        };
        let version = version.to_owned();
        let stock = Stock {
            release: release.to_owned(),
            version: version.clone(),
            arch: wanted.arch,
            toolchain,
            root,
        };
        Some((version, stock))
    });
    newest(found).map(|(_, stock)| stock)
}

impl Stock {
    fn headers(&self) -> PathBuf {
        let place = format!("headers/usr/src/linux-headers-{}", self.release);
        self.root.join(place)
    }

    /// Makes what the packages lack, if that is not done yet.
    pub(crate) fn tree(&self, cx: &mut Context<'_>) -> Result<Tree> {
        let complete = self.root.join("complete");
        if !complete.exists() {
            let name = self.root.file_name().unwrap_or_default().to_string_lossy();
            let _lock = cx.lock(&format!("stock-{}", digest(&name)))?;
            if !complete.exists() {
                cx.timed("Rust metadata", |cx| self.make(cx))?;
                write(&complete, "")?;
            }
        }
        let Toolchain { bin, rust_src } = &self.toolchain;
        let mut make_env: Vec<(String, OsString)> = vec![
            ("ARCH".to_owned(), self.arch.kernel().into()),
            ("KERNEL_TOOLS".to_owned(), bin.into()),
            ("RUST_LIB_SRC".to_owned(), rust_src.into()),
        ];
        if let Some(prefix) = toolchain::prefix(self.arch) {
            make_env.push(("CROSS_COMPILE".to_owned(), prefix.into()));
        }
        Ok(Tree {
            kdir: self.root.join("build"),
            source: self.root.join("source"),
            release: self.release.clone(),
            version: self.version.clone(),
            make_env,
        })
    }

    /// Takes the image and the modules out of the packages.
    pub(crate) fn installed(&self, cx: &mut Context<'_>) -> Result<Installed> {
        let installed = format!("packages/usr/lib/modules/{}", self.release);
        let installed = self.root.join(installed);
        let target = self.root.join("modules");
        let bin = &self.toolchain.bin;
        Ok(Installed {
            bzimage: installed.join("vmlinuz"),
            modules: guest_modules::unpacked(cx, &installed, &target, &bin.join("xz"))?,
            rustc: output(command(bin.join("rustc")).arg("--version"))?,
        })
    }

    fn make(&self, cx: &mut Context<'_>) -> Result<()> {
        let tree = self.root.join("build");
        let log = self.root.join("build.log");
        create_dir(&tree)?;
        let packaged = read(&self.headers().join(".config"))?;
        write(&tree.join(".config"), &packaged)?;
        cx.say(format!(
            "making the Rust metadata of {} (about a minute on 2 processors); log in {}",
            self.release,
            log.display()
        ));
        let what = "making the Rust metadata";
        let jobs = thread::available_parallelism().map_or(1, usize::from) + 1;
        let compiler = toolchain::compiler(&packaged)?;
        let mut configure = self.make_command(compiler, &["olddefconfig"]);
        run_long(cx, &mut configure, &log, elapsed(what))?;
        compare_config(&packaged, &read(&tree.join(".config"))?)
            .context("the configuration does not come out as it was packaged")?;
        let targets = [&format!("-j{jobs}"), "prepare", "modules_prepare"];
        let mut make = self.make_command(compiler, &targets);
        run_long(cx, &mut make, &log, elapsed(what))?;
        let symbols = self.headers().join("Module.symvers");
        let mut made = String::new();
        for entry in fs::read_dir(tree.join("rust"))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("exports_") && name.ends_with("_generated.h") {
                made += &read(&path)?;
            }
        }
        let count = compare_symbols(&read(&symbols)?, &made)
            .with_context(|| format!("the metadata of {} is wrong", self.release))?;
        cx.say(format!(
            "{count} Rust symbols are those of the packaged kernel"
        ));
        fs::copy(&symbols, tree.join("Module.symvers"))
            .with_context(|| format!("cannot copy {}", symbols.display()))?;
        Ok(())
    }

    fn make_command(&self, compiler: &str, arguments: &[&str]) -> Command {
        let mut make = command("make");
        let bin = &self.toolchain.bin;
        let old = std::env::var_os("PATH").unwrap_or_default();
        let mut path = bin.as_os_str().to_owned();
        path.push(":");
        path.push(old);
        make.env("PATH", path);
        make.arg("-C").arg(self.root.join("source"));
        make.arg(format!("O={}", self.root.join("build").display()));
        make.arg(format!("ARCH={}", self.arch.kernel()));
        make.arg(format!("CC={compiler}"));
        if let Some(prefix) = toolchain::prefix(self.arch) {
            make.arg(format!("CROSS_COMPILE={prefix}"));
        }
        let rust_src = self.toolchain.rust_src.display();
        make.arg(format!("RUST_LIB_SRC={rust_src}"));
        make.arg(format!("KERNELRELEASE={}", self.release));
        make.args(arguments);
        make
    }
}

/// Fails with the options that differ from the packaged configuration, and both values.
fn compare_config(packaged: &str, made: &str) -> Result<()> {
    let (packaged, made) = (config::parse(packaged), config::parse(made));
    let names: BTreeSet<_> = packaged.keys().chain(made.keys()).collect();
    let differing = names.into_iter().filter_map(|name| {
        let of =
            |config: &BTreeMap<&str, &str>| config.get(name).copied().unwrap_or("n").to_owned();
        let (was, is) = (of(&packaged), of(&made));
        let counts = was != is && !OF_THE_MACHINE.contains(name);
        counts.then(|| format!("CONFIG_{name} is {is}, packaged {was}"))
    });
    let differing: Vec<_> = differing.collect();
    if !differing.is_empty() {
        bail!("{}", differing.join("; "));
    }
    Ok(())
}

/// Fails unless the Rust symbols in `made` are those in the packaged `Module.symvers`; their
/// number.
fn compare_symbols(packaged: &str, made: &str) -> Result<usize> {
    let packaged: BTreeSet<_> = packaged
        .lines()
        .filter_map(|line| line.split('\t').nth(1))
        .collect();
    let made: BTreeSet<_> = made
        .lines()
        .filter_map(|line| line.split_once('(')?.1.split_once(')'))
        .map(|(name, _)| name)
        .collect();
    let is_rust = |name: &&&str| name.starts_with("_R") || name.starts_with("rust_helper_");
    let lost = packaged
        .iter()
        .filter(is_rust)
        .find(|name| !made.contains(*name));
    let new = made.iter().find(|name| !packaged.contains(*name));
    if lost.is_some() || new.is_some() || made.is_empty() {
        let count = packaged.iter().filter(is_rust).count();
        bail!(
            "{} Rust symbols came out, the package has {count}; only in the package: {}; only here: {}",
            made.len(),
            lost.unwrap_or(&"none"),
            new.unwrap_or(&"none"),
        );
    }
    Ok(made.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(package: &str, version: &str, flavour: &str) -> Option<Image> {
        let candidate = Candidate {
            version: version.to_owned(),
            suite: "sid".to_owned(),
        };
        Image::of(package, &candidate, flavour)
    }

    #[test]
    fn the_flavour_of_an_image_is_the_end_of_its_name() {
        let name = "linux-binary-7.3.4+deb13-amd64";
        assert_eq!(
            image(name, "1", "amd64").unwrap().release,
            "7.3.4+deb13-amd64"
        );
        assert_eq!(
            image("linux-binary-7.3.4+deb13-rt-amd64", "1", "amd64"),
            None
        );
        let rt = image(
            "linux-binary-unsigned-7.3.4+deb13-rt-amd64",
            "1",
            "rt-amd64",
        );
        assert_eq!(rt.unwrap().release, "7.3.4+deb13-rt-amd64");
    }

    #[test]
    fn the_newest_signed_release_is_the_best_image() {
        let mut images = [
            ("linux-binary-7.3-amd64", "7.3~rc7-1~exp1"),
            (
                "linux-binary-unsigned-7.3.10+deb13-amd64",
                "7.3.10-1~bpo13+1",
            ),
            ("linux-binary-7.3.10+deb13-amd64", "7.3.10-1~bpo13+1"),
            ("linux-binary-7.3.9+deb13-amd64", "7.3.9-1~bpo13+1"),
        ]
        .map(|(package, version)| image(package, version, "amd64").unwrap());
        images.sort_by(|a, b| b.compare(a));
        let order = images.each_ref().map(|image| image.package.as_str());
        assert_eq!(order[0], "linux-binary-7.3.10+deb13-amd64");
        assert_eq!(order[2], "linux-binary-7.3.9+deb13-amd64");
        assert_eq!(order[3], "linux-binary-7.3-amd64");
    }

    #[test]
    fn the_newest_in_the_cache_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let all = folder.path().join("stock");
        for version in ["7.3.4-9", "7.3.4-10", "7.3~rc10-1~exp1", "7.3~rc7-1~exp1"] {
            let root = all.join(format!("7.3-amd64_{version}"));
            create_dir(&root).unwrap();
            for file in ["fetched", "rust-src", "toolchain"] {
                write(&root.join(file), "").unwrap();
            }
        }
        let newest = |series: &str| {
            let wanted = Wanted {
                series: series.parse().unwrap(),
                arch: Arch::Amd64,
                flavour: "amd64",
                runs: false,
            };
            newest_in(&all, &wanted).map(|stock| stock.root)
        };
        assert_eq!(newest("7.3"), Some(all.join("7.3-amd64_7.3.4-10")));
        let next = all.join("7.3-amd64_7.3~rc10-1~exp1");
        assert_eq!(newest("next"), Some(next));
        for release in ["7.3.4-9", "7.3.4-10"] {
            remove_dir(&all.join(format!("7.3-amd64_{release}"))).unwrap();
        }
        assert_eq!(newest("7.3"), None);
    }

    #[test]
    fn options_that_follow_from_the_machine_do_not_count() {
        let packaged = "CONFIG_RUST=y\nCONFIG_CC_CAN_LINK=y\nCONFIG_DEBUG_INFO_BTF=y\n\
                        CONFIG_AS_VERSION=24700\nCONFIG_LD_VERSION=24700\n";
        let made = "CONFIG_RUST=y\nCONFIG_DEBUG_INFO_BTF=y\n\
                    CONFIG_AS_VERSION=24750\nCONFIG_LD_VERSION=24750\n";
        assert!(compare_config(packaged, made).is_ok());
        let error = compare_config(packaged, &made.replace("CONFIG_DEBUG_INFO_BTF=y\n", ""));
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), "CONFIG_DEBUG_INFO_BTF is n, packaged y");
    }

    #[test]
    fn symbols_must_be_those_of_the_package() {
        let packaged = "0x0\t_RA\tvmlinux\tEXPORT_SYMBOL_GPL\t\n\
                        0x0\trust_helper_b\tvmlinux\tEXPORT_SYMBOL_GPL\t\n\
                        0x0\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n";
        let made = "EXPORT_SYMBOL_RUST_GPL(_RA);\nEXPORT_SYMBOL_RUST_GPL(rust_helper_b);\n";
        assert_eq!(compare_symbols(packaged, made).unwrap(), 2);
        let error = compare_symbols(packaged, &made.replace("_RA", "_RB")).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("package: _RA") && error.contains("here: _RB"),
            "{error}"
        );
        assert!(compare_symbols("", "").is_err());
        assert!(compare_symbols(packaged, "EXPORT_SYMBOL_RUST_GPL(_RA);").is_err());
    }
}
