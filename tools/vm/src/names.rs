// SPDX-License-Identifier: GPL-2.0

//! Names in results: those of KTAP, which other tools take as well.

use std::sync::LazyLock;

use regex::Regex;

/// What is not in a name.
static OTHER: LazyLock<Regex> = LazyLock::new(|| pattern("[^A-Za-z0-9_.-]+"));
/// How often something is done, at the end of a name: it may differ between runs of the same test.
static TIMES: LazyLock<Regex> = LazyLock::new(|| pattern("-[0-9]+-times$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| panic!("in a pattern of names: {error}"))
}

/// The name in letters, digits, `_`, `.` and `-` only, the same however often something is done.
pub fn plain(name: &str) -> String {
    let name = OTHER.replace_all(name, "-");
    let name = TIMES.replace(name.trim_matches('-'), "");
    name.into_owned()
}

/// Whether a test, or a part of it, is one that the user names by a part of its name, in either
/// form.
pub fn is_meant(name: &str, words: &[String]) -> bool {
    let mut parts = name.splitn(2, '/').map(plain);
    let (test, part) = (parts.next().unwrap_or_default(), parts.next());
    let plain = match part {
        Some(part) => format!("{test}/{part}"),
        None => test,
    };
    let has = |word: &String| name.contains(word.as_str()) || plain.contains(word.as_str());
    words.iter().any(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_few_characters() {
        for (name, expected) in [
            ("mem, pm_test core, 3 times", "mem-pm_test-core"),
            ("hibernation, 1 times", "hibernation"),
            ("blk4: I/O", "blk4-I-O"),
            (
                "kexec under I/O, to driver c",
                "kexec-under-I-O-to-driver-c",
            ),
            ("s-one: INTx", "s-one-INTx"),
            ("insmod", "insmod"),
            ("builds for 7.3.4, no-msi", "builds-for-7.3.4-no-msi"),
            ("\"x\" # SKIP y", "x-SKIP-y"),
        ] {
            assert_eq!(plain(name), expected);
            assert_eq!(plain(expected), expected);
        }
    }

    #[test]
    fn both_forms_of_a_name_can_be_typed() {
        let full = "sleep-pc-msix-4cpu/mem, pm_test core, 3 times";
        for word in [
            "pc-msix",
            "pm_test core, 3",
            "mem-pm_test-core",
            "4cpu/mem-pm",
        ] {
            assert!(is_meant(full, &[word.to_owned()]), "{word}");
        }
        assert!(!is_meant(full, &["pm_test-devices".to_owned()]));
        assert!(!is_meant(full, &[]));
    }
}
