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

use crate::apt::Apt;
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
    fn gcc_package(&self) -> Option<&'a str> {
        let (_, rest) = self.gcc_text.split_once("(Debian ")?;
        rest.split_once(')').map(|(version, _)| version)
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
/// `apt` has the packages of that architecture. None if the mirror does not have the compilers,
/// after a line that says so.
pub(crate) fn ensure(
    cx: &mut Context<'_>,
    arch: Arch,
    apt: &Apt,
    config: &str,
) -> Result<Option<Toolchain>> {
    let wanted = Wanted::of(config)?;
    let number = wanted.gcc_number()?;
    let gcc_package = wanted.gcc_package().unwrap_or("of no version");
    let rustc_version = find_version(wanted.rustc_text).unwrap_or("of no version");
    let target = match prefix(arch) {
        None => String::new(),
        Some(_) => format!("{arch}-"),
    };
    let tree = cx.cache.join(format!(
        "toolchain/{target}gcc-{gcc_package}_rustc-{rustc_version}"
    ));
    let toolchain = Toolchain {
        bin: tree.join("bin"),
        rust_src: tree.join(format!("root/usr/src/rustc-{rustc_version}/library")),
    };
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
        let gcc = format!("gcc-{number}-{}", arch.triple().replace('_', "-"));
        let names = [&gcc, "rustc", "bindgen", "rust-src", "rust-clippy"].map(str::to_owned);
        let versions = apt.versions_of(&names)?;
        let of = |name: &str, fits: &dyn Fn(&str) -> bool| {
            let all = versions.get(name).into_iter().flatten();
            all.clone()
                .find(|candidate| fits(&candidate.version))
                .cloned()
        };
        let is_gcc = |version: &str| {
            let more = version.strip_prefix(gcc_package);
            more.is_some_and(|more| more.is_empty() || more.starts_with("cross"))
        };
        let Some(gcc_found) = of(&gcc, &is_gcc) else {
            cx.say(format!(
                "Debian's mirror has no {gcc} {gcc_package} any more"
            ));
            return Ok(None);
        };
        let Some(rustc) = of("rustc", &|version| upstream(version) == rustc_version) else {
            cx.say(format!(
                "Debian's mirror has no rustc {rustc_version} any more"
            ));
            return Ok(None);
        };
        cx.say(format!(
            "fetching the compilers of the kernel, gcc {gcc_package} and rustc {rustc_version} \
             (about 210 MB), and unpacking them (about 700 MB)"
        ));
        let closure = [
            format!("{gcc}={}", gcc_found.version),
            format!("rustc={}", rustc.version),
            format!("libclang1-{}", wanted.llvm),
            "pahole".to_owned(),
            "xz-utils".to_owned(),
        ];
        // With what they depend on they would bring a second LLVM.
        let alone = [
            format!("bindgen/{}", gcc_found.suite),
            format!("rust-clippy={}", rustc.version),
            format!("rust-src={}", rustc.version),
        ];
        cx.timed("compilers", |cx| {
            cx.fill(&tree, |cx, partial| {
                let root = partial.join("root");
                apt.unpack_closure(cx, "the compilers", &closure, &gcc_found.suite, &root)?;
                apt.unpack_all(cx, "Rust's sources", &alone, &root)?;
                scripts(partial, &tree, arch, wanted.gcc(), number)
            })
        })?;
    }
    for (program, want) in [
        (wanted.gcc(), wanted.gcc_text),
        ("rustc", wanted.rustc_text),
    ] {
        let said = output(command(toolchain.bin.join(program)).arg("--version"))?;
        let is = said.lines().next().unwrap_or_default();
        if is != want {
            bail!(
                "{program} in {} is \"{is}\"; the kernel was built by \"{want}\"",
                toolchain.bin.display()
            );
        }
    }
    Ok(Some(toolchain))
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
        assert_eq!(wanted.gcc_package(), Some("14.2.0-19"));
        assert_eq!(find_version(wanted.rustc_text), Some("1.85.1"));
        assert_eq!(wanted.llvm, "19");
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
