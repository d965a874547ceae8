// SPDX-License-Identifier: GPL-2.0

//! What the transport costs: both drivers in turn, every sample kept.

mod accesses;
mod instructions;
mod interrupts;
mod machine;
mod paths;
mod samples;
mod scaling;
mod sizes;
mod throughput;
mod times;

use std::fs;
use std::io::stdout;
use std::path::Path;

use anstream::println;
use anyhow::{Context, Result};
use results::{stats, Measurements};

use vm::failure::Outcome;
use vm::ktap::{Count, Ktap};
use vm::setup::Setup;
use vm::table::Table;
use vm::verdict::Verdict;

/// What is measured, and how often.
#[derive(Clone, Debug, clap::Args)]
pub struct Wish {
    /// Only these parts.
    #[arg(long, value_name = "PART")]
    part: Vec<String>,
    /// Samples of each driver of what varies.
    #[arg(long, default_value_t = 40)]
    samples: usize,
}

/// A part of the measurements.
struct Part {
    name: &'static str,
    measure: fn(&Setup, usize) -> Outcome<Measurements>,
}

const PARTS: [Part; 8] = [
    Part {
        name: "accesses",
        measure: accesses::measure,
    },
    Part {
        name: "sizes",
        measure: sizes::measure,
    },
    Part {
        name: "instructions",
        measure: instructions::measure,
    },
    Part {
        name: "paths",
        measure: paths::measure,
    },
    Part {
        name: "interrupts",
        measure: interrupts::measure,
    },
    Part {
        name: "times",
        measure: times::measure,
    },
    Part {
        name: "throughput",
        measure: throughput::measure,
    },
    Part {
        name: "scaling",
        measure: scaling::measure,
    },
];

/// Measures, leaves the samples for the report, and prints what came out.
pub fn run(setup: &Setup, wish: &Wish) -> Result<Count> {
    let wanted = |part: &&Part| wish.part.is_empty() || wish.part.iter().any(|w| w == part.name);
    let mut ktap = Ktap::new(stdout());
    let parts = || PARTS.iter().enumerate().filter(|(_, part)| wanted(part));
    ktap.begin(parts().count())?;
    for (place, part) in parts() {
        match (part.measure)(setup, wish.samples) {
            Ok(mut measured) => {
                measured.part = part.name.to_owned();
                measured.environment = setup.environment();
                // The report shows the parts in the order of the files' names.
                let name = format!("{}-{}-{}", results::MEASUREMENTS, place + 1, part.name);
                results::write(&setup.results(), &name, &measured)?;
                forget(&setup.results(), part.name, place + 1)?;
                println!("{}", summary(&measured));
                ktap.result(true, part.name)?;
            }
            Err(failure) => {
                ktap.note(&failure.to_string())?;
                ktap.outcome(&Verdict::from(&failure), part.name)?;
            }
        }
    }
    setup.finish(ktap)
}

/// Removes what was measured before, which had another place if there were other parts then.
fn forget(folder: &Path, part: &str, place: usize) -> Result<()> {
    for place in (1..=PARTS.len() + 1).filter(|other| *other != place) {
        let path = folder.join(format!("{}-{place}-{part}.json", results::MEASUREMENTS));
        if path.exists() {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// What a person reads at a glance.
fn summary(measured: &Measurements) -> Table {
    let mut table = Table::default();
    let n = |n: Option<u32>| n.map_or(String::new(), |n| format!("N={n}"));
    for count in &measured.counts {
        table.row([
            count.quantity.clone(),
            count.case.clone(),
            n(count.n),
            format!("{} → {} {}", count.c, count.rust, count.unit),
        ]);
    }
    for series in &measured.series {
        let outcome = stats::ratio(&series.c, &series.rust).map_or_else(String::new, |ratio| {
            let digits = if ratio.c < 100.0 { 3 } else { 0 };
            let [relative, low, high] =
                [ratio.relative, ratio.low, ratio.high].map(|part| 100.0 * part);
            format!(
                "{:.digits$} → {:.digits$} {}, {relative:+.2} % ({low:+.2} … {high:+.2})",
                ratio.c, ratio.rust, series.unit
            )
        });
        table.row([
            series.quantity.clone(),
            series.case.clone(),
            n(series.n),
            outcome,
        ]);
    }
    table
}
