// SPDX-License-Identifier: GPL-2.0

//! The rules as text, as Markdown and as JSON.

use super::{Clause, Party, Rule, Seen, RULES, VERSION};
use crate::access::Status;
use serde_json::{json, Value};
use std::fmt::Write;

/// All of a rule, for a terminal.
pub fn explain(rule: &Rule) -> String {
    let mut text = format!("{}: {}\n\n", rule.id, rule.text);
    for (version, clause) in [("1.4", rule.v1_4), ("0.9.5", rule.v0_9_5)] {
        let Clause {
            level,
            section,
            argument,
        } = clause;
        let _ = writeln!(text, "  {version:5}  {level}, {section}: {argument}");
    }
    let _ = writeln!(text, "  why    {}", rule.why);
    let _ = writeln!(text, "  needs  {}", rule.needs);
    if rule.party == Party::Device {
        let _ = writeln!(text, "  who    the device breaks it, not its driver");
    }
    if rule.seen == Seen::Device {
        let _ = writeln!(text, "  seen   by a device only, not in a trace");
    }
    if let Some(example) = rule.example {
        text.push('\n');
        if !example.after.is_empty() {
            let _ = writeln!(text, "  after  {}", example.after);
        }
        let _ = writeln!(
            text,
            "  (R=V: a write, R?V: a read that gave V, /N: of N bytes)"
        );
        if [example.after, example.right, example.wrong]
            .concat()
            .contains("STATUS")
        {
            let _ = writeln!(text, "  (STATUS: {})", status_bits());
        }
        let _ = writeln!(text, "  right  {}", example.right);
        let _ = writeln!(text, "  wrong  {}", example.wrong);
    }
    text
}

/// The list of all rules, for a terminal.
pub fn list() -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{:29} {:10} {:10} rule", "", "1.4", "0.9.5");
    for rule in RULES {
        let (new, old) = (rule.v1_4.level, rule.v0_9_5.level);
        let _ = writeln!(text, "{:29} {new:10} {old:10} {}", rule.id, rule.text);
    }
    text
}

/// All rules as JSON.
pub fn json() -> Value {
    json!({ "rules_version": VERSION, "rules": RULES })
}

/// All rules as a page, which is `docs/rules.md`.
pub fn markdown() -> String {
    let mut text = format!(
        "<!-- SPDX-License-Identifier: GPL-2.0 -->\n\
         <!-- Written by `virtio-check rules --markdown`. -->\n\n\
         # The rules of virtio-check\n\n\
         Version {VERSION}. Checks against the specification, not certification: what a trace does \
         not show is not judged, and NOT REACHED is no pass.\n\n\
         In examples, `R=V` is a write of V to register R, `R?V` a read that gave V, `/N` an access of N\n\
         bytes; *after* is what went before, *right* keeps the rule, *wrong* breaks it. Bits of the \
         status: {}.\n\n\
         *1.4* is the standard, by its draft of April 2026; a legacy driver is held \
         to it as a transitional driver is. *0.9.5* is the draft that defined the interface; it \
         has no capital MUST, so steps that it lists and what must be done count as MUST. A \
         *convention* is what devices or other drivers expect and neither text asks for. *silent*: \
         this version does not ask for it.\n\n\
         | rule | 1.4 | 0.9.5 | text |\n|---|---|---|---|\n",
        status_bits()
    );
    for rule in RULES {
        let (new, old) = (rule.v1_4.level, rule.v0_9_5.level);
        let _ = writeln!(
            text,
            "| [{0}](#{0}) | {new} | {old} | {1} |",
            rule.id, rule.text
        );
    }
    for rule in RULES {
        let _ = write!(text, "\n## {}\n\n{}.\n\n", rule.id, capital(rule.text));
        for (version, clause) in [("1.4", rule.v1_4), ("0.9.5", rule.v0_9_5)] {
            let _ = writeln!(
                text,
                "- {version}: **{}**, {}: {}.",
                clause.level, clause.section, clause.argument
            );
        }
        let _ = writeln!(text, "- Why: {}.", rule.why);
        let _ = writeln!(text, "- Judged at: {}.", rule.needs);
        if rule.party == Party::Device {
            text.push_str("- The device breaks it, not its driver.\n");
        }
        if rule.seen == Seen::Device {
            text.push_str("- Only a device sees it; the scripted device in strict mode does.\n");
        }
        if let Some(example) = rule.example {
            text.push_str("\n```text\n");
            if !example.after.is_empty() {
                let _ = writeln!(text, "after  {}", example.after);
            }
            let _ = writeln!(text, "right  {}", example.right);
            let _ = writeln!(text, "wrong  {}\n```", example.wrong);
        }
    }
    text
}

/// The bits of the status with their names.
fn status_bits() -> String {
    let bits = Status::NAMED.map(|(bit, name)| format!("{bit:#x} {name}"));
    bits.join(", ")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_table_says() {
        let page = include_str!("../../../../docs/rules.md");
        assert!(
            page == markdown(),
            "docs/rules.md is old: virtio-check rules --markdown > docs/rules.md"
        );
    }

    #[test]
    fn an_explanation_has_all_texts() {
        for rule in RULES {
            let text = explain(rule);
            for part in [
                rule.text,
                rule.why,
                rule.needs,
                rule.v1_4.argument,
                rule.v0_9_5.section,
            ] {
                assert!(text.contains(part), "{}: {part}", rule.id);
            }
        }
        assert_eq!(json()["rules"].as_array().map(Vec::len), Some(RULES.len()));
    }
}
