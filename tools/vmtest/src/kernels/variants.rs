// SPDX-License-Identifier: GPL-2.0

//! The configurations that the module is built for.

/// What compiles the kernel's C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compiler {
    /// clang, with its linker and programs.
    Llvm,
    /// gcc, with binutils.
    Gcc,
}

/// Whether the module builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It does.
    Builds,
    /// It does from this series on; before, `check-build` refuses in one line.
    BuildsFrom(u32, u32),
    /// It never does: `check-build` refuses in one line.
    Refused,
}

impl Wanted {
    /// Whether it builds for a kernel of this release, for example `7.3.4`.
    pub(super) fn builds(self, release: &str) -> bool {
        match self {
            Self::Builds => true,
            Self::Refused => false,
            Self::BuildsFrom(major, minor) => {
                let mut numbers = release.split(|byte: char| !byte.is_ascii_digit());
                let mut next = || numbers.next().and_then(|number| number.parse().ok());
                (next(), next()) >= (Some(major), Some(minor))
            }
        }
    }
}

/// A configuration: allnoconfig, what the test kernels have, and some options.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) compiler: Compiler,
    /// The kernel's name of the architecture.
    pub(super) arch: &'static str,
    /// Each without `CONFIG_`.
    pub(super) options: &'static [&'static str],
    /// A program that not every machine has in the right version; without it, the options are
    /// not to be had, and the variant is not tried.
    pub(super) needs: Option<&'static str>,
    pub(super) wanted: Wanted,
    /// Whether `make check` has the time for it.
    pub(super) is_quick: bool,
}

/// What most variants have.
const PLAIN: Variant = Variant {
    name: "llvm",
    compiler: Compiler::Llvm,
    arch: "x86",
    options: &[],
    needs: None,
    wanted: Wanted::Builds,
    is_quick: false,
};

/// All of them.
pub(super) const ALL: [Variant; 15] = [
    PLAIN,
    Variant {
        name: "gcc",
        compiler: Compiler::Gcc,
        ..PLAIN
    },
    Variant {
        name: "no-msi",
        options: &["PCI_MSI=n"],
        is_quick: true,
        ..PLAIN
    },
    Variant {
        name: "no-smp",
        options: &["SMP=n"],
        wanted: Wanted::BuildsFrom(7, 3),
        is_quick: true,
        ..PLAIN
    },
    Variant {
        name: "many-cpus",
        options: &["MAXSMP=y", "NR_CPUS=8192", "CPUMASK_OFFSTACK=y"],
        ..PLAIN
    },
    Variant {
        name: "rt",
        options: &["EXPERT=y", "PREEMPT_RT=y"],
        ..PLAIN
    },
    Variant {
        name: "modversions",
        options: &[
            "DEBUG_INFO_DWARF5=y",
            "MODVERSIONS=y",
            "GENDWARFKSYMS=y",
            "EXTENDED_MODVERSIONS=y",
        ],
        ..PLAIN
    },
    Variant {
        name: "btf",
        options: &[
            "DEBUG_INFO_DWARF5=y",
            "BPF_SYSCALL=y",
            "DEBUG_INFO_BTF=y",
            "DEBUG_INFO_BTF_MODULES=y",
        ],
        needs: Some("pahole"),
        ..PLAIN
    },
    Variant {
        name: "kcfi",
        options: &["CFI=y"],
        ..PLAIN
    },
    Variant {
        name: "inline-helpers",
        options: &["EXPERT=y", "RUST_INLINE_HELPERS=y"],
        needs: Some("clang and rustc of the same LLVM"),
        ..PLAIN
    },
    Variant {
        name: "kunit",
        options: &["KUNIT=y"],
        ..PLAIN
    },
    Variant {
        name: "no-debugfs",
        options: &["DEBUG_FS=n"],
        ..PLAIN
    },
    Variant {
        name: "no-sleep",
        options: &["SUSPEND=n", "HIBERNATION=n", "PM_SLEEP=n"],
        wanted: Wanted::Refused,
        ..PLAIN
    },
    Variant {
        name: "arm64",
        arch: "arm64",
        is_quick: true,
        ..PLAIN
    },
    Variant {
        name: "arm64-16k",
        arch: "arm64",
        options: &["ARM64_16K_PAGES=y"],
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_compared_by_number() {
        let from = Wanted::BuildsFrom(7, 3);
        for release in ["7.3", "7.3.4+deb13-amd64", "7.10.1", "8.0-rc1"] {
            assert!(from.builds(release), "{release}");
        }
        for release in ["7.2.12", "6.18.3", ""] {
            assert!(!from.builds(release), "{release}");
        }
        assert!(Wanted::Builds.builds("7.2") && !Wanted::Refused.builds("7.3"));
    }

    #[test]
    fn names_differ() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|variant| variant.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
