// SPDX-License-Identifier: GPL-2.0

//! What the transport costs.

use results::stats::{Ratio, RESAMPLES, SEED};
use results::{Count, Measurements, Series};

use super::missing;
use crate::charts;
use crate::facts::{Facts, Measured};
use crate::section::{Block, Cell, Section, Table};

/// All parts of the measurements.
pub(super) fn section(facts: &Facts) -> Section {
    let mut blocks = vec![Block::Text(format!(
        "Both drivers were taken in turn in one run. Medians of the samples of each; the difference \
         is the median of (Rust − C) / C of the pairs that were taken one after the other, with its \
         95 % interval by a percentile bootstrap ({RESAMPLES} resamples, seed {SEED}). All samples \
         are in report.json."
    ))];
    if facts.measurements.is_empty() {
        blocks.push(missing("measurements", "make bench"));
    }
    for measured in &facts.measurements {
        let Measurements {
            part,
            about,
            counts,
            series,
            commands,
            ..
        } = &measured.measurements;
        blocks.push(Block::Heading(part.clone()));
        blocks.push(Block::Text(about.clone()));
        if !counts.is_empty() {
            blocks.push(Block::Table(exact(counts)));
            blocks.extend(charts::growth(part, counts).into_iter().map(Block::Picture));
        }
        if !series.is_empty() {
            blocks.push(Block::Table(varying(measured)));
            blocks.extend(charts::intervals(part, measured).map(Block::Picture));
        }
        if !commands.is_empty() {
            let name = "The commands of the VMs".to_owned();
            blocks.push(Block::Commands(name, commands.clone()));
        }
    }
    Section {
        id: "costs",
        title: "Costs",
        blocks,
    }
}

/// A number with as many digits as tell something.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v == v.trunc() || v >= 1000.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    let digits = whole.trim_start_matches('-').chars();
    let length = digits.clone().count();
    for (at, digit) in digits.enumerate() {
        if at > 0 && (length - at) % 3 == 0 {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    let sign = if whole.starts_with('-') { "−" } else { "" };
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!(".{rest}")
    };
    format!("{sign}{grouped}{rest}")
}

fn percent(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "+" };
    format!("{sign}{:.2} %", 100.0 * value.abs())
}

fn exact(counts: &[Count]) -> Table {
    let mut table = Table::new(&[
        "quantity",
        "case",
        "N",
        "unit",
        "C",
        "Rust",
        "(R−C)/C",
        "limit",
        "floor",
    ]);
    for count in counts {
        let good = count.rust <= count.limit.unwrap_or(count.c);
        let relative = match count.c {
            0.0 => String::new(),
            c => percent((count.rust - c) / c),
        };
        let optional = |value: Option<f64>| value.map_or(String::new(), number);
        table.row([
            Cell::from(count.quantity.as_str()),
            count.case.as_str().into(),
            count.n.map_or(String::new(), |n| n.to_string()).into(),
            count.unit.as_str().into(),
            number(count.c).into(),
            Cell::judged(number(count.rust), good),
            relative.into(),
            optional(count.limit).into(),
            optional(count.floor).into(),
        ]);
    }
    table
}

/// What an interval says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ahead,
    Behind,
    NoDifference,
}

fn verdict(series: &Series, ratio: &Ratio) -> Verdict {
    let (worse, better) = match series.more_is_better {
        true => (ratio.high < 0.0, ratio.low > 0.0),
        false => (ratio.low > 0.0, ratio.high < 0.0),
    };
    match (worse, better) {
        (true, _) => Verdict::Behind,
        (_, true) => Verdict::Ahead,
        _ => Verdict::NoDifference,
    }
}

/// The verdict in words; what is within its limit is no bad news.
fn words(series: &Series, ratio: &Ratio) -> Cell {
    let within = series.limit.is_some_and(|limit| ratio.relative <= limit);
    match verdict(series, ratio) {
        Verdict::Behind if within => Cell::from("Rust is behind, within the limit"),
        Verdict::Behind => Cell::judged("Rust is behind", false),
        Verdict::Ahead => Cell::judged("Rust is ahead", true),
        Verdict::NoDifference => Cell::from("no difference seen"),
    }
}

