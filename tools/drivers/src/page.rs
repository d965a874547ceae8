// SPDX-License-Identifier: GPL-2.0

//! `docs/drivers.md`: the matrix, and each breach with the accesses around it.

use crate::catalogue::{Catalogue, Driver};
use crate::matrix::{rows, Cell, Column, Matrix};
use std::fmt::Write;
use virtio_check::{rules, Level, Outcome, Rule};

/// The sign of a cell.
pub(crate) fn sign(cell: &Cell, rule: &Rule) -> &'static str {
    match (cell.outcome, rule.v1_4.level) {
        (Outcome::Breach | Outcome::Waived, Level::Must) => "**✗**",
        (Outcome::Breach | Outcome::Waived, Level::Should) => "✗",
        (Outcome::Breach | Outcome::Waived, _) => "○",
        (Outcome::Observed, _) => "✓",
        (Outcome::NotReached, _) => "",
    }
}

/// The page as Markdown.
pub fn markdown(catalogue: &Catalogue, matrix: &Matrix) -> String {
    let mut text = String::from(HEAD);
    table(&mut text, matrix);
    for (driver, column) in catalogue.driver.iter().zip(&matrix.drivers) {
        section(&mut text, matrix, driver, column);
    }
    text.push_str(NOT_TRIED);
    text.push_str("\n# The rules that are broken\n");
    for rule in rows() {
        if let Some(words) = catalogue.rule.get(rule.id) {
            let who: Vec<_> = broken_by(matrix, rule).collect();
            let _ = write!(
                text,
                "\n## {}\n\n{}\n\n- 1.4: **{}**: {}.\n- 0.9.5: **{}**: {}.\n\
                 - A strict device: {}\n- A fix: {}\n- Broken by: {}.\n",
                rule.id,
                capital(rule.text),
                rule.v1_4,
                rule.v1_4.argument,
                rule.v0_9_5,
                rule.v0_9_5.argument,
                words.strict,
                words.fix,
                who.join(", ")
            );
        }
    }
    text
}

/// The drivers that break a rule.
pub fn broken_by<'a>(matrix: &'a Matrix, rule: &'static Rule) -> impl Iterator<Item = &'a str> {
    let breaks = |column: &&Column| {
        let mut cells = column.cells.iter();
        cells.any(|cell| cell.rule == rule.id && cell.outcome == Outcome::Breach)
    };
    matrix
        .drivers
        .iter()
        .filter(breaks)
        .map(|column| column.name.as_str())
}

const HEAD: &str = "\
<!-- SPDX-License-Identifier: GPL-2.0 -->
<!-- Written by `make drivers ARGS=write` of the traces in tools/drivers/fixtures. -->

# What legacy virtio drivers do

Each row is a driver that a package of Debian brings, traced on QEMU and judged by `virtio-check`
against the standard as a transitional driver; see [rules.md](rules.md) for what each rule says and
on which words of the specification it rests. These are checks against the specification, not
certification: every driver here works on QEMU, and 0.9.5 asks for less (its row tells).

**✗** breaks a MUST of 1.4, ✗ a SHOULD, ○ a convention that neither version asks for; ✓ observed; an
empty cell was not reached, which is no pass. Rules that no driver breaks are in the picture and in
[drivers.json](drivers.json).

![All drivers and rules](drivers.svg)

`make drivers` runs all of them again and tells which package is missing; the traces, cut to what the
verdicts need, are fixtures, and a test compares this page with them. Kernels, DPDK, and the firmware
whose name has a suite in it (`seabios-sid`), are fetched and unpacked in the cache. To add a driver of
the firmware of another version, add a row to `tools/drivers/src/guest.rs` and words to `drivers.toml`:

```console
$ make drivers ARGS=\"run seabios linux-6.12\"
$ make drivers ARGS=\"run --output tools/drivers/fixtures ipxe-sid\"    # then ARGS=write
```

";

/// What is no driver of a legacy device, or could not be had.
const NOT_TRIED: &str = "
# What was not tried

