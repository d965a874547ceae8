// SPDX-License-Identifier: GPL-2.0

//! Build tools from the distribution's packages: the only step that needs root or sudo.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use anyhow::{bail, Context as _, Result};

use crate::command::{command, elapsed, find_program, line, new_log, output, run_long};
use crate::context::Context;
use crate::qemu;
use crate::version::{at_least, upstream};
use crate::Arch;

/// What the tests need on any kernel.
const TO_RUN: [&str; 6] = [
    "e2fsprogs",
    "ethtool",
    "fio",
    "setserial",
    "tar",
    "xz-utils",
];

/// What is needed besides to build and to check: compilers, the kernel build's tools.
const TO_BUILD: [&str; 11] = [
    "bc",
    "bison",
    "flex",
    "gcc",
    "kmod",
    "libc6-dev",
    "libelf-dev",
    "libssl-dev",
    "make",
    "python3",
    "shellcheck",
];

/// What the kernel's build needs for some configurations besides: for versions of symbols by DWARF,
/// and for BTF.
pub(crate) const OF_CONFIGURATIONS: [&str; 2] = ["libdw-dev", "pahole"];

/// Packages of one LLVM, without their number.
const LLVM_PACKAGES: [&str; 4] = ["clang", "libclang1", "lld", "llvm"];

/// The oldest LLVM that the kernel's Rust build takes.
const LLVM_MINIMUM: u32 = 17;

/// The LLVM that is preferred: Debian 12 and 13 both have it, and the tests were made with it.
const LLVM_TESTED: u32 = 19;

/// Names and versions of packages.
type Versions = BTreeMap<String, String>;

/// What the distribution gave.
#[derive(Debug)]
pub(crate) struct Packages {
    /// Number of the LLVM that was chosen, for example 19; none if none is needed.
    llvm: Option<u32>,
}

impl Packages {
    /// The number of the LLVM that was asked for.
    pub(crate) fn llvm(&self) -> Result<u32> {
        self.llvm.context("no LLVM was asked for")
    }
}

/// What the packages are for, each with those before it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Purpose {
    /// Tests on a kernel that is there.
    Run,
    /// The build of a module for a stock kernel, by the compilers of that.
    Build,
    /// The build of a kernel, by LLVM.
    Llvm,
}

/// Packages that are needed.
#[derive(Clone, Debug)]
struct Need {
    names: Vec<&'static str>,
    llvm: bool,
}

impl Need {
    fn of(purpose: Purpose) -> Self {
        let mut names = TO_RUN.to_vec();
        if purpose >= Purpose::Build {
            names.extend(TO_BUILD);
        }
        Self {
            names,
            llvm: purpose == Purpose::Llvm,
        }
    }
}

/// Installs what is missing, after it was listed; QEMU is for an architecture.
pub(crate) fn ensure(cx: &mut Context<'_>, purpose: Purpose, arch: Arch) -> Result<Packages> {
    let architecture = output(command("dpkg").arg("--print-architecture"))
        .context("this set-up is for Debian machines")?;
    if architecture != "amd64" {
        bail!("this set-up is for amd64 machines, this one is {architecture}");
    }
    let mut need = Need::of(purpose);
    if qemu::own(arch).is_none() {
        need.names.push(qemu::package(arch));
    }
    let plan = plan(&need, &installed()?, &mut known)?;
    if let Plan::Complete { llvm } = plan {
        return Ok(Packages { llvm });
    }
    let _lock = cx.lock("packages")?;
    cx.timed("packages", |cx| install(cx, &need, plan))
}

/// Installs those of these packages that are missing, after they were listed.
pub(crate) fn ensure_named(cx: &mut Context<'_>, names: &[&'static str]) -> Result<()> {
    let need = Need {
        names: names.to_vec(),
        llvm: false,
    };
    let plan = plan(&need, &installed()?, &mut known)?;
    if !matches!(plan, Plan::Complete { .. }) {
        let _lock = cx.lock("packages")?;
        cx.timed("packages", |cx| install(cx, &need, plan))?;
    }
    Ok(())
}

/// What is to be done about packages.
#[derive(Debug, Eq, PartialEq)]
enum Plan {
    /// Nothing: all is there.
    Complete { llvm: Option<u32> },
    /// These have to be installed.
    Install {
        llvm: Option<u32>,
        missing: Vec<String>,
    },
    /// The package lists of the machine do not have these.
    Unknown { missing: Vec<String> },
}

