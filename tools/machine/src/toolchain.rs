// SPDX-License-Identifier: GPL-2.0

//! The compiler, the rustc and the other programs that built a packaged kernel.
//!
//! They are unpacked from the suite with all of their libraries, and run by their own dynamic
//! linker, whatever the machine has: for each program there is a script of its name in one
//! directory, which make has first in `PATH`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context as _, Result};

use crate::apt::{Apt, Candidate};
use crate::command::{command, output, quote};
use crate::config;
use crate::context::{create_dir, write, Context};
use crate::version::{find_version, upstream};
use crate::Arch;

/// Programs of binutils; their files have an architecture before their names.
const BINUTILS: [(&str, &str); 11] = [
    ("addr2line", "addr2line"),
    ("ar", "ar"),
    ("as", "as"),
    ("ld", "ld.bfd"),
    ("ld.bfd", "ld.bfd"),
    ("nm", "nm"),
    ("objcopy", "objcopy"),
    ("objdump", "objdump"),
    ("readelf", "readelf"),
    ("size", "size"),
    ("strip", "strip"),
];

/// Other programs in `usr/bin`.
const PROGRAMS: [&str; 6] = [
    "bindgen",
    "clippy-driver",
    "pahole",
    "rustc",
    "rustdoc",
    "xz",
];

/// Programs that gcc starts, beside those of binutils.
const PARTS_OF_GCC: [&str; 2] = ["cc1", "collect2"];

/// An unpacked toolchain.
pub(crate) struct Toolchain {
    /// The directory of the scripts.
    pub(crate) bin: PathBuf,
    /// The library sources of its rustc.
    pub(crate) rust_src: PathBuf,
}

/// The versions that a kernel was built with, from its `.config`.
#[derive(Debug, Eq, PartialEq)]
struct Wanted<'a> {
    /// What `gcc --version` says first.
    gcc_text: &'a str,
    /// What `rustc --version` says.
    rustc_text: &'a str,
    llvm: &'a str,
}

impl<'a> Wanted<'a> {
    fn of(config: &'a str) -> Result<Self> {
        let options = config::parse(config);
        let option = |name: &str| {
            let value = options.get(name).map(|value| value.trim_matches('"'));
            value.with_context(|| format!("the kernel's configuration has no CONFIG_{name}"))
        };
        Ok(Self {
            gcc_text: option("CC_VERSION_TEXT")?,
            rustc_text: option("RUSTC_VERSION_TEXT")?,
            llvm: option("RUSTC_LLVM_MAJOR_VERSION")?,
        })
    }

    /// The compiler's program, for example `x86_64-linux-gnu-gcc-14`.
    fn gcc(&self) -> &'a str {
        self.gcc_text.split(' ').next().unwrap_or_default()
    }

    /// The number at the end of its name.
    fn gcc_number(&self) -> Result<&'a str> {
        let number = self.gcc().rsplit('-').next().unwrap_or_default();
        match number.parse::<u32>() {
            Ok(_) => Ok(number),
            Err(_) => bail!(
                "the kernel's compiler is no gcc of a number: {}",
                self.gcc_text
            ),
        }
    }

    /// The version of its package, which stands in brackets.
    fn gcc_package(&self) -> &'a str {
        let rest = self.gcc_text.split_once("(Debian ");
        let version = rest.and_then(|(_, rest)| rest.split_once(')'));
        version.map_or("of no version", |(version, _)| version)
    }

    /// The version of rustc.
    fn rustc(&self) -> &'a str {
        find_version(self.rustc_text).unwrap_or("of no version")
    }

    /// Where in the cache the compilers are, if this is gcc's version.
    fn place(&self, arch: Arch, gcc: &str) -> String {
        let target = match prefix(arch) {
            None => String::new(),
            Some(_) => format!("{arch}-"),
        };
        format!("toolchain/{target}gcc-{gcc}_rustc-{}", self.rustc())
    }
}

/// What the names of binutils begin with that are not of the host's architecture.
pub(crate) fn prefix(arch: Arch) -> Option<String> {
    (arch != Arch::Amd64).then(|| format!("{}-", arch.triple()))
}

/// The program of the compiler that built the kernel of this `.config`.
pub(crate) fn compiler(config: &str) -> Result<&str> {
    Ok(Wanted::of(config)?.gcc())
}

