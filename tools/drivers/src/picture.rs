// SPDX-License-Identifier: GPL-2.0

//! The matrix as a picture: a row a rule, a column a driver.

use crate::matrix::{rows, Cell, Matrix};
use maud::{html, Markup, PreEscaped};
use virtio_check::{Level, Outcome, Rule};

/// The side of a cell, in user units as all lengths here.
const CELL: usize = 22;
/// The room for the names of the rules.
const GUTTER: usize = 210;
/// The room for the names of the drivers, which are written upwards.
const HEAD: usize = 120;
/// The room for the legend.
const FOOT: usize = 34;

/// The colours; each rule begins with the class of the picture, as a page may have others.
const STYLE: &str = "\
.dm text{font:12px sans-serif;fill:#1f2328}.dm .paper{fill:#fff}.dm .kept{fill:#c9e5cf}\
.dm .must{fill:#c0392b}.dm .should{fill:#a04000}.dm .convention{fill:#7d6608}\
.dm .none{fill:none;stroke:#d0d7de}.dm .mark{fill:#fff;text-anchor:middle}";

/// What the picture shows of a cell: the class, and a sign that needs no colour.
fn kind(cell: &Cell, rule: &Rule) -> (&'static str, &'static str) {
    match (cell.outcome, rule.v1_4.level) {
        (Outcome::Breach | Outcome::Waived, Level::Must) => ("must", "✗"),
        (Outcome::Breach | Outcome::Waived, Level::Should) => ("should", "✗"),
        (Outcome::Breach | Outcome::Waived, _) => ("convention", "○"),
        (Outcome::Observed, _) => ("kept", ""),
        (Outcome::NotReached, _) => ("none", ""),
    }
}

/// The picture as an SVG file.
pub fn svg(matrix: &Matrix) -> String {
    let picture = inline(matrix).into_string();
    format!("<!-- SPDX-License-Identifier: GPL-2.0 -->\n{picture}\n")
}

/// The picture to be put into a page.
pub fn inline(matrix: &Matrix) -> Markup {
    let rules: Vec<_> = rows().collect();
    let width = GUTTER + matrix.drivers.len() * CELL + 90;
    let height = HEAD + rules.len() * CELL + FOOT;
    html! {
        svg.dm xmlns="http://www.w3.org/2000/svg" role="img" width=(width) height=(height)
            viewBox=(format!("0 0 {width} {height}")) aria-label="Drivers and the rules they break" {
            style { (PreEscaped(STYLE)) }
            rect.paper width=(width) height=(height) {}
            @for (n, driver) in matrix.drivers.iter().enumerate() {
                @let x = GUTTER + n * CELL + CELL / 2 + 4;
                @let turn = format!("translate({x} {}) rotate(-60)", HEAD - 6);
                text transform=(turn) { (driver.name) title { (driver.title) } }
                "\n"
            }
            @for (at, rule) in rules.iter().enumerate() {
                @let y = HEAD + at * CELL;
                text x="4" y=(y + 15) { (rule.id) title { (rule.text) } }
                @for (n, driver) in matrix.drivers.iter().enumerate() {
                    @if let Some(cell) = driver.cells.get(at) {
                        (square(GUTTER + n * CELL, y, cell, rule, &driver.name))
                    }
                }
                "\n"
            }
            g transform=(format!("translate(4 {})", HEAD + rules.len() * CELL + 8)) { (legend()) }
        }
    }
}

fn square(x: usize, y: usize, cell: &Cell, rule: &Rule, driver: &str) -> Markup {
    let (class, sign) = kind(cell, rule);
    html! {
        rect class=(class) x=(x + 1) y=(y + 1) width=(CELL - 2) height=(CELL - 2) rx="3" {
            @if !sign.is_empty() { title { (driver) ", " (rule.id) ": " (cell.outcome) } }
        }
        @if !sign.is_empty() { text.mark x=(x + CELL / 2) y=(y + 16) { (sign) } }
    }
}

fn legend() -> Markup {
    let kinds = [
        ("must", "✗", "breaks a MUST"),
        ("should", "✗", "a SHOULD"),
        ("convention", "○", "a convention"),
        ("kept", "", "observed"),
        ("none", "", "not reached"),
    ];
    html! {
        @for (n, (class, sign, text)) in kinds.into_iter().enumerate() {
            @let x = n * 124;
            rect class=(class) x=(x) y="0" width="20" height="20" rx="3" {}
            text.mark x=(x + 10) y="15" { (sign) }
            text x=(x + 26) y="15" { (text) }
        }
    }
}