/// Makes the plan from what is `installed` and what the machine's package lists know.
///
/// `known` is asked for the versions that can be installed of packages whose names start so.
fn plan(
    need: &Need,
    installed: &Versions,
    known: &mut dyn FnMut(&[String]) -> Result<Versions>,
) -> Result<Plan> {
    let mut missing: Vec<String> = need
        .names
        .iter()
        .filter(|name| !installed.contains_key(**name))
        .map(|name| (*name).to_owned())
        .collect();
    let llvm = Some(LLVM_TESTED).filter(|number| need.llvm && has_llvm(installed, *number));
    if missing.is_empty() && llvm.is_some() == need.llvm {
        return Ok(Plan::Complete { llvm });
    }
    let mut ask = missing.clone();
    if need.llvm {
        ask.extend(LLVM_PACKAGES.map(|name| format!("{name}-")));
    }
    let known = known(&ask)?;
    if !need.llvm {
        let (there, not): (Vec<_>, Vec<_>) = missing
            .into_iter()
            .partition(|name| known.contains_key(name));
        return Ok(if not.is_empty() {
            Plan::Install {
                llvm: None,
                missing: there,
            }
        } else {
            Plan::Unknown { missing: not }
        });
    }
    missing.retain(|name| !known.contains_key(name));
    let llvm = llvm
        .or_else(|| Some(LLVM_TESTED).filter(|number| has_llvm(&known, *number)))
        .or_else(|| newest_llvm(installed))
        .or_else(|| newest_llvm(&known));
    let Some(llvm) = llvm else {
        missing.extend(LLVM_PACKAGES.map(|name| format!("{name}-{LLVM_MINIMUM} or newer")));
        return Ok(Plan::Unknown { missing });
    };
    if !missing.is_empty() {
        return Ok(Plan::Unknown { missing });
    }
    let wanted = need
        .names
        .iter()
        .map(|name| (*name).to_owned())
        .chain(llvm_packages(llvm));
    let llvm = Some(llvm);
    let missing: Vec<_> = wanted
        .filter(|name| !installed.contains_key(name))
        .collect();
    Ok(if missing.is_empty() {
        Plan::Complete { llvm }
    } else {
        Plan::Install { llvm, missing }
    })
}

/// The newest LLVM that is new enough and has all of its packages among `versions`.
fn newest_llvm(versions: &Versions) -> Option<u32> {
    versions
        .keys()
        .filter_map(|name| name.strip_prefix("clang-")?.parse().ok())
        .filter(|number| *number >= LLVM_MINIMUM)
        .filter(|number| has_llvm(versions, *number))
        .max()
}

fn has_llvm(versions: &Versions, number: u32) -> bool {
    llvm_packages(number).all(|name| versions.contains_key(&name))
}

fn llvm_packages(number: u32) -> impl Iterator<Item = String> {
    LLVM_PACKAGES
        .into_iter()
        .map(move |name| format!("{name}-{number}"))
}

fn install(cx: &mut Context<'_>, need: &Need, mut plan: Plan) -> Result<Packages> {
    let root = Root::find()?;
    let log = cx.log("packages")?;
    new_log(&log)?;
    let mut updated = false;
    if matches!(plan, Plan::Unknown { .. }) {
        root.update(cx, &log)?;
        updated = true;
        plan = self::plan(need, &installed()?, &mut known)?;
    }
    let missing = match plan {
        Plan::Complete { llvm } => return Ok(Packages { llvm }),
        Plan::Install { missing, .. } => missing,
        Plan::Unknown { missing } => bail!(
            "this release has no package {}: the set-up is for Debian 12 and 13",
            missing.join(", ")
        ),
    };
    cx.say("packages of the distribution that are missing and will be installed:");
    cx.say(format!("  {}", missing.join(" ")));
    let arguments: Vec<_> = ["install", "-y", "--no-install-recommends", "--no-remove"]
        .into_iter()
        .chain(missing.iter().map(String::as_str))
        .collect();
    root.allowed(&arguments)?;
    cx.say("installing them (some minutes, mostly the download)");
    if root.run(cx, &arguments, &log, "installing").is_err() {
        if updated {
            bail!("the packages could not be installed, see {}", log.display());
        }
        cx.say("that failed, perhaps because the package lists are old");
        root.update(cx, &log)?;
        root.run(cx, &arguments, &log, "installing")?;
    }
    match self::plan(need, &installed()?, &mut known)? {
        Plan::Complete { llvm } => Ok(Packages { llvm }),
        _ => bail!(
            "a package of these is still not there: {}; see {}",
            missing.join(" "),
            log.display()
        ),
    }
}

/// How this process may become root.
enum Root {
    Already,
    Sudo,
    No,
}

impl Root {
    fn find() -> Result<Self> {
        Ok(if output(command("id").arg("-u"))? == "0" {
            Self::Already
        } else if find_program("sudo").is_some() {
            Self::Sudo
        } else {
            Self::No
        })
    }