/// Makes sure that the toolchain is there that built the kernel of this `.config`; for another
/// architecture, the cross compiler of the same version.
///
/// Of gcc, Debian's newest revision of the same upstream version does if the mirror has lost the
/// one that built the kernel, after a line that says so: no module sees the difference.
///
/// `apt` has the packages of that architecture. None if the mirror does not have the compilers,
/// after a line that says so.
pub(crate) fn ensure(
    cx: &mut Context<'_>,
    arch: Arch,
    apt: &Apt,
    config: &str,
) -> Result<Option<Toolchain>> {
    let wanted = Wanted::of(config)?;
    let mut tree = cx.cache.join(wanted.place(arch, wanted.gcc_package()));
    if !tree.exists() {
        // The compilers run here.
        let of_host;
        let apt = match arch {
            Arch::Amd64 => apt,
            Arch::Arm64 => {
                of_host = Apt::open(cx)?;
                &of_host
            }
        };
        let Some(packages) = find(cx, arch, apt, &wanted)? else {
            return Ok(None);
        };
        tree = cx.cache.join(wanted.place(arch, packages.gcc_version()));
        if !tree.exists() {
            unpack(cx, arch, apt, &wanted, &packages, &tree)?;
        }
    }
    let rust_src = format!("root/usr/src/rustc-{}/library", wanted.rustc());
    let toolchain = Toolchain {
        bin: tree.join("bin"),
        rust_src: tree.join(rust_src),
    };
    for (program, want) in [
        (wanted.gcc(), wanted.gcc_text),
        ("rustc", wanted.rustc_text),
    ] {
        let said = output(command(toolchain.bin.join(program)).arg("--version"))?;
        let is = said.lines().next().unwrap_or_default();
        if without_revision(is) != without_revision(want) {
            bail!(
                "{program} in {} is \"{is}\"; the kernel was built by \"{want}\"",
                toolchain.bin.display()
            );
        }
    }
    Ok(Some(toolchain))
}

/// The packages that have the compilers.
struct Packages {
    /// The name of the one of gcc.
    gcc_name: String,
    gcc: Candidate,
    rustc: Candidate,
}

impl Packages {
    /// The version of gcc, which a package of the cross compiler has with more behind.
    fn gcc_version(&self) -> &str {
        native(&self.gcc.version)
    }
}

/// Finds the compilers in the mirror; none after a line that says what it lacks.
fn find(
    cx: &mut Context<'_>,
    arch: Arch,
    apt: &Apt,
    wanted: &Wanted<'_>,
) -> Result<Option<Packages>> {
    let number = wanted.gcc_number()?;
    let gcc_name = format!("gcc-{number}-{}", arch.triple().replace('_', "-"));
    let names = [&gcc_name, "rustc"].map(str::to_owned);
    let versions = apt.versions_of(&names)?;
    let of = |name: &str, fits: &dyn Fn(&str) -> bool| {
        let mut all = versions.get(name).into_iter().flatten();
        all.find(|candidate| fits(&candidate.version)).cloned()
    };
    let built = wanted.gcc_package();
    let is_that = |version: &str| native(version) == built;
    let is_alike = |version: &str| upstream(version) == upstream(built);
    let Some(gcc) = of(&gcc_name, &is_that).or_else(|| of(&gcc_name, &is_alike)) else {
        cx.say(format!(
            "Debian's mirror has no {gcc_name} {built} any more, nor another {}",
            upstream(built)
        ));
        return Ok(None);
    };
    if !is_that(&gcc.version) {
        cx.say(format!(
            "Debian's mirror has no {gcc_name} {built} any more; taking {}",
            gcc.version
        ));
    }
    let is_rustc = |version: &str| upstream(version) == wanted.rustc();
    let Some(rustc) = of("rustc", &is_rustc) else {
        cx.say(format!(
            "Debian's mirror has no rustc {} any more",
            wanted.rustc()
        ));
        return Ok(None);
    };
    Ok(Some(Packages {
        gcc_name,
        gcc,
        rustc,
    }))
}

/// Fetches the compilers and what they need, and unpacks them into `tree`.
fn unpack(
    cx: &mut Context<'_>,
    arch: Arch,
    apt: &Apt,
    wanted: &Wanted<'_>,
    packages: &Packages,
    tree: &Path,
) -> Result<()> {
    let Packages {
        gcc_name,
        gcc,
        rustc,
    } = packages;
    cx.say(format!(
        "fetching the compilers of the kernel, gcc {} and rustc {} (about 210 MB), and unpacking \
         them (about 700 MB)",
        packages.gcc_version(),
        wanted.rustc()
    ));
    let closure = [
        format!("{gcc_name}={}", gcc.version),
        format!("rustc={}", rustc.version),
        format!("libclang1-{}", wanted.llvm),
        "pahole".to_owned(),
        "xz-utils".to_owned(),
    ];
    // With what they depend on they would bring a second LLVM.
    let alone = [
        format!("bindgen/{}", gcc.suite),
        format!("rust-clippy={}", rustc.version),
        format!("rust-src={}", rustc.version),
    ];
    cx.timed("compilers", |cx| {
        cx.fill(tree, |cx, partial| {
            let root = partial.join("root");
            apt.unpack_closure(cx, "the compilers", &closure, &gcc.suite, &root)?;
            apt.unpack_all(cx, "Rust's sources", &alone, &root)?;
            scripts(partial, tree, arch, wanted.gcc(), wanted.gcc_number()?)
        })
    })
}