The C transport of Linux below 6.1. FreeBSD, NetBSD, OpenBSD, illumos, Minix, Windows and unikernels: no
package of Debian or of the registries of Python, JavaScript and Rust was found that brings one. GNU Mach is in Debian, but the Hurd, which has
the drivers, is on another mirror. OpenBIOS on `mac99` and `g3beige` leaves a legacy disk and network alone. The
packages of GRUB, syslinux and memtest86+ have no file with the word virtio in it. The crate `virtio-drivers`
needs the capabilities of the modern interface. DPDK was not run through VFIO: Debian's kernels are built without
`CONFIG_VFIO_NOIOMMU`, and DMA of a legacy device does not go through an IOMMU. EDK II and U-Boot are there for
other architectures too (riscv64, loongarch64, arm), with the same drivers.
";

/// The rows are drivers, the columns the rules that any of them breaks.
fn table(text: &mut String, matrix: &Matrix) {
    let broken = |(_, rule): &(usize, &'static Rule)| broken_by(matrix, rule).next().is_some();
    let columns: Vec<_> = rows().enumerate().filter(broken).collect();
    text.push_str("| driver |");
    for (_, rule) in &columns {
        let _ = write!(text, " [{0}](#{0}) |", rule.id);
    }
    text.push_str(" observed | not reached |\n|---|");
    text.push_str(&"---|".repeat(columns.len() + 2));
    text.push_str("\n| *0.9.5 says* |");
    for (_, rule) in &columns {
        let _ = write!(text, " {} |", rule.v0_9_5.level);
    }
    text.push_str("  |  |\n");
    for driver in &matrix.drivers {
        let _ = write!(text, "| [{0}](#{1}) |", driver.name, anchor(&driver.name));
        for (at, rule) in &columns {
            let cell = driver.cells.get(*at).map_or("", |cell| sign(cell, rule));
            let _ = write!(text, " {cell} |");
        }
        let count = |outcome| {
            driver
                .cells
                .iter()
                .filter(|cell| cell.outcome == outcome)
                .count()
        };
        let (observed, not) = (count(Outcome::Observed), count(Outcome::NotReached));
        let _ = writeln!(text, " {observed} | {not} |");
    }
}

/// The rules that a driver breaks.
fn broken(column: &Column) -> impl Iterator<Item = &Cell> {
    column
        .cells
        .iter()
        .filter(|cell| cell.outcome == Outcome::Breach)
}

/// The anchor that forges make of a heading.
fn anchor(heading: &str) -> String {
    heading.replace('.', "")
}

/// A driver before this one that is of the same software and breaks the same rules.
fn like<'a>(matrix: &'a Matrix, column: &Column) -> Option<&'a str> {
    let family = |name: &str| name.rsplit_once('-').map(|(family, _)| family.to_owned());
    let rules = |column: &Column| broken(column).map(|cell| cell.rule).collect::<Vec<_>>();
    let before = matrix
        .drivers
        .iter()
        .take_while(|other| other.name != column.name);
    let mut before = before.filter(|other| family(&other.name) == family(&column.name));
    let like = before.find(|other| rules(other) == rules(column))?;
    Some(&like.name)
}

fn section(text: &mut String, matrix: &Matrix, driver: &Driver, column: &Column) {
    let _ = write!(
        text,
        "\n## {}\n\n{}: {}. Traced on QEMU {}; {}.\n",
        driver.name, driver.title, column.version, column.qemu, driver.what
    );
    if !driver.note.is_empty() {
        let _ = write!(text, "\n{}\n", driver.note.trim());
    }
    if broken(column).next().is_none() {
        text.push_str("\nNothing is broken.\n");
        return;
    }
    if let Some(like) = like(matrix, column) {
        let rules: Vec<_> = broken(column).map(|cell| cell.rule).collect();
        let rules = rules.join(", ");
        let _ = write!(
            text,
            "\nBreaks the same rules as [{like}](#{}): {rules}.\n",
            anchor(like)
        );
        return;
    }
    for cell in broken(column) {
        let level = rules::find(cell.rule).map_or("", |rule| rule.v1_4.level.name());
        let Some(breach) = &cell.breach else {
            continue;
        };
        let times = match cell.broken {
            1 => String::new(),
            n => format!(" ({n} times in the fixture)"),
        };
        let (rule, line, message) = (cell.rule, breach.line, &breach.message);
        let context = breach.context.join("\n");
        let _ = write!(
            text,
            "\n[{rule}](#{rule}), {level}, line {line}: {message}{times}.\n\n\
             ```text\n{context}\n```\n"
        );
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).chain(['.']).collect()
}