    /// The command that runs apt-get with `arguments` as root.
    fn apt_get(&self, arguments: &[&str]) -> Command {
        let mut apt = match self {
            Self::Sudo => {
                let mut sudo = command("sudo");
                sudo.arg("env");
                sudo
            }
            Self::Already | Self::No => command("env"),
        };
        apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"])
            .args(arguments);
        apt
    }

    /// Fails with the command to type if this process cannot become root.
    fn allowed(&self, arguments: &[&str]) -> Result<()> {
        match self {
            Self::Already => Ok(()),
            Self::Sudo => {
                let status = Command::new("sudo")
                    .arg("-v")
                    .stdin(Stdio::inherit())
                    .status()
                    .context("cannot run sudo")?;
                if status.success() {
                    return Ok(());
                }
                bail!(
                    "sudo refused; run this as root, then try again: {}",
                    line(&Self::No.apt_get(arguments))
                )
            }
            Self::No => bail!(
                "neither root nor sudo; run this as root, then try again: {}",
                line(&self.apt_get(arguments))
            ),
        }
    }

    fn run(
        &self,
        cx: &mut Context<'_>,
        arguments: &[&str],
        log: &std::path::Path,
        what: &str,
    ) -> Result<()> {
        self.allowed(arguments)?;
        run_long(cx, &mut self.apt_get(arguments), log, elapsed(what))
    }

    fn update(&self, cx: &mut Context<'_>, log: &std::path::Path) -> Result<()> {
        cx.say("bringing the distribution's package lists up to date (apt-get update)");
        self.run(cx, &["update"], log, "apt-get update")
    }
}

/// The packages that dpkg has installed.
fn installed() -> Result<Versions> {
    let format = "${db:Status-Abbrev}|${Package}|${Version}\n";
    Ok(parse_installed(&output(
        command("dpkg-query").args(["-W", "-f", format]),
    )?))
}

fn parse_installed(text: &str) -> Versions {
    text.lines()
        .filter_map(|line| line.strip_prefix("ii")?.split_once('|')?.1.split_once('|'))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

/// The version that would be installed of each package; names that end in `-` mean all numbers.
fn known(names: &[String]) -> Result<Versions> {
    let (series, ask): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| name.ends_with('-'));
    let mut ask: BTreeSet<String> = ask.into_iter().cloned().collect();
    for prefix in series {
        let found = output(command("apt-cache").args(["pkgnames", prefix.as_str()]))?;
        ask.extend(
            found
                .lines()
                .filter(|name| name[prefix.len()..].parse::<u32>().is_ok())
                .map(str::to_owned),
        );
    }
    if ask.is_empty() {
        return Ok(Versions::new());
    }
    Ok(parse_policy(&output(
        command("apt-cache").arg("policy").args(ask),
    )?))
}

fn parse_policy(text: &str) -> Versions {
    let mut versions = Versions::new();
    let mut package = "";
    for line in text.lines() {
        if !line.starts_with(' ') {
            package = line.trim_end_matches(':');
        } else if let Some(version) = line.trim().strip_prefix("Candidate: ") {
            if version != "(none)" {
                versions.insert(package.to_owned(), version.to_owned());
            }
        }
    }
    versions
}

