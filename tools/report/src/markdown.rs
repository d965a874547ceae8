// SPDX-License-Identifier: GPL-2.0

//! The report as Markdown, with the pictures as files beside it.

use std::fmt::Write;

use crate::section::{Block, Section, Table, Tone};

/// The whole text.
pub fn text(title: &str, summary: &[String], sections: &[Section]) -> String {
    let mut text = format!("# {}\n\n", escape(title));
    for line in summary {
        let _ = writeln!(text, "- {}", escape(line));
    }
    for section in sections {
        let _ = writeln!(text, "\n## {}", section.title);
        for block in &section.blocks {
            text.push('\n');
            write_block(&mut text, block);
        }
    }
    text
}

fn write_block(text: &mut String, block: &Block) {
    let _ = match block {
        Block::Heading(heading) => writeln!(text, "### {}", escape(heading)),
        Block::Text(words) => writeln!(text, "{}", escape(words)),
        Block::Missing(words) => writeln!(text, "*{}*", escape(words)),
        Block::Table(table) => {
            write_table(text, table);
            Ok(())
        }
        Block::Picture(picture) => {
            writeln!(text, "![{}]({}.svg)", escape(&picture.title), picture.name)
        }
        Block::Commands(name, lines) => {
            writeln!(text, "{}:\n\n```\n{}\n```", escape(name), lines.join("\n"))
        }
    };
}

fn write_table(text: &mut String, table: &Table) {
    let heads: Vec<String> = table.head.iter().map(|head| escape(head)).collect();
    let _ = writeln!(text, "| {} |", heads.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(heads.len()));
    for row in &table.rows {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| match cell.tone {
                Tone::Bad => format!("**{}**", escape(&cell.text)),
                Tone::Plain | Tone::Good => escape(&cell.text),
            })
            .collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

/// Keeps what is special in Markdown and in its HTML from being so.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' => escaped.extend(['\\', c]),
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_special_is_left() {
        assert_eq!(escape("a|b *c* <d>\ne_f"), "a\\|b \\*c\\* &lt;d> e\\_f");
    }

    #[test]
    fn a_table_has_a_row_a_line() {
        let mut table = Table::new(&["a", "b"]);
        table.row(["1", "x\ny"]);
        let mut text = String::new();
        write_table(&mut text, &table);
        assert_eq!(text, "| a | b |\n|---|---|\n| 1 | x y |\n");
    }
}
