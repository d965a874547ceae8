// SPDX-License-Identifier: GPL-2.0

//! What a page consists of, whatever it is written in.

use maud::Markup;

/// A part of the report under a heading.
pub struct Section {
    /// The name in links.
    pub id: &'static str,
    /// The heading.
    pub title: &'static str,
    /// What stands in it.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
pub enum Block {
    /// A heading in the section.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// A paragraph that tells what is missing.
    Missing(String),
    /// A table.
    Table(Table),
    /// A picture or a chart.
    Picture(Picture),
    /// Command lines, under a name.
    Commands(String, Vec<String>),
}

/// An SVG picture.
pub struct Picture {
    /// What it shows.
    pub title: String,
    /// The name of its file.
    pub name: String,
    /// The SVG, without colours of its own.
    pub svg: Markup,
    /// The SVG as a file of its own.
    pub file: String,
    /// Whether it is shown without being asked for.
    pub open: bool,
}

/// A table.
#[derive(Default)]
pub struct Table {
    /// The heads of its columns.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these heads.
    pub fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|text| (*text).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row<T: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

/// Whether a cell tells good or bad news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Neither.
    Plain,
    /// As it should be, or better.
    Good,
    /// Not as it should be.
    Bad,
}

/// A cell of a table.
pub struct Cell {
    /// Its text.
    pub text: String,
    /// What its colour tells.
    pub tone: Tone,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self {
            text,
            tone: Tone::Plain,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Cell {
    /// A cell that is good news or bad news.
    pub fn judged(text: impl Into<String>, good: bool) -> Self {
        Self {
            text: text.into(),
            tone: if good { Tone::Good } else { Tone::Bad },
        }
    }

    /// Whether it is a number, to be set flush right.
    pub fn is_number(&self) -> bool {
        let mut chars = self.text.chars();
        chars
            .next()
            .is_some_and(|c| c.is_ascii_digit() || "+−".contains(c))
            && chars.all(|c| c.is_ascii_digit() || " .%×+−…".contains(c))
    }
}