/// Installs the distribution's bindgen if it is at least `least`; tells whether it did.
pub(crate) fn install_bindgen(cx: &mut Context<'_>, least: &str) -> Result<bool> {
    let name = "bindgen";
    match known(&[name.to_owned()])?.get(name) {
        Some(version) if at_least(upstream(version), least) => {}
        _ => return Ok(false),
    }
    let arguments = [
        "install",
        "-y",
        "--no-install-recommends",
        "--no-remove",
        name,
    ];
    let root = Root::find()?;
    cx.say("installing the distribution's package bindgen");
    let log = cx.log("packages")?;
    root.run(cx, &arguments, &log, "installing bindgen")?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of dpkg-query on a machine that has everything but `without`.
    fn dpkg(llvm: &[u32], without: &[&str]) -> Versions {
        let mut text = String::from("ii |sudo|1.9\nrc |clang-21|1:21\nun |clang-22|\n");
        let names = Need::of(Purpose::Build).names.into_iter();
        let names = names.map(str::to_owned);
        for name in names.chain(llvm.iter().flat_map(|number| llvm_packages(*number))) {
            if !without.contains(&name.as_str()) {
                text += &format!("ii |{name}|1.0-1\n");
            }
        }
        parse_installed(&text)
    }

    fn need(llvm: bool) -> Need {
        Need::of(if llvm { Purpose::Llvm } else { Purpose::Build })
    }

    fn nothing_asked(_: &[String]) -> Result<Versions> {
        panic!("apt was asked although nothing is missing")
    }

    #[test]
    fn nothing_to_do_asks_no_question() {
        let plan = plan(&need(true), &dpkg(&[19], &[]), &mut nothing_asked).unwrap();
        assert_eq!(plan, Plan::Complete { llvm: Some(19) });
    }

    #[test]
    fn a_stock_kernel_needs_no_llvm() {
        let here = dpkg(&[], &[]);
        let complete = plan(&need(false), &here, &mut nothing_asked).unwrap();
        assert_eq!(complete, Plan::Complete { llvm: None });
        let (here, apt) = (dpkg(&[], &["fio"]), dpkg(&[19], &[]));
        let missing = plan(&need(false), &here, &mut |_| Ok(apt.clone())).unwrap();
        assert_eq!(
            missing,
            Plan::Install {
                llvm: None,
                missing: vec!["fio".to_owned()]
            }
        );
    }

    #[test]
    fn a_kernel_that_is_there_needs_no_compiler() {
        let need = Need::of(Purpose::Run);
        let here = dpkg(&[], &["gcc", "bison", "libelf-dev"]);
        let complete = plan(&need, &here, &mut nothing_asked).unwrap();
        assert_eq!(complete, Plan::Complete { llvm: None });
        assert!(!need.llvm && need.names.contains(&"fio"));
    }

    #[test]
    fn a_package_that_was_removed_is_not_there() {
        let versions = parse_installed("ii |bc|1.07\nrc |fio|3.33\nun |flex|\n");
        assert_eq!(versions.keys().collect::<Vec<_>>(), ["bc"]);
    }

    #[test]
    fn newest_complete_llvm_counts() {
        assert_eq!(newest_llvm(&dpkg(&[17, 19], &[])), Some(19));
        assert_eq!(newest_llvm(&dpkg(&[17, 19], &["lld-19"])), Some(17));
        assert_eq!(newest_llvm(&dpkg(&[14, 16], &[])), None);
    }

    #[test]
    fn what_is_missing_is_listed_and_no_more() {
        let here = dpkg(&[], &["flex", "bc"]);
        let apt = dpkg(&[14, 19], &[]);
        let plan = plan(&need(true), &here, &mut |_| Ok(apt.clone())).unwrap();
        let missing = [
            "bc",
            "flex",
            "clang-19",
            "libclang1-19",
            "lld-19",
            "llvm-19",
        ];
        assert_eq!(
            plan,
            Plan::Install {
                llvm: Some(19),
                missing: missing.map(str::to_owned).to_vec()
            }
        );
    }

    #[test]
    fn the_tested_llvm_is_preferred_to_a_newer_one() {
        let apt = dpkg(&[17, 19, 22], &[]);
        let plan = plan(&need(true), &dpkg(&[22], &[]), &mut |_| Ok(apt.clone())).unwrap();
        let missing = llvm_packages(19).collect();
        assert_eq!(
            plan,
            Plan::Install {
                llvm: Some(19),
                missing
            }
        );
    }

    #[test]
    fn an_llvm_that_is_there_is_kept_where_the_tested_one_is_not_to_be_had() {
        let here = dpkg(&[17], &["fio"]);
        let apt = dpkg(&[17, 22], &[]);
        let plan = plan(&need(true), &here, &mut |_| Ok(apt.clone())).unwrap();
        assert_eq!(
            plan,
            Plan::Install {
                llvm: Some(17),
                missing: vec!["fio".to_owned()]
            }
        );
    }

    #[test]
    fn empty_package_lists_are_noticed() {
        let here = dpkg(&[17], &["fio"]);
        let plan = plan(&need(true), &here, &mut |_| Ok(Versions::new())).unwrap();
        assert_eq!(
            plan,
            Plan::Unknown {
                missing: vec!["fio".to_owned()]
            }
        );
    }

    #[test]
    fn candidates_of_apt() {
        let text =
            "fio:\n  Installed: (none)\n  Candidate: 3.33-3\n  Version table:\n     3.33-3 500\n\
                    clang-99:\n  Installed: (none)\n  Candidate: (none)\n";
        let versions = parse_policy(text);
        assert_eq!(versions.len(), 1);
        assert_eq!(versions["fio"], "3.33-3");
    }

    #[test]
    fn the_command_to_type_is_whole() {
        let error = Root::No.allowed(&["install", "-y", "fio"]).unwrap_err();
        let command = "env DEBIAN_FRONTEND=noninteractive apt-get -q install -y fio";
        assert!(error.to_string().ends_with(command), "{error}");
    }
}
