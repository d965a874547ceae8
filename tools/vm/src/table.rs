// SPDX-License-Identifier: GPL-2.0

//! Tables to read.

use comfy_table::presets;

/// Rows of cells, set in columns of equal width without lines.
pub struct Table(comfy_table::Table);

impl Default for Table {
    fn default() -> Self {
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::NOTHING);
        Self(table)
    }
}

impl Table {
    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.0.add_row(cells.into_iter().map(Into::into));
        for column in self.0.column_iter_mut() {
            column.set_padding((2, 0));
        }
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        writeln!(out, "{}", self.0.trim_fmt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::default();
        table.row(["device", "I/O"]);
        table.row(["9p", "ok", "12→3"]);
        assert_eq!(table.to_string(), "  device  I/O\n  9p      ok   12→3\n");
    }
}