/// The version of the compiler that a package of it or of its cross compiler has.
fn native(version: &str) -> &str {
    version
        .split_once("cross")
        .map_or(version, |(native, _)| native)
}

/// What a compiler says of its version, without Debian's revision.
fn without_revision(text: &str) -> String {
    match (text.split_once(" (Debian "), text.split_once(')')) {
        (Some((program, _)), Some((_, version))) => format!("{program}{version}"),
        _ => text.to_owned(),
    }
}

/// Writes the scripts for the programs unpacked in `partial`, which will be `tree`.
fn scripts(partial: &Path, tree: &Path, arch: Arch, gcc: &str, number: &str) -> Result<()> {
    let usr = tree.join("root/usr");
    let word = |path: PathBuf| quote(&path.to_string_lossy());
    let libraries = usr.join("lib").join(Arch::Amd64.triple());
    let start = format!(
        "#!/bin/sh\n\
         # SPDX-License-Identifier: GPL-2.0\n\
         export LIBCLANG_PATH={libraries}\n\
         exec {} --library-path {libraries}",
        word(usr.join("lib64").join(Arch::Amd64.linker())),
        libraries = word(libraries.clone()),
    );
    let script = |path: PathBuf, program: PathBuf, more: &str| {
        write(&path, format!("{start} {}{more} \"$@\"\n", word(program)))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {} a program", path.display()))
    };
    let bin = partial.join("bin");
    create_dir(&bin)?;
    // The host's own gcc finds its assembler in PATH: what is for another architecture has that in
    // its name there, and the cross compiler has its own directory.
    let (prefix, parts) = match prefix(arch) {
        None => (String::new(), "bin"),
        Some(prefix) => (prefix, "parts"),
    };
    let own = partial.join(parts);
    create_dir(&own)?;
    for (name, program) in BINUTILS {
        let program = usr.join(format!("bin/{}-{program}", arch.triple()));
        script(own.join(name), program.clone(), "")?;
        script(bin.join(format!("{prefix}{name}")), program, "")?;
    }
    for name in PROGRAMS {
        script(bin.join(name), usr.join("bin").join(name), "")?;
    }
    let place = match arch {
        Arch::Amd64 => "libexec/gcc",
        Arch::Arm64 => "libexec/gcc-cross",
    };
    for part in PARTS_OF_GCC {
        let directory = usr.join(place).join(arch.triple()).join(number);
        script(own.join(part), directory.join(part), "")?;
    }
    let finds = format!(" -B {}/", word(tree.join(parts)));
    script(bin.join(gcc), usr.join("bin").join(gcc), &finds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
CONFIG_CC_VERSION_TEXT=\"x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0\"\n\
CONFIG_RUSTC_VERSION_TEXT=\"rustc 1.85.1 (4eb161250 2025-03-15) (built from a source tarball)\"\n\
CONFIG_RUSTC_LLVM_MAJOR_VERSION=19\n";

    #[test]
    fn versions_of_a_configuration() {
        let wanted = Wanted::of(CONFIG).unwrap();
        assert_eq!(wanted.gcc(), "x86_64-linux-gnu-gcc-14");
        assert_eq!(wanted.gcc_number().unwrap(), "14");
        assert_eq!(wanted.gcc_package(), "14.2.0-19");
        assert_eq!(wanted.rustc(), "1.85.1");
        assert_eq!(wanted.llvm, "19");
    }

    #[test]
    fn debians_revision_of_the_compiler_does_not_count() {
        let built = "x86_64-linux-gnu-gcc-16 (Debian 16.2.0-3) 16.2.0";
        let newer = "x86_64-linux-gnu-gcc-16 (Debian 16.2.0-4) 16.2.0";
        let other = "x86_64-linux-gnu-gcc-16 (Debian 16.3.0-1) 16.3.0";
        assert_eq!(without_revision(built), without_revision(newer));
        assert_ne!(without_revision(built), without_revision(other));
        let rustc = "rustc 1.85.1 (4eb161250 2025-03-15) (built from a source tarball)";
        assert_eq!(without_revision(rustc), rustc);
        assert_eq!(native("16.2.0-3cross1"), "16.2.0-3");
    }

    #[test]
    fn a_kernel_without_rust_is_named() {
        let error = Wanted::of("CONFIG_CC_VERSION_TEXT=\"gcc\"\n").unwrap_err();
        assert!(error.to_string().contains("RUSTC_VERSION_TEXT"), "{error}");
    }

    #[test]
    fn a_compiler_without_a_number_is_named() {
        let config = CONFIG.replace("gcc-14", "clang");
        let error = Wanted::of(&config).unwrap().gcc_number().unwrap_err();
        assert!(error.to_string().contains("clang"), "{error}");
    }
}
