// SPDX-License-Identifier: GPL-2.0

//! The report as one page that needs nothing else.

use maud::{html, Markup, PreEscaped, DOCTYPE};

use crate::section::{Block, Cell, Picture, Section, Table, Tone};
use virtio_check::picture;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub fn page(title: &str, summary: &[String], sections: &[Section]) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(picture::STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    ul.summary { @for line in summary { li { (line) } } }
                    nav { @for section in sections { a href=(format!("#{}", section.id)) { (section.title) } " " } }
                }
                main { @for part in sections { (section(part)) } }
            }
        }
    }
    .into_string()
}

fn section(section: &Section) -> Markup {
    html! {
        section id=(section.id) {
            h2 { (section.title) }
            @for part in &section.blocks { (block(part)) "\n" }
        }
    }
}

fn block(block: &Block) -> Markup {
    match block {
        Block::Heading(text) => html! { h3 { (text) } },
        Block::Text(text) => html! { p { (text) } },
        Block::Missing(text) => html! { p.missing { (text) } },
        Block::Table(rows) => table(rows),
        Block::Picture(drawn) => figure(drawn),
        Block::Commands(name, lines) => html! {
            details { summary { (name) } @for line in lines { pre { (line) } } }
        },
    }
}

fn figure(picture: &Picture) -> Markup {
    html! {
        details.picture open[picture.open] {
            summary { (picture.title) }
            div.scroll { (picture.svg) }
        }
    }
}

fn table(table: &Table) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { @for head in &table.head { th { (head) } } } }
                tbody { @for row in &table.rows { tr { @for item in row { (cell(item)) } } } }
            }
        }
    }
}

fn cell(cell: &Cell) -> Markup {
    let tone = match cell.tone {
        Tone::Plain => "",
        Tone::Good => "good",
        Tone::Bad => "bad",
    };
    let number = if cell.is_number() { "number" } else { "" };
    let class = format!("{tone} {number}");
    let class = class.trim();
    html! { td class=[(!class.is_empty()).then_some(class)] { (cell.text) } }
}