/// Where the Rust driver costs less and where it costs more, in two lines.
pub(super) fn summary(facts: &Facts) -> Vec<String> {
    let parts = || facts.measurements.iter();
    let counts: Vec<&Count> = parts().flat_map(|m| &m.measurements.counts).collect();
    let samples = parts().flat_map(|m| m.measurements.series.iter().zip(&m.ratios));
    let judged: Vec<(&Series, Verdict)> = samples
        .filter_map(|(series, ratio)| Some((series, verdict(series, ratio.as_ref()?))))
        .collect();
    let mut lines = Vec::new();
    if !counts.is_empty() {
        let less = counts.iter().filter(|count| count.rust < count.c).count();
        let more = counts.iter().filter(|count| count.rust > count.c);
        let names = more.map(|count| format!("{}, {}", count.quantity, count.case));
        lines.push(line("exact counts", counts.len(), less, names.collect()));
    }
    if !judged.is_empty() {
        let ahead = judged.iter().filter(|(_, v)| *v == Verdict::Ahead).count();
        let behind = judged.iter().filter(|(_, v)| *v == Verdict::Behind);
        let n = |n: Option<u32>| n.map_or(String::new(), |n| format!(", N = {n}"));
        let name = |series: &Series| format!("{}, {}{}", series.quantity, series.case, n(series.n));
        let names = behind.map(|(series, _)| name(series));
        lines.push(line(
            "sampled quantities",
            judged.len(),
            ahead,
            names.collect(),
        ));
    }
    lines
}

fn line(what: &str, all: usize, ahead: usize, behind: Vec<String>) -> String {
    let names = match behind.is_empty() {
        true => String::new(),
        false => format!(" ({})", behind.join("; ")),
    };
    format!(
        "{all} {what}: the Rust driver is ahead in {ahead}, behind in {}{names}",
        behind.len()
    )
}

fn varying(measured: &Measured) -> Table {
    let mut table = Table::new(&[
        "quantity",
        "case",
        "N",
        "unit",
        "samples",
        "C",
        "Rust",
        "(R−C)/C",
        "95 % interval",
        "limit",
        "",
    ]);
    for (series, ratio) in measured.measurements.series.iter().zip(&measured.ratios) {
        let samples = match series.c.len() == series.rust.len() {
            true => series.c.len().to_string(),
            false => format!("{} / {}", series.c.len(), series.rust.len()),
        };
        let mut row = vec![
            Cell::from(series.quantity.as_str()),
            series.case.as_str().into(),
            series.n.map_or(String::new(), |n| n.to_string()).into(),
            series.unit.as_str().into(),
            samples.into(),
        ];
        match ratio {
            None => row.extend(["", "", "", "", "", "no samples, or 0 with C"].map(Cell::from)),
            Some(ratio) => row.extend([
                number(ratio.c).into(),
                number(ratio.rust).into(),
                percent(ratio.relative).into(),
                format!("{} … {}", percent(ratio.low), percent(ratio.high)).into(),
                series.limit.map_or(String::new(), percent).into(),
                words(series, ratio),
            ]),
        }
        table.row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(6_300_886.0), "6 300 886");
        assert_eq!(number(-1234.0), "−1 234");
        assert_eq!(number(0.0625), "0.0625");
        assert_eq!(number(12.34), "12.3");
        assert_eq!(percent(-0.0123), "−1.23 %");
    }

    #[test]
    fn an_interval_that_holds_0_says_nothing() {
        let ratio = |low, high| Ratio {
            c: 1.0,
            rust: 1.0,
            relative: 0.0,
            low,
            high,
        };
        let mut series = Series::default();
        assert_eq!(verdict(&series, &ratio(-0.1, 0.1)), Verdict::NoDifference);
        assert_eq!(verdict(&series, &ratio(0.1, 0.2)), Verdict::Behind);
        assert_eq!(words(&series, &ratio(0.1, 0.2)).text, "Rust is behind");
        series.limit = Some(0.0);
        assert!(words(&series, &ratio(0.1, 0.2))
            .text
            .ends_with("within the limit"));
        series.limit = Some(-0.01);
        assert_eq!(words(&series, &ratio(0.1, 0.2)).text, "Rust is behind");
        series.more_is_better = true;
        assert_eq!(verdict(&series, &ratio(0.1, 0.2)), Verdict::Ahead);
    }
}
