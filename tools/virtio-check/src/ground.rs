// SPDX-License-Identifier: GPL-2.0

//! Picture files whose colours every viewer shows.
//!
//! In a page the colours are CSS variables, which change with the reader's colour scheme. librsvg,
//! Inkscape and others know neither these nor media queries, and draw all in black: a file has the
//! colours of one scheme.

use crate::picture::STYLE;
use clap::ValueEnum;

/// The colour scheme of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Ground {
    /// Dark on white.
    #[default]
    Light,
    /// Light on black.
    Dark,
}

/// The style sheet of the pictures without variables and media queries.
pub(crate) fn style(ground: Ground) -> String {
    let mut rules = String::new();
    let mut dark = "";
    let mut rest = STYLE;
    while let Some((before, after)) = rest.split_once("@media") {
        let (condition, after) = after.split_once('{').unwrap_or((after, ""));
        let (block, after) = block(after);
        rules.push_str(before.trim_end());
        if condition.contains("dark") {
            dark = block;
        }
        rest = after;
    }
    rules.push_str(rest);
    let light = rules.clone();
    for (name, value) in variables(&light) {
        rules = rules.replace(&format!("--{name}: {value};"), "");
        let others = variables(dark).find(|(other, _)| *other == name);
        let value = match (ground, others) {
            (Ground::Dark, Some((_, other))) => other,
            _ => value,
        };
        rules = rules.replace(&format!("var(--{name})"), value);
    }
    // What is left of lines with nothing but variables.
    let lines = rules.lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

/// The text up to the brace that closes it, and what follows that.
fn block(text: &str) -> (&str, &str) {
    let mut depth = 1;
    let end = text.find(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    end.map_or((text, ""), |end| (&text[..end], &text[end + 1..]))
}

/// The variables that a style sheet sets, with their values.
fn variables(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let declarations = text.split(['{', ';', '}']);
    declarations.filter_map(|one| one.trim().strip_prefix("--")?.split_once(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_colour_is_plain() {
        for (ground, ink) in [(Ground::Light, "#1b1f24"), (Ground::Dark, "#e6edf3")] {
            let style = style(ground);
            for word in ["var(", "--", "@media"] {
                assert!(!style.contains(word), "{word} in {style}");
            }
            assert!(
                style.contains(&format!(".hs text {{ fill: {ink}; }}")),
                "{style}"
            );
            assert_eq!(style.matches('{').count(), style.matches('}').count());
        }
    }
}
