// SPDX-License-Identifier: GPL-2.0

//! Builds of the module for kernels of many configurations, one table.
//!
//! Of each kernel only that is made which modules need, a minute or two at the first time.

mod build;
mod stock;
mod variants;

use std::ffi::OsString;
use std::io::{stdout, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anstream::println;
use anyhow::{ensure, Context, Result};

use build::{Outcome, Site};
use stock::Stock;
use variants::Variant as Configuration;

use vm::ktap::{Count, Ktap};
use vm::runner::fresh_folder;
use vm::setup::Setup;
use vm::table::Table;

/// Which kernels.
#[derive(clap::Args)]
pub struct Options {
    /// Parts of names of configurations and of stock kernels; none is all.
    names: Vec<String>,
    /// Only those that `make check` has the time for.
    #[arg(long)]
    quick: bool,
    /// Kernel source; given more than once, the configurations are built of each, and no stock
    /// kernel is looked at [that of the test machine].
    #[arg(long = "source", value_name = "DIR")]
    sources: Vec<PathBuf>,
}

/// The environment of make.
type Environment = Vec<(String, OsString)>;

/// What a row says of a variant.
struct Verdict {
    /// None if it could not be tried.
    passed: Option<bool>,
    text: String,
}

impl Verdict {
    fn report<W: Write>(&self, name: &str, ktap: &mut Ktap<W>) -> Result<()> {
        match self.passed {
            Some(passed) => {
                if !passed {
                    ktap.note(&self.text)?;
                }
                ktap.result(passed, name)?;
            }
            None => ktap.skip(name, &self.text)?,
        }
        Ok(())
    }
}

/// Builds the module for the kernels and prints a table.
///
/// # Errors
///
/// There is no source, or the output cannot be written.
pub fn run(setup: &Setup, options: &Options) -> Result<Count> {
    let is_named = |name: &str| {
        let names = &options.names;
        names.is_empty() || names.iter().any(|part| name.contains(part.as_str()))
    };
    let chosen: Vec<_> = variants::ALL
        .iter()
        .filter(|variant| !options.quick || variant.is_quick)
        .filter(|variant| is_named(variant.name))
        .collect();
    let mut stock = stock::all()?;
    stock.retain(|stock| is_named(&stock.name));
    if options.quick || !options.sources.is_empty() {
        stock.clear();
    }
    ensure!(
        !chosen.is_empty() || !stock.is_empty(),
        "no configuration has such a name"
    );
    let mut ktap = Ktap::new(stdout());
    ktap.begin(chosen.len() * options.sources.len().max(1) + stock.len())?;
    let mut table = Table::default();
    table.row([
        "kernel",
        "configuration",
        "architecture",
        "compiler",
        "module",
        "s",
    ]);
    for stock in &stock {
        build_stock(setup, stock, &mut ktap, &mut table)?;
    }
    if !chosen.is_empty() {
        let environment = environment(setup)?;
        let of_machine = machine::Options::new(&setup.root)?;
        machine::ensure_for_configurations(&of_machine, &|line| eprintln!("{line}"))?;
        let sources = match &options.sources[..] {
            [] => vec![source(setup)?],
            given => given.to_vec(),
        };
        for source in &sources {
            build_all(setup, source, &environment, &chosen, &mut ktap, &mut table)?;
        }
    }
    let count = setup.finish(ktap)?;
    println!("\n{table}");
    Ok(count)
}

/// How many results [`check`] gives.
pub(crate) fn quick_count() -> usize {
    quick().count()
}

/// Names for them where there is no kernel's source.
pub(crate) fn quick_names() -> impl Iterator<Item = String> {
    quick().map(|variant| format!("builds, {}", variant.name))
}

fn quick() -> impl Iterator<Item = &'static Configuration> {
    variants::ALL.iter().filter(|variant| variant.is_quick)
}

/// Builds the module for those kernels that there is always the time for.
///
/// # Errors
///
/// There is no source, or the output cannot be written.
pub(crate) fn check<W: Write>(setup: &Setup, ktap: &mut Ktap<W>) -> Result<()> {
    let chosen: Vec<_> = quick().collect();
    let (source, environment) = (source(setup)?, environment(setup)?);
    let table = &mut Table::default();
    build_all(setup, &source, &environment, &chosen, ktap, table)
}

/// The environment of make: a stock kernel comes without clang.
fn environment(setup: &Setup) -> Result<Environment> {
    let options = machine::Options::new(&setup.root)?;
    machine::ensure_builders(&options, &|line| eprintln!("{line}"))
}

/// The whole source: a stock kernel comes with a part of it.
fn source(setup: &Setup) -> Result<PathBuf> {
    let options = machine::Options::new(&setup.root)?;
    machine::ensure_kernel_source(&options, &|line| eprintln!("{line}"))
}

