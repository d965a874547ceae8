// SPDX-License-Identifier: GPL-2.0

//! Where the C driver is weak, as the README's table tells it.

use anyhow::Result;
use serde::Serialize;
use virtio_check::readme;

/// A row of the table, without the marks of Markdown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeakPoint {
    /// What happens to the driver.
    pub what: String,
    /// What the C driver does then.
    pub c: String,
    /// What the Rust driver does then.
    pub rust: String,
    /// What shows it: names for [`covers`].
    pub tests: Vec<String>,
}

/// Reads the table of a README.
///
/// # Errors
///
/// It has no such table, or one of another form.
pub fn read(readme: &str) -> Result<Vec<WeakPoint>> {
    let rows = readme::table(readme, "Where the C driver is weak")?;
    let plain = |text: &str| text.replace('`', "");
    let rows = rows.into_iter().map(|[what, c, rust, tests]| WeakPoint {
        what: plain(what),
        c: plain(c),
        rust: plain(rust),
        // Names may have commas in them.
        tests: tests
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect(),
    });
    Ok(rows.collect())
}

/// Whether a name in the table is that of this test: the whole name or, before a `*`, its
/// beginning; of a scenario, what it begins with up to a comma.
pub fn covers(name: &str, test: &str) -> bool {
    match name.strip_suffix('*') {
        Some(beginning) => test.starts_with(beginning),
        None => test
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_is_set_as_code() {
        let readme = "\
## Where the C driver is weak

| what happens | C driver | this driver | test |
|---|---|---|---|
| gone | `WARNING: a.c:1` | `watchdog_s` | `gone-*` |
| lies | waits | ok | `ones, at freeze`, `reset`, and more |
";
        let row = |what: &str, c: &str, rust: &str, tests: &[&str]| WeakPoint {
            what: what.to_owned(),
            c: c.to_owned(),
            rust: rust.to_owned(),
            tests: tests.iter().map(|&name| name.to_owned()).collect(),
        };
        let rows = [
            row("gone", "WARNING: a.c:1", "watchdog_s", &["gone-*"]),
            row("lies", "waits", "ok", &["ones, at freeze", "reset"]),
        ];
        assert_eq!(read(readme).unwrap(), rows);
        let error = read("## Where the C driver was weak\n").unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "there is no table under \"## Where the C driver is weak\""
        );
    }

    #[test]
    fn a_name_covers_no_more_than_it_says() {
        assert!(covers("gone-*", "gone-msix"));
        assert!(!covers("gone-*", "surprise-gone-msix"));
        assert!(covers("lint", "lint"));
        assert!(!covers("lint", "lint-msix"));
        assert!(covers("reset", "reset, at probe, msix"));
        assert!(covers("reset, at probe", "reset, at probe, msix"));
        assert!(!covers("reset", "reset slow, at probe, msix"));
        assert!(!covers("reset", "first reset, msix"));
    }

    #[test]
    fn the_readme_has_the_table() {
        let readme = include_str!("../../../README.md");
        let rows = read(readme).unwrap();
        let (_, section) = readme
            .split_once("\n## Where the C driver is weak\n")
            .unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let lines = section.lines().filter(|line| line.starts_with("| "));
        // Without the heads of the columns.
        assert_eq!(rows.len(), lines.count() - 1);
        for row in &rows {
            assert!(!row.tests.is_empty(), "{row:?}");
            assert!(row.tests.iter().all(|name| !name.is_empty()), "{row:?}");
        }
    }
}
