// SPDX-License-Identifier: GPL-2.0

//! The tables of the README, which say in one place what people and programs read.

use anyhow::{ensure, Result};

/// The rows of the first table under a heading, as cells; what is between two `|` is a cell.
///
/// # Errors
///
/// There is no such table, or one of its rows has another number of cells.
pub fn table<'a, const N: usize>(readme: &'a str, title: &str) -> Result<Vec<[&'a str; N]>> {
    let heading = format!("## {title}");
    let lines = readme.lines().skip_while(|line| *line != heading).skip(1);
    let section = lines.take_while(|line| !line.starts_with("## "));
    let table = section.skip_while(|line| !line.starts_with('|'));
    // The heads of the columns and the line below them are no rows.
    let rows = table.take_while(|line| line.starts_with('|')).skip(2);
    let rows = rows.map(cells).collect::<Result<Vec<_>>>()?;
    ensure!(!rows.is_empty(), "there is no table under \"{heading}\"");
    Ok(rows)
}

fn cells<const N: usize>(line: &str) -> Result<[&str; N]> {
    let inner = line.trim_end().strip_prefix('|');
    let inner = inner.and_then(|line| line.strip_suffix('|'));
    let cells: Vec<&str> = inner.unwrap_or(line).split('|').map(str::trim).collect();
    let count = cells.len();
    cells
        .try_into()
        .map_err(|_| anyhow::anyhow!("{count} cells in place of {N}: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "\
# A
| no | table |

## B

Words.

| x | y |
|---|---|
| `a` | one, two |
| b | |

| other | table |

## C

## D

| x | y |
|---|---|
| a | b | c |
";

    #[test]
    fn the_rows_under_a_heading_are_read() {
        let rows: Vec<[&str; 2]> = table(README, "B").unwrap();
        assert_eq!(rows, [["`a`", "one, two"], ["b", ""]]);
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        let error = |title: &str| table::<2>(README, title).unwrap_err().to_string();
        for title in ["A", "C", "E"] {
            let expected = format!("there is no table under \"## {title}\"");
            assert_eq!(error(title), expected);
        }
        assert_eq!(error("D"), "3 cells in place of 2: | a | b | c |");
    }
}