fn build_all<W: Write>(
    setup: &Setup,
    source: &Path,
    environment: &Environment,
    chosen: &[&Configuration],
    ktap: &mut Ktap<W>,
    table: &mut Table,
) -> Result<()> {
    let release = release_of(source)?;
    let logs = fresh_folder(&setup.logs, &format!("kernels-{release}"))?;
    let site = Site {
        root: &setup.root,
        cache: &setup.machine.cache.join("kernels"),
        source,
        release: &release,
        environment,
        logs: &logs,
    };
    for variant in chosen {
        let start = Instant::now();
        let verdict = judge(variant, &release, site.build(variant));
        let name = format!("builds for {release}, {}", variant.name);
        verdict.report(&name, ktap)?;
        let compiler = format!("{:?}", variant.compiler).to_lowercase();
        let seconds = start.elapsed().as_secs().to_string();
        table.row([
            &release,
            variant.name,
            variant.arch,
            &compiler,
            &verdict.text,
            &seconds,
        ]);
    }
    Ok(())
}

fn build_stock<W: Write>(
    setup: &Setup,
    stock: &Stock,
    ktap: &mut Ktap<W>,
    table: &mut Table,
) -> Result<()> {
    let start = Instant::now();
    let (release, verdict) = judge_stock(stock.build(setup, &setup.logs));
    verdict.report(&format!("builds for {}", stock.name), ktap)?;
    let seconds = start.elapsed().as_secs().to_string();
    table.row([
        release.as_str(),
        &stock.name,
        stock.arch.debian(),
        "gcc",
        &verdict.text,
        &seconds,
    ]);
    Ok(())
}

/// What came of a stock kernel, and the release of it.
fn judge_stock(outcome: Result<stock::Outcome>) -> (String, Verdict) {
    let (release, passed, text) = match outcome {
        Ok(stock::Outcome::Builds(release)) => {
            let text = "builds, of exported symbols".to_owned();
            (release, Some(true), text)
        }
        Ok(stock::Outcome::Missing) => {
            let text = "not tried: not on the mirror".to_owned();
            (String::new(), None, text)
        }
        Err(error) => (String::new(), Some(false), format!("{error:#}")),
    };
    (release, Verdict { passed, text })
}

/// Whether that is what was wanted of the variant.
fn judge(variant: &Configuration, release: &str, outcome: Result<Outcome>) -> Verdict {
    let builds = variant.wanted.builds(release);
    let (passed, text) = match (outcome, variant.needs) {
        (Ok(Outcome::Builds), _) => (Some(builds), "builds".to_owned()),
        (Ok(Outcome::Refused(lines)), _) => {
            let passed = !builds && lines.len() == 1;
            (Some(passed), format!("refused: {}", lines.join("; ")))
        }
        (Ok(Outcome::Unmet(_)), Some(needs)) => (None, format!("not tried: needs {needs}")),
        (Ok(Outcome::Unmet(lines)), None) => (Some(false), lines.join("; ")),
        (Err(error), _) => (Some(false), format!("{error:#}")),
    };
    Verdict { passed, text }
}

/// The version of a kernel's source.
fn release_of(source: &Path) -> Result<String> {
    let mut make = Command::new("make");
    make.args(["-s", "-C"]).arg(source).arg("kernelversion");
    let output = make.output().context("cannot run make")?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(
        output.status.success() && text.starts_with(|first: char| first.is_ascii_digit()),
        "{} is no kernel source",
        source.display()
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(name: &str) -> &'static Configuration {
        let mut all = variants::ALL.iter();
        all.find(|variant| variant.name == name).unwrap()
    }

    fn passes(name: &str, release: &str, outcome: Result<Outcome>) -> Option<bool> {
        judge(variant(name), release, outcome).passed
    }

    #[test]
    fn one_line_of_refusal_is_right_where_it_is_wanted() {
        let refused = |lines: usize| Ok(Outcome::Refused(vec![String::new(); lines]));
        assert_eq!(passes("no-smp", "7.2.12", refused(1)), Some(true));
        assert_eq!(passes("no-smp", "7.2.12", refused(2)), Some(false));
        assert_eq!(passes("no-smp", "7.3.4", refused(1)), Some(false));
        assert_eq!(passes("no-smp", "7.2.12", Ok(Outcome::Builds)), Some(false));
        assert_eq!(passes("no-smp", "7.3.4", Ok(Outcome::Builds)), Some(true));
    }

    #[test]
    fn a_kernel_that_the_mirror_lacks_is_no_pass() {
        let passed = |outcome| judge_stock(outcome).1.passed;
        assert_eq!(passed(Ok(stock::Outcome::Missing)), None);
        assert_eq!(
            passed(Ok(stock::Outcome::Builds("7.3.4".to_owned()))),
            Some(true)
        );
        assert_eq!(passed(Err(anyhow::anyhow!("no symbol"))), Some(false));
    }

    #[test]
    fn what_cannot_be_configured_is_no_pass() {
        let unmet = || Ok(Outcome::Unmet(vec!["CONFIG_X".to_owned()]));
        assert_eq!(passes("llvm", "7.3.4", unmet()), Some(false));
        assert_eq!(passes("btf", "7.3.4", unmet()), None);
        let failed = Err(anyhow::anyhow!("make failed"));
        assert_eq!(passes("btf", "7.3.4", failed), Some(false));
    }
}
